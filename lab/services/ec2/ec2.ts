import type { LabClock } from '../../model/clock.js';
import type { Instance, InstanceState, Instances } from '../../model/instances.js';
import type { Network } from '../../model/network.js';
import { type Input, type Operation, type Service, ServiceError } from '../../wire/service.js';
import { page, text, texts } from '../input.js';
import { filtered, INSTANCE, selected } from './input.js';
import { networkOperations } from './network.js';

export interface Ec2Options {
  readonly instances: Instances;
  readonly network: Network;
  readonly clock: LabClock;
  readonly region: string;
  readonly account: string;
}

/** EC2 forgets a terminated instance after about an hour; the lab keeps it, since a lab lives no longer. */
const STATE_CODES: { readonly [state in InstanceState]: number } = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

const FILTERS = [
  'architecture',
  'availability-zone',
  'image-id',
  'instance-id',
  'instance-state-code',
  'instance-state-name',
  'instance-type',
  'instance.group-id',
  'instance.group-name',
  'network-interface.group-id',
  'private-ip-address',
  'subnet-id',
  'tag-key',
  'vpc-id',
];

/** The lab's EC2: its instances, and the network around them, to read. */
export function createEc2(options: Ec2Options): Service {
  const { instances, network } = options;

  function asked(input: Input): Instance[] {
    const ids = texts(input, 'InstanceId');
    const fields = (instance: Instance) => filterFields(instance, network);
    return filtered(selected(instances.all(), ids, INSTANCE), input, { names: FILTERS, fields });
  }

  const describe: Operation = (input) => {
    const { items, nextToken } = page(asked(input), paging(input));
    return { reservationSet: items.map((instance) => reservation(instance, options)), nextToken };
  };

  const describeStatus: Operation = (input) => {
    const all = input.IncludeAllInstances === 'true';
    const shown = asked(input).filter(({ state }) => all || state === 'running');
    const { items, nextToken } = page(shown, paging(input));
    return { instanceStatusSet: items.map(statusOf), nextToken };
  };

  return {
    id: 'ec2',
    protocol: 'ec2',
    version: '2016-11-15',
    xmlNamespace: 'http://ec2.amazonaws.com/doc/2016-11-15/',
    operations: {
      DescribeInstances: describe,
      DescribeInstanceStatus: describeStatus,
      ...networkOperations(options),
    },
  };
}

/** How EC2 pages: 5 to 1,000 a page, everything at once unless asked, never together with ids. */
function paging(input: Input) {
  const asked = text(input, 'MaxResults');
  const limit = asked === undefined ? Number.POSITIVE_INFINITY : Number(asked);
  if (asked !== undefined && texts(input, 'InstanceId').length > 0) {
    const message = 'The parameter instancesSet cannot be used with the parameter maxResults';
    throw new ServiceError('InvalidParameterCombination', message);
  }
  if (!(limit >= 5) || (asked !== undefined && limit > 1000)) {
    const message = `Value ( ${asked} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.`;
    throw new ServiceError('InvalidParameterValue', message);
  }
  return {
    key: ({ id }: Instance) => id,
    limit,
    token: text(input, 'NextToken'),
    invalidToken: () => new ServiceError('InvalidNextToken', 'The specified token is not valid.'),
  };
}

function filterFields(instance: Instance, { securityGroups }: Network) {
  const groups = instance.securityGroups;
  const names = securityGroups.flatMap(({ id, name }) => (groups.includes(id) ? [name] : []));
  const tags = Object.entries(tagsOf(instance));
  return {
    architecture: [instance.architecture],
    'availability-zone': [instance.zone],
    'image-id': [instance.image],
    'instance-id': [instance.id],
    'instance-state-code': [String(STATE_CODES[instance.state])],
    'instance-state-name': [instance.state],
    'instance-type': [instance.type],
    'instance.group-id': groups,
    'instance.group-name': names,
    'network-interface.group-id': groups,
    'private-ip-address': [instance.privateIp],
    'subnet-id': [instance.subnet],
    'tag-key': tags.map(([key]) => key),
    'vpc-id': [instance.vpc],
    ...Object.fromEntries(tags.map(([key, value]) => [`tag:${key}`, [value]])),
  };
}

function reservation(instance: Instance, { account, network }: Ec2Options) {
  const groupSet = instance.securityGroups.map((groupId) => ({
    groupId,
    groupName: network.securityGroups.find(({ id }) => id === groupId)?.name ?? groupId,
  }));
  return {
    reservationId: instance.id.replace('i-', 'r-'),
    ownerId: account,
    groupSet: [],
    instancesSet: [describeInstance(instance, groupSet)],
  };
}

function describeInstance(instance: Instance, groupSet: readonly { groupId: string; groupName: string }[]) {
  const gone = instance.state === 'terminated';
  const placed = gone ? {} : placement(instance, groupSet);
  return {
    instanceId: instance.id,
    imageId: instance.image,
    instanceState: stateOf(instance),
    instanceType: instance.type,
    launchTime: new Date(instance.launchedAt),
    placement: { availabilityZone: instance.zone, tenancy: 'default' },
    architecture: instance.architecture,
    ...placed,
    tagSet: tagSet(instance),
  };
}

/** What a terminated instance has no more. */
function placement(instance: Instance, groupSet: readonly { groupId: string; groupName: string }[]) {
  const { privateIp: privateIpAddress, subnet: subnetId, vpc: vpcId } = instance;
  const networkInterface = {
    networkInterfaceId: instance.id.replace('i-', 'eni-'),
    subnetId,
    vpcId,
    status: 'in-use',
    privateIpAddress,
    groupSet,
    attachment: { deviceIndex: 0, status: 'attached' },
    privateIpAddressesSet: [{ privateIpAddress, primary: true }],
  };
  return { privateIpAddress, subnetId, vpcId, groupSet, networkInterfaceSet: [networkInterface] };
}

function tagSet(instance: Instance) {
  return Object.entries(tagsOf(instance)).map(([key, value]) => ({ key, value }));
}

function tagsOf({ name, tags }: Instance): { readonly [key: string]: string } {
  return { Name: name, ...tags };
}

function stateOf({ state }: Instance) {
  return { code: STATE_CODES[state], name: state };
}

function statusOf(instance: Instance) {
  const running = instance.state === 'running';
  const check = running
    ? { status: 'ok', details: [{ name: 'reachability', status: 'passed' }] }
    : { status: 'not-applicable' };
  return {
    instanceId: instance.id,
    availabilityZone: instance.zone,
    instanceState: stateOf(instance),
    systemStatus: check,
    instanceStatus: check,
  };
}

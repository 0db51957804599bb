import type { LabClock } from '../../model/clock.js';
import type { Instances } from '../../model/instances.js';
import { type Input, type Operation, ServiceError } from '../../wire/service.js';
import { applyAttributes, attribute, describeAttributes, LOAD_BALANCER_ATTRIBUTES } from './attributes.js';
import { objects, page, requiredText, text, texts, validation } from './input.js';
import type { Listener, LoadBalancer, Store } from './store.js';
import { addTags } from './tags.js';

export interface LoadBalancerOperationsOptions {
  readonly store: Store;
  readonly instances: Instances;
  readonly clock: LabClock;
  readonly region: string;
  readonly zones: readonly string[];
  readonly subnets?: readonly KnownSubnet[];
  readonly removeListener: (listener: Listener) => Promise<void>;
}

export interface KnownSubnet {
  readonly id: string;
  readonly vpc: string;
  readonly zone: string;
}

export function loadBalancerOperations(options: LoadBalancerOperationsOptions): { [name: string]: Operation } {
  const { store } = options;
  const attributesOf = (input: Input) => store.loadBalancer(requiredText(input, 'LoadBalancerArn')).attributes;
  return {
    CreateLoadBalancer: (input) => ({ LoadBalancers: [describe(create(options, input))] }),
    DescribeLoadBalancers: (input) => {
      const { items, next } = page(select(store, input), input);
      return { LoadBalancers: items.map(describe), ...next };
    },
    DeleteLoadBalancer: (input) => remove(options, requiredText(input, 'LoadBalancerArn')),
    DescribeLoadBalancerAttributes: (input) => ({
      Attributes: describeAttributes(attributesOf(input), LOAD_BALANCER_ATTRIBUTES),
    }),
    ModifyLoadBalancerAttributes: (input) => {
      const attributes = attributesOf(input);
      applyAttributes(attributes, input, { known: LOAD_BALANCER_ATTRIBUTES, noun: 'Load balancer' });
      return { Attributes: describeAttributes(attributes, LOAD_BALANCER_ATTRIBUTES) };
    },
  };
}

function create(options: LoadBalancerOperationsOptions, input: Input): LoadBalancer {
  const { store, clock, region } = options;
  if ((text(input, 'Type') ?? 'application') !== 'application')
    throw new ServiceError('InvalidConfigurationRequest', 'The lab has application load balancers only');
  const name = balancerName(requiredText(input, 'Name'));
  const subnets = zonesOf(subnetIds(input), options);
  const scheme = text(input, 'Scheme') ?? 'internet-facing';
  const known = [...store.loadBalancers.values()].find((one) => one.name === name);
  if (known) return sameOrDuplicate(known, { scheme, subnets });
  const arn = store.loadBalancerArn(name);
  const dnsNumber = Number.parseInt(arn.slice(-8), 16);
  const loadBalancer: LoadBalancer = {
    arn,
    name,
    scheme,
    vpc: vpcOf(subnets, options),
    dnsName: `${scheme === 'internal' ? 'internal-' : ''}${name}-${dnsNumber}.${region}.elb.amazonaws.com`,
    createdAt: clock.now(),
    subnets,
    securityGroups: texts(input, 'SecurityGroups') ?? [],
    attributes: new Map(),
  };
  store.loadBalancers.set(arn, loadBalancer);
  addTags(store, arn, input);
  return loadBalancer;
}

function balancerName(name: string): string {
  if (name.length > 32) throw validation(`The load balancer name '${name}' cannot be longer than '32' characters`);
  if (!/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/.test(name) || name.startsWith('internal-'))
    throw validation(
      `The load balancer name '${name}' can only contain characters that are alphanumeric characters and hyphens(-), cannot begin or end with a hyphen, and cannot begin with 'internal-'`,
    );
  return name;
}

function subnetIds(input: Input): string[] {
  const mapped = objects(input, 'SubnetMappings')?.map((mapping) => requiredText(mapping, 'SubnetId'));
  return texts(input, 'Subnets') ?? mapped ?? [];
}

/** Where the lab's subnets are not told, one is in the zone of its instances; without any it takes the next zone. */
function zonesOf(
  subnets: readonly string[],
  { instances, zones, subnets: all }: LoadBalancerOperationsOptions,
): { subnet: string; zone: string }[] {
  const known = (id: string) => all?.find((one) => one.id === id);
  const missing = subnets.find((id) => all && !known(id));
  if (missing) throw new ServiceError('SubnetNotFound', `The subnet ID '${missing}' does not exist`);
  const placed = subnets.map((subnet, index) => {
    const inside = instances.all().find((instance) => instance.subnet === subnet);
    return {
      subnet,
      zone: known(subnet)?.zone ?? inside?.zone ?? zones[index % Math.max(1, zones.length)] ?? 'unknown',
    };
  });
  if (new Set(placed.map(({ zone }) => zone)).size < 2)
    throw validation('At least two subnets in two different Availability Zones must be specified');
  return placed;
}

function vpcOf(
  placed: readonly { readonly subnet: string }[],
  { instances, subnets = [] }: LoadBalancerOperationsOptions,
): string {
  const inside = (id: string) => placed.some(({ subnet }) => subnet === id);
  const known = subnets.find(({ id }) => inside(id)) ?? instances.all().find(({ subnet }) => inside(subnet));
  return known?.vpc ?? instances.all()[0]?.vpc ?? 'vpc-00000000000000000';
}

function sameOrDuplicate(known: LoadBalancer, wanted: Pick<LoadBalancer, 'scheme' | 'subnets'>): LoadBalancer {
  const { scheme, subnets } = known;
  if (JSON.stringify({ scheme, subnets }) === JSON.stringify(wanted)) return known;
  throw new ServiceError(
    'DuplicateLoadBalancerName',
    `A load balancer with the same name '${known.name}' exists, but with different settings`,
  );
}

function select(store: Store, input: Input): LoadBalancer[] {
  const arns = texts(input, 'LoadBalancerArns');
  if (arns) return arns.map((arn) => store.loadBalancer(arn));
  const all = [...store.loadBalancers.values()];
  const names = texts(input, 'Names');
  if (!names) return all;
  return names.map((name) => {
    const found = all.find((one) => one.name === name);
    if (!found) throw new ServiceError('LoadBalancerNotFound', `Load balancers '[${name}]' not found`);
    return found;
  });
}

/** Deleting an unknown load balancer succeeds, as on AWS. Its listeners and their rules go with it. */
async function remove({ store, removeListener }: LoadBalancerOperationsOptions, arn: string): Promise<object> {
  const loadBalancer = store.loadBalancers.get(arn);
  if (!loadBalancer) return {};
  if (attribute(loadBalancer.attributes, LOAD_BALANCER_ATTRIBUTES, 'deletion_protection.enabled') === 'true')
    throw new ServiceError(
      'OperationNotPermitted',
      `Load balancer '${arn}' cannot be deleted because deletion protection is enabled`,
    );
  await Promise.all(store.listenersOf(arn).map(removeListener));
  store.loadBalancers.delete(arn);
  store.tags.delete(arn);
  return {};
}

/** Of the hosted zone that AWS gives load balancers in us-east-1; nothing in the lab resolves it. */
const HOSTED_ZONE = 'Z35SXDOTRQ7X7K';

function describe(loadBalancer: LoadBalancer): unknown {
  return {
    LoadBalancerArn: loadBalancer.arn,
    DNSName: loadBalancer.dnsName,
    CanonicalHostedZoneId: HOSTED_ZONE,
    CreatedTime: new Date(loadBalancer.createdAt),
    LoadBalancerName: loadBalancer.name,
    Scheme: loadBalancer.scheme,
    VpcId: loadBalancer.vpc,
    State: { Code: 'active' },
    Type: 'application',
    AvailabilityZones: loadBalancer.subnets.map(({ subnet, zone }) => ({
      ZoneName: zone,
      SubnetId: subnet,
      LoadBalancerAddresses: [],
    })),
    SecurityGroups: loadBalancer.securityGroups,
    IpAddressType: 'ipv4',
  };
}

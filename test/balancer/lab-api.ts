import { type Instance, Instances } from '../../lab/model/instances.js';
import type { CallContext, Input, Service } from '../../lab/wire/service.js';

export const VPC = 'vpc-0000000000000000a';
export const SUBNETS = ['subnet-eu-west-1a', 'subnet-eu-west-1b'];

export function instance(id: string, privateIp: string, zone = 'eu-west-1a'): Instance {
  return {
    id,
    name: id,
    privateIp,
    zone,
    subnet: `subnet-${zone}`,
    vpc: VPC,
    securityGroups: [],
    type: 't2.micro',
    architecture: 'x86_64',
    image: 'ami-0',
    launchedAt: 0,
    tags: {},
    state: 'running',
  };
}

export function newInstances(all: readonly Instance[]): Instances {
  const instances = new Instances();
  for (const one of all) instances.add(one);
  return instances;
}

export interface DescribedHealth {
  readonly Target: { readonly Id: string; readonly Port: number };
  readonly HealthCheckPort: string;
  readonly TargetHealth: { readonly State: string; readonly Reason?: string; readonly Description?: string };
}

export interface LabApi {
  call(operation: string, input: Input): Promise<{ readonly [key: string]: never }>;
  /** Returns the ARN of a group on port 8080 with the given settings beside the defaults. */
  createGroup(name: string, settings?: Input): Promise<string>;
  /** A load balancer with a listener on port 80 that forwards to the group. */
  createBalancer(name: string, group: string): Promise<{ readonly balancer: string; readonly listener: string }>;
  register(group: string, targets: readonly Input[]): Promise<void>;
  health(group: string, targets?: unknown): Promise<readonly DescribedHealth[]>;
}

/** Calls the operations of a service as the wire server would, values as text. */
export function labApi(service: Service): LabApi {
  const context: CallContext = {
    region: 'eu-west-1',
    account: '123456789012',
    principal: { accessKeyId: 'AKIA', arn: 'arn:aws:iam::123456789012:user/test', userId: 'AIDA' },
    requestId: 'request',
  };
  const call = async (operation: string, input: Input) =>
    (await service.operations[operation]?.(input, context)) as { readonly [key: string]: never };
  const arnOf = (output: { readonly [key: string]: never }, list: string, key: string): string =>
    (output[list]?.[0] as { readonly [key: string]: string } | undefined)?.[key] ?? '';
  return {
    call,
    createGroup: async (Name, settings = {}) => {
      const created = await call('CreateTargetGroup', {
        Name,
        Protocol: 'HTTP',
        Port: '8080',
        VpcId: VPC,
        ...settings,
      });
      return arnOf(created, 'TargetGroups', 'TargetGroupArn');
    },
    createBalancer: async (Name, group) => {
      const balancer = arnOf(
        await call('CreateLoadBalancer', { Name, Subnets: SUBNETS }),
        'LoadBalancers',
        'LoadBalancerArn',
      );
      const DefaultActions = [{ Type: 'forward', TargetGroupArn: group }];
      const created = await call('CreateListener', {
        LoadBalancerArn: balancer,
        Protocol: 'HTTP',
        Port: '80',
        DefaultActions,
      });
      return { balancer, listener: arnOf(created, 'Listeners', 'ListenerArn') };
    },
    register: async (TargetGroupArn, Targets) => void (await call('RegisterTargets', { TargetGroupArn, Targets })),
    health: async (TargetGroupArn, Targets) =>
      (await call('DescribeTargetHealth', { TargetGroupArn, Targets })).TargetHealthDescriptions ?? [],
  };
}

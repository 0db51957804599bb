/** What a rule of a security group lets through. `-1` is every protocol, and then on every port. */
export interface SecurityRule {
  protocol: 'tcp' | 'udp' | 'icmp' | '-1';
  fromPort?: number;
  toPort?: number;
  /** Who may come in, or be reached: address ranges and members of other groups. */
  cidrs: string[];
  groups: string[];
  description?: string;
}

export interface SecurityGroup {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly vpc: string;
  ingress: SecurityRule[];
  egress: SecurityRule[];
}

export interface Subnet {
  readonly id: string;
  readonly vpc: string;
  readonly zone: string;
  readonly cidr: string;
}

export interface NetworkAclEntry {
  readonly ruleNumber: number;
  readonly direction: 'inbound' | 'outbound';
  readonly action: 'allow' | 'deny';
  /** A protocol number; `-1` is every protocol, `6` TCP. */
  readonly protocol: string;
  readonly cidr: string;
  readonly ports?: { readonly from: number; readonly to: number };
}

export interface NetworkAcl {
  readonly id: string;
  readonly vpc: string;
  readonly isDefault: boolean;
  subnets: string[];
  entries: NetworkAclEntry[];
}

/** The network of a lab, a plain value: a fault changes it in place, and EC2 shows it as it is then. */
export interface Network {
  readonly vpc: { readonly id: string; readonly cidr: string };
  subnets: Subnet[];
  securityGroups: SecurityGroup[];
  networkAcls: NetworkAcl[];
}

export interface DefaultNetworkOptions {
  readonly cidr: string;
  /** One subnet a zone. They all have the network's range where the lab's hosts share one. */
  readonly zones: readonly { readonly zone: string; readonly cidr: string }[];
  /** Ports on which the instances admit the load balancer. */
  readonly instancePorts: readonly number[];
}

export const DEFAULT_IDS = {
  vpc: 'vpc-0a1b2c3d4e5f60718',
  loadBalancerGroup: 'sg-0aaaaaaaaaaaaaaa1',
  instanceGroup: 'sg-0bbbbbbbbbbbbbbb2',
  networkAcl: 'acl-0ccccccccccccccc3',
} as const;

/** AWS adds it to the end of every network ACL: what no other entry decided is denied. */
const LAST_RULE_NUMBER = 32767;

const ANYWHERE = '0.0.0.0/0';

/**
 * The network that most fleets have: a load balancer open to the world on 80 and 443, instances that admit the load
 * balancer's group on the given ports, the default network ACL that allows everything.
 */
export function defaultNetwork({ cidr, zones, instancePorts }: DefaultNetworkOptions): Network {
  const { vpc, loadBalancerGroup, instanceGroup, networkAcl } = DEFAULT_IDS;
  const subnets = zones.map(({ zone, cidr: range }, index) => ({ id: subnetId(index), vpc, zone, cidr: range }));
  const balancer: SecurityGroup = {
    id: loadBalancerGroup,
    name: 'load-balancer',
    description: 'Public entry',
    vpc,
    ingress: [80, 443].map((port) => tcp(port, { cidrs: [ANYWHERE] })),
    egress: [everything()],
  };
  const instances: SecurityGroup = {
    id: instanceGroup,
    name: 'instances',
    description: 'Hosts behind the load balancer',
    vpc,
    ingress: instancePorts.map((port) => tcp(port, { groups: [loadBalancerGroup] })),
    egress: [everything()],
  };
  const acl: NetworkAcl = {
    id: networkAcl,
    vpc,
    isDefault: true,
    subnets: subnets.map(({ id }) => id),
    entries: (['inbound', 'outbound'] as const).flatMap((direction) => [
      { ruleNumber: 100, direction, action: 'allow', protocol: '-1', cidr: ANYWHERE },
      { ruleNumber: LAST_RULE_NUMBER, direction, action: 'deny', protocol: '-1', cidr: ANYWHERE },
    ]),
  };
  return { vpc: { id: vpc, cidr }, subnets, securityGroups: [balancer, instances], networkAcls: [acl] };
}

function subnetId(index: number): string {
  return `subnet-0d${String(index + 1).padStart(15, '0')}`;
}

function tcp(port: number, { cidrs = [], groups = [] }: { cidrs?: string[]; groups?: string[] }): SecurityRule {
  return { protocol: 'tcp', fromPort: port, toPort: port, cidrs, groups };
}

function everything(): SecurityRule {
  return { protocol: '-1', cidrs: [ANYWHERE], groups: [] };
}

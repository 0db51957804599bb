import type { Network, NetworkAcl, NetworkAclEntry, SecurityGroup, SecurityRule, Subnet } from '../../model/network.js';
import { type Input, type Operation, ServiceError } from '../../wire/service.js';
import { texts } from '../input.js';
import { filtered, NETWORK_ACL, SECURITY_GROUP, SUBNET, selected } from './input.js';

export interface NetworkOperationOptions {
  readonly network: Network;
  readonly region: string;
  readonly account: string;
}

/** EC2's operations that show the network: groups, subnets, ACLs, zones. */
export function networkOperations({ network, region, account }: NetworkOperationOptions): Record<string, Operation> {
  return {
    DescribeSecurityGroups: (input) => ({
      securityGroupInfo: securityGroups(network, input).map((group) => describeGroup(group, account)),
    }),
    DescribeSecurityGroupRules: (input) => ({
      securityGroupRuleSet: groupRules(network, input, account),
    }),
    DescribeSubnets: (input) => ({
      subnetSet: filtered(selected(network.subnets, texts(input, 'SubnetId'), SUBNET), input, {
        names: ['availability-zone', 'cidr-block', 'subnet-id', 'vpc-id'],
        fields: (subnet) => ({
          'availability-zone': [subnet.zone],
          'cidr-block': [subnet.cidr],
          'subnet-id': [subnet.id],
          'vpc-id': [subnet.vpc],
        }),
      }).map((subnet) => describeSubnet(subnet, { region, account })),
    }),
    DescribeNetworkAcls: (input) => ({
      networkAclSet: filtered(selected(network.networkAcls, texts(input, 'NetworkAclId'), NETWORK_ACL), input, {
        names: ['association.subnet-id', 'default', 'network-acl-id', 'vpc-id'],
        fields: (acl) => ({
          'association.subnet-id': acl.subnets,
          default: [String(acl.isDefault)],
          'network-acl-id': [acl.id],
          'vpc-id': [acl.vpc],
        }),
      }).map((acl) => describeAcl(acl, account)),
    }),
    DescribeAvailabilityZones: () => ({
      availabilityZoneInfo: zonesOf(network).map((zone) => describeZone(zone, region)),
    }),
  };
}

function securityGroups({ securityGroups: all }: Network, input: Input): SecurityGroup[] {
  const names = texts(input, 'GroupName');
  const unknown = names.find((name) => !all.some((group) => group.name === name));
  if (unknown !== undefined) {
    throw new ServiceError('InvalidGroup.NotFound', `The security group '${unknown}' does not exist in default VPC`);
  }
  const named = all.filter(({ name }) => names.length === 0 || names.includes(name));
  return filtered(selected(named, texts(input, 'GroupId'), SECURITY_GROUP), input, {
    names: ['group-id', 'group-name', 'vpc-id'],
    fields: ({ id, name, vpc }) => ({ 'group-id': [id], 'group-name': [name], 'vpc-id': [vpc] }),
  });
}

function describeGroup(group: SecurityGroup, account: string) {
  return {
    ownerId: account,
    groupId: group.id,
    groupName: group.name,
    groupDescription: group.description,
    vpcId: group.vpc,
    ipPermissions: group.ingress.map((rule) => permission(rule, account)),
    ipPermissionsEgress: group.egress.map((rule) => permission(rule, account)),
    tagSet: [],
  };
}

function permission({ protocol, fromPort, toPort, cidrs, groups, description }: SecurityRule, account: string) {
  return {
    ipProtocol: protocol,
    fromPort,
    toPort,
    groups: groups.map((groupId) => ({ userId: account, groupId, description })),
    ipRanges: cidrs.map((cidrIp) => ({ cidrIp, description })),
    ipv6Ranges: [],
    prefixListIds: [],
  };
}

/** Each source of each rule by itself, as EC2 numbers them. */
function groupRules(network: Network, input: Input, account: string) {
  const groups = filtered(network.securityGroups, input, {
    names: ['group-id'],
    fields: ({ id }) => ({ 'group-id': [id] }),
  });
  return groups.flatMap((group) => [
    ...group.ingress.flatMap((rule, index) => splitRule(group, rule, { isEgress: false, index, account })),
    ...group.egress.flatMap((rule, index) => splitRule(group, rule, { isEgress: true, index, account })),
  ]);
}

function splitRule(
  { id }: SecurityGroup,
  { protocol, fromPort, toPort, cidrs, groups, description }: SecurityRule,
  { isEgress, index, account }: { readonly isEgress: boolean; readonly index: number; readonly account: string },
) {
  const sources = [
    ...cidrs.map((cidrIpv4) => ({ cidrIpv4 })),
    ...groups.map((groupId) => ({ referencedGroupInfo: { groupId, userId: account } })),
  ];
  const direction = isEgress ? 'e' : 'a';
  return sources.map((source, part) => ({
    securityGroupRuleId: `sgr-${id.slice(-8)}${direction}${String(index * 100 + part).padStart(8, '0')}`,
    groupId: id,
    groupOwnerId: account,
    isEgress,
    ipProtocol: protocol,
    fromPort: fromPort ?? -1,
    toPort: toPort ?? -1,
    ...source,
    description,
    tagSet: [],
  }));
}

function describeSubnet(
  { id, vpc, zone, cidr }: Subnet,
  { region, account }: { readonly region: string; readonly account: string },
) {
  return {
    subnetId: id,
    subnetArn: `arn:aws:ec2:${region}:${account}:subnet/${id}`,
    state: 'available',
    ownerId: account,
    vpcId: vpc,
    cidrBlock: cidr,
    availabilityZone: zone,
    defaultForAz: false,
    mapPublicIpOnLaunch: false,
    tagSet: [],
  };
}

function describeAcl({ id, vpc, isDefault, subnets, entries }: NetworkAcl, account: string) {
  return {
    networkAclId: id,
    vpcId: vpc,
    ownerId: account,
    default: isDefault,
    entrySet: entries.map(describeEntry),
    associationSet: subnets.map((subnetId) => ({
      networkAclAssociationId: subnetId.replace('subnet-', 'aclassoc-'),
      networkAclId: id,
      subnetId,
    })),
    tagSet: [],
  };
}

function describeEntry({ ruleNumber, protocol, action, direction, cidr, ports }: NetworkAclEntry) {
  return {
    ruleNumber,
    protocol,
    ruleAction: action,
    egress: direction === 'outbound',
    cidrBlock: cidr,
    portRange: ports,
  };
}

function zonesOf({ subnets }: Network): string[] {
  return [...new Set(subnets.map(({ zone }) => zone))].sort();
}

function describeZone(zoneName: string, regionName: string) {
  return {
    zoneName,
    zoneState: 'available',
    regionName,
    zoneType: 'availability-zone',
    optInStatus: 'opt-in-not-required',
    messageSet: [],
  };
}

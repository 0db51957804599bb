import { type EC2Client, type Filter, type Instance, paginateDescribeInstances } from '@aws-sdk/client-ec2';
import { problem } from '../problem.js';
import { toProblems } from './errors.js';
import type { InstanceFact, InstanceLookup } from './instances.js';

/** Instances of an account and region, over EC2. */
export function createInstanceLookup(client: EC2Client): InstanceLookup {
  return {
    byIds: (ids) => (ids.length === 0 ? Promise.resolve([]) : describe(client, { InstanceIds: [...ids] })),
    byTag: (key, value) => describe(client, { Filters: [tagged(key, value), running] }),
  };
}

const running: Filter = { Name: 'instance-state-name', Values: ['running'] };

function tagged(key: string, value: string): Filter {
  return { Name: `tag:${key}`, Values: [value] };
}

async function describe(
  client: EC2Client,
  request: { InstanceIds?: string[]; Filters?: Filter[] },
): Promise<InstanceFact[]> {
  try {
    const facts: InstanceFact[] = [];
    for await (const page of paginateDescribeInstances({ client }, request)) {
      facts.push(...(page.Reservations ?? []).flatMap(({ Instances }) => (Instances ?? []).map(toFact)));
    }
    return facts;
  } catch (error) {
    if (error instanceof Error && error.name.startsWith('InvalidInstanceID')) {
      throw problem('INSTANCE_NOT_FOUND', error.message, { fix: 'Name instances of this account and region.' });
    }
    throw toProblems(error, 'ec2:DescribeInstances');
  }
}

function toFact({ InstanceId = '', State, Placement, Architecture }: Instance): InstanceFact {
  return {
    id: InstanceId,
    state: State?.Name ?? '',
    zone: Placement?.AvailabilityZone ?? '',
    architecture: Architecture ?? '',
  };
}

import { EC2Client } from '@aws-sdk/client-ec2';
import { ECRClient } from '@aws-sdk/client-ecr';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';

export interface AwsClients {
  readonly ec2: EC2Client;
  readonly ecr: ECRClient;
  readonly elbv2: ElasticLoadBalancingV2Client;
  readonly ssm: SSMClient;
  readonly sts: STSClient;
}

/** A regional endpoint that has not taken the connection by then will not (our choice; the SDK has no limit). */
const CONNECTION_TIMEOUT_MS = 5_000;
/** Every call of ours answers within seconds; a silent one must not hold a deploy (our choice; the SDK has no limit). */
const REQUEST_TIMEOUT_MS = 20_000;
/** One more than the SDK's default of 3, because a throttled bucket of ELBv2 takes seconds to fill again. */
const MAX_ATTEMPTS = 4;

/** One client a service, with timeouts. Credentials and endpoints come from the environment, as the SDK reads them. */
export function createClients({ region }: { readonly region: string }): AwsClients {
  const settings = {
    region,
    maxAttempts: MAX_ATTEMPTS,
    customUserAgent: 'ec2-compose-deploy',
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // Without it the SDK only warns when the request timeout is exceeded, and goes on waiting.
      throwOnRequestTimeout: true,
    },
  };
  return {
    ec2: new EC2Client(settings),
    ecr: new ECRClient(settings),
    elbv2: new ElasticLoadBalancingV2Client(settings),
    ssm: new SSMClient(settings),
    sts: new STSClient(settings),
  };
}

/** Who calls: the lab issues credentials to the runner and to each host's role, and tells them apart by access key. */
export interface Principal {
  readonly accessKeyId: string;
  readonly arn: string;
  readonly userId: string;
}

export interface CallContext {
  readonly region: string;
  readonly account: string;
  readonly principal: Principal;
  readonly requestId: string;
}

/**
 * An operation takes the request as a plain value and returns the response as one. JSON services see it as sent; query
 * and ec2 services see strings, nested objects and arrays (`Targets.member.1.Id` becomes `{Targets: [{Id}]}`, `Filter.1.
 * Value.1` becomes `{Filter: [{Value: ['…']}]}`), so they turn text into numbers themselves.
 */
export type Operation = (input: Input, context: CallContext) => unknown | Promise<unknown>;
export type Input = { readonly [key: string]: unknown };

/** An AWS service of the lab, told apart from the others by `targetPrefix` (json) or `version` (query, ec2). */
export interface Service {
  readonly id: 'ssm' | 'ecr' | 'elasticloadbalancing' | 'ec2' | 'sts';
  readonly protocol: 'json' | 'query' | 'ec2';
  /** X-Amz-Target before the dot: `AmazonSSM`. */
  readonly targetPrefix?: string;
  /** `2015-12-01` and the like, of the query protocols. */
  readonly version?: string;
  readonly xmlNamespace?: string;
  readonly operations: { readonly [name: string]: Operation };
}

/** An error as the service puts it on the wire. `member` is the key that carries the message in JSON services. */
export class ServiceError extends Error {
  readonly code: string;
  readonly status: number;
  readonly member: 'message' | 'Message' | undefined;

  constructor(
    code: string,
    message = '',
    options: { status?: number; member?: 'message' | 'Message' | undefined } = {},
  ) {
    super(message);
    this.code = code;
    this.status = options.status ?? 400;
    this.member = 'member' in options ? options.member : 'message';
  }
}

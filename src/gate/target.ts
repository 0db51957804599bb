/** A target: an (instance, port) pair registered in a target group. The same instance may appear with several ports. */
export interface TargetId {
  readonly instance: string;
  readonly port: number;
}

export function targetKey({ instance, port }: TargetId): string {
  return `${instance}:${port}`;
}

/** One line of DescribeTargetHealth. `state` and `reason` are the service's own words, unknown ones included. */
export interface TargetHealth extends TargetId {
  readonly state: string;
  readonly reason?: string;
  readonly description?: string;
  readonly zone?: string;
}

/** The target group's health-check settings, in seconds and counts, as DescribeTargetGroups gives them. */
export interface HealthCheck {
  readonly protocol: string;
  /** A port number as text, or `traffic-port`. */
  readonly port: string;
  readonly path: string;
  readonly matcher: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
}

export interface TargetGroup {
  readonly arn: string;
  readonly name: string;
  /** The default traffic port of the group; each target has its own. */
  readonly port: number;
  readonly protocol: string;
  /** `instance`, `ip`, `lambda` or `alb`. Only `instance` can be deployed to. */
  readonly type: string;
  readonly vpc?: string;
  readonly loadBalancers: readonly string[];
  readonly healthCheck: HealthCheck;
  readonly deregistrationDelaySeconds: number;
  readonly slowStartSeconds: number;
}

import type { HealthCheck, TargetGroup, TargetHealth, TargetId } from '../gate/target.js';

/** What the deploy and the gate need of a load balancer. Implemented over ELBv2 here, by the simulation elsewhere. */
export interface TargetGroups {
  /**
   * Reads a target group by name or ARN with its health-check settings and attributes.
   * Throws a ProblemsError (TARGET_GROUP_NOT_FOUND, AWS_ACCESS_DENIED, INPUT_INVALID).
   */
  describe(nameOrArn: string): Promise<TargetGroup>;
  /** One DescribeTargetHealth for the whole group (the API does not page). Draining targets are listed too. */
  health(arn: string, signal?: AbortSignal): Promise<TargetHealth[]>;
  register(arn: string, targets: readonly TargetId[]): Promise<void>;
  deregister(arn: string, targets: readonly TargetId[]): Promise<void>;
}

export type { HealthCheck, TargetGroup, TargetHealth, TargetId };

/** An EC2 instance as the plan needs it. */
export interface InstanceFact {
  readonly id: string;
  readonly state: string;
  readonly zone: string;
  /** As EC2 spells it: `x86_64` or `arm64`. */
  readonly architecture: string;
}

/** What the plan asks EC2. Implemented over EC2 here, by the simulation elsewhere. */
export interface InstanceLookup {
  /** Throws a ProblemsError (INSTANCE_NOT_FOUND, AWS_ACCESS_DENIED). */
  byIds(ids: readonly string[]): Promise<InstanceFact[]>;
  /** Running instances that carry the tag. */
  byTag(key: string, value: string): Promise<InstanceFact[]>;
}

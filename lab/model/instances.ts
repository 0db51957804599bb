export type InstanceState = 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated';

/** An EC2 instance of the lab. Its private IP is the address of the container that plays it. */
export interface Instance {
  readonly id: string;
  readonly name: string;
  readonly privateIp: string;
  readonly zone: string;
  readonly subnet: string;
  readonly vpc: string;
  readonly securityGroups: readonly string[];
  readonly type: string;
  /** `x86_64` or `arm64`. */
  readonly architecture: string;
  readonly image: string;
  readonly launchedAt: number;
  readonly tags: { readonly [key: string]: string };
  state: InstanceState;
}

/** The instances of a lab: the one place that EC2, the load balancer and SSM ask. */
export class Instances {
  readonly #instances = new Map<string, Instance>();
  readonly #listeners = new Set<(instance: Instance) => void>();

  add(instance: Instance): void {
    this.#instances.set(instance.id, instance);
    this.#changed(instance);
  }

  get(id: string): Instance | undefined {
    return this.#instances.get(id);
  }

  all(): Instance[] {
    return [...this.#instances.values()];
  }

  setState(id: string, state: InstanceState): void {
    const instance = this.#instances.get(id);
    if (!instance) throw new Error(`The lab has no instance ${id}.`);
    instance.state = state;
    this.#changed(instance);
  }

  /** Called after an instance was added or changed its state. Returns what stops the calls. */
  onChange(listener: (instance: Instance) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(instance: Instance): void {
    for (const listener of this.#listeners) listener(instance);
  }
}

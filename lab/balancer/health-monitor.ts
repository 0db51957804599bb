import type { LabClock } from '../model/clock.js';
import type { SendCheck } from './checker.js';
import {
  type HealthPolicy,
  isChecked,
  isLastResort,
  NOT_REGISTERED,
  nextChange,
  type ReportedHealth,
  report,
  type Surroundings,
  step,
  type TargetEvent,
  type TargetPhase,
} from './target-health.js';

export interface TargetId {
  readonly id: string;
  readonly port: number;
}

/** A target group's health-check settings; seconds are of the lab's clock. */
export interface CheckSettings {
  readonly protocol: 'HTTP' | 'HTTPS';
  /** A port number as text, or `traffic-port`. */
  readonly port: string;
  readonly path: string;
  readonly matcher: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
}

/** Where the lab reaches a port of a target, and the private IP by which the target knows itself. */
export interface Location {
  readonly host: string;
  readonly port: number;
  readonly privateIp: string;
}

export interface Transition {
  readonly target: TargetId;
  readonly from: ReportedHealth;
  readonly to: ReportedHealth;
  readonly at: number;
}

export interface HealthMonitorOptions {
  readonly clock: LabClock;
  readonly send: SendCheck;
  /** Read at each use, so that a changed setting counts from the next check on. */
  readonly policy: () => HealthPolicy;
  readonly checks: () => CheckSettings;
  readonly surroundings: (target: TargetId) => Surroundings;
  readonly locate: (target: TargetId, port: number) => Location;
  readonly onTransition?: (transition: Transition) => void;
}

/** Keeps the targets of one target group: plays their state machines on the lab's clock and sends their checks. */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #targets = new Map<string, Watched>();

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
  }

  register(target: TargetId): void {
    const watched = this.#targets.get(key(target)) ?? { target, phase: NOT_REGISTERED, timers: new Set() };
    this.#targets.set(key(target), watched);
    this.#play(watched, {
      kind: 'register',
      at: this.#options.clock.now(),
      surroundings: this.#options.surroundings(target),
    });
  }

  /** Deregistering an unknown target does nothing, as on AWS. */
  deregister(target: TargetId): void {
    const watched = this.#targets.get(key(target));
    if (watched) this.#play(watched, { kind: 'deregister', at: this.#options.clock.now() });
  }

  /** To be called after an instance, a listener, a rule or a zone of the load balancer changed. */
  refresh(): void {
    for (const watched of [...this.#targets.values()]) {
      const surroundings = this.#options.surroundings(watched.target);
      this.#play(watched, { kind: 'surroundings', at: this.#options.clock.now(), surroundings });
    }
  }

  /** In the order of registration, draining ones included. */
  targets(): TargetId[] {
    return [...this.#targets.values()].map(({ target }) => target);
  }

  health(target: TargetId): ReportedHealth {
    return report(this.#targets.get(key(target))?.phase ?? NOT_REGISTERED);
  }

  /**
   * The targets that receive requests: the healthy ones; where there is none, all that are registered and not draining
   * (the load balancer fails open); none if there is no such target either.
   */
  rotation(): TargetId[] {
    const all = [...this.#targets.values()];
    const healthy = all.filter(({ phase }) => phase.kind === 'healthy');
    const serving = healthy.length > 0 ? healthy : all.filter(({ phase }) => isLastResort(phase));
    return serving.map(({ target }) => target);
  }

  close(): void {
    for (const watched of this.#targets.values()) stopTimers(watched);
    this.#targets.clear();
  }

  #play(watched: Watched, event: TargetEvent): void {
    const before = watched.phase;
    const after = step(before, event, this.#options.policy());
    if (after === before) return;
    watched.phase = after;
    if (after.kind === 'gone') this.#targets.delete(key(watched.target));
    const checksGoOn = isChecked(before) && isChecked(after);
    if (!checksGoOn) this.#reschedule(watched);
    this.#tell(watched, before, event.at);
  }

  #reschedule(watched: Watched): void {
    stopTimers(watched);
    const due = nextChange(watched.phase);
    if (due !== undefined) this.#at(watched, due, () => this.#play(watched, { kind: 'time', at: due }));
    if (isChecked(watched.phase)) this.#checkFrom(watched, this.#options.clock.now());
  }

  /** Checks at a fixed rate: the time that a target takes to answer does not shift the next check. */
  #checkFrom(watched: Watched, due: number): void {
    const { intervalSeconds } = this.#options.checks();
    const next = due + intervalSeconds * 1000;
    this.#at(watched, next, () => this.#checkFrom(watched, next));
    void this.#check(watched);
  }

  async #check(watched: Watched): Promise<void> {
    const { clock, send, locate } = this.#options;
    const settings = this.#options.checks();
    const port = settings.port === 'traffic-port' ? watched.target.port : Number(settings.port);
    const { privateIp, ...address } = locate(watched.target, port);
    const { timers } = watched;
    const { protocol, path, matcher } = settings;
    const hostHeader = `${privateIp}:${port}`;
    const timeoutMilliseconds = settings.timeoutSeconds * 1000;
    const result = await send({ protocol, path, matcher, hostHeader, timeoutMilliseconds, ...address }, clock);
    // A result that arrives after the target drained and registered again belongs to its former life.
    if (watched.timers === timers) this.#play(watched, { kind: 'check', at: clock.now(), result });
  }

  #at(watched: Watched, due: number, callback: () => void): void {
    const cancel = this.#options.clock.after(Math.max(0, due - this.#options.clock.now()), () => {
      watched.timers.delete(cancel);
      callback();
    });
    watched.timers.add(cancel);
  }

  #tell(watched: Watched, before: TargetPhase, at: number): void {
    const [from, to] = [report(before), report(watched.phase)];
    if (from.State === to.State && from.Reason === to.Reason && from.Description === to.Description) return;
    this.#options.onTransition?.({ target: watched.target, from, to, at });
  }
}

interface Watched {
  readonly target: TargetId;
  phase: TargetPhase;
  /** Replaced whenever checking starts or stops, so that its identity names a stretch of checks. */
  timers: Set<() => void>;
}

function stopTimers(watched: Watched): void {
  for (const cancel of watched.timers) cancel();
  watched.timers = new Set();
}

function key({ id, port }: TargetId): string {
  return `${id}:${port}`;
}

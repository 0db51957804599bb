import type { Problem } from '../problem.js';

/** What a verb says at its end: one line `@@report {json}` of at most 2,000 characters, the last line of stdout. */
export interface HostReport {
  readonly v: 1;
  readonly verb: string;
  readonly ok: boolean;
  readonly release: string;
  /** Seconds since the epoch, the host's clock. */
  readonly at: number;
  readonly problems: readonly Problem[];
  /** The release that `current` points to, or empty. */
  readonly current: string;
  readonly containers: readonly ContainerFact[];
  readonly pinned: readonly PinnedFact[];
  readonly facts: { readonly [name: string]: string | number | boolean };
}

/** A container of a rolled service: what runs, since when, and whether it was restarted. */
export interface ContainerFact {
  readonly service: string;
  /** First 12 characters of the container id. */
  readonly id: string;
  /** `sha256:…` of the image as the registry knows it; the image id where it was not pulled. */
  readonly digest: string;
  /** Docker's State.Status: running, restarting, exited, … */
  readonly state: string;
  /** healthy, unhealthy, starting; empty without a health check. */
  readonly health: string;
  /** Seconds since the epoch. */
  readonly startedAt: number;
  readonly restarts: number;
  readonly exitCode: number;
}

/** A pinned service as the host found it against the release. */
export interface PinnedFact {
  readonly service: string;
  readonly state: 'missing' | 'same' | 'changed' | 'recreated' | 'started';
}

const mark = '@@report ';

/**
 * The last whole report in what a host printed, or undefined. Noise before and after it is passed over (the agent adds
 * lines of its own); a report that the service cut off, or one with a field of another type, is no report.
 */
export function readReport(stdout: string): HostReport | undefined {
  const lines = stdout.split('\n').filter((line) => line.startsWith(mark));
  for (const line of lines.reverse()) {
    const report = parseReport(line.slice(mark.length));
    if (report) return report;
  }
  return undefined;
}

function parseReport(text: string): HostReport | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isReport(value) ? value : undefined;
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isCount: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const isFlag: Check = (value) => typeof value === 'boolean';
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);

function shape(checks: { readonly [key: string]: Check }): Check {
  return (value) => isRecord(value) && Object.entries(checks).every(([key, check]) => check(value[key]));
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isProblem = shape({
  code: isText,
  message: isText,
  cause: optional(isText),
  fix: optional(isText),
  where: optional(isText),
});

const isContainer = shape({
  service: isText,
  id: isText,
  digest: isText,
  state: isText,
  health: isText,
  startedAt: isCount,
  restarts: isCount,
  exitCode: isCount,
});

const isPinned = shape({ service: isText, state: oneOf('missing', 'same', 'changed', 'recreated', 'started') });

const isFacts: Check = (value) =>
  isRecord(value) && Object.values(value).every((fact) => isText(fact) || isCount(fact) || isFlag(fact));

const hasReportShape = shape({
  v: oneOf(1),
  verb: isText,
  ok: isFlag,
  release: isText,
  at: isCount,
  problems: listOf(isProblem),
  current: isText,
  containers: listOf(isContainer),
  pinned: listOf(isPinned),
  facts: isFacts,
});

function isReport(value: unknown): value is HostReport {
  return hasReportShape(value);
}

import { parseDuration } from '../duration.js';
import type { TargetId } from '../gate/target.js';
import { InputError, lines, optional, readInputs, required, text } from './inputs.js';

/** How many targets must be proven: all, a number, or a share of those that are watched. */
export type MinimumHealthy =
  | { readonly kind: 'all' }
  | { readonly kind: 'targets'; readonly targets: number }
  | { readonly kind: 'share'; readonly percent: number };

export interface HealthGateOptions {
  readonly targetGroup: string;
  /** Empty for all that are registered. */
  readonly targets: readonly TargetId[];
  readonly minimumHealthy: MinimumHealthy;
  /** Seconds since the epoch. */
  readonly since: number | undefined;
  readonly healthTimeoutSeconds: number | undefined;
  readonly stableForSeconds: number | undefined;
  readonly region: string;
}

/** The inputs of the health-gate action: names as in its action.yml, which a test compares. */
export const healthGateInputs = {
  'target-group': required(text),
  targets,
  'minimum-healthy': minimumHealthy,
  since: optional(epochSeconds),
  'health-timeout': optional(duration),
  'stable-for': optional(duration),
  'aws-region': region,
} as const;

/** Reads and checks them. Throws a ProblemsError with all that is wrong (INPUT_INVALID, INPUT_UNKNOWN). */
export function readHealthGateInputs(): HealthGateOptions {
  const inputs = readInputs(healthGateInputs);
  return {
    targetGroup: inputs['target-group'],
    targets: inputs.targets,
    minimumHealthy: inputs['minimum-healthy'],
    since: inputs.since,
    healthTimeoutSeconds: inputs['health-timeout'],
    stableForSeconds: inputs['stable-for'],
    region: inputs['aws-region'],
  };
}

/** Rounded up: 80% of 3 targets are all 3. */
export function minimumOf(minimum: MinimumHealthy, targets: number): number {
  switch (minimum.kind) {
    case 'all':
      return targets;
    case 'targets':
      return minimum.targets;
    case 'share':
      return Math.ceil((targets * minimum.percent) / 100);
    default:
      return minimum satisfies never;
  }
}

function targets(value: string): TargetId[] {
  return lines(value).map((line) => {
    const [, instance = '', port = ''] = /^(i-[0-9a-f]{8}|i-[0-9a-f]{17}):([1-9][0-9]{0,4})$/.exec(line) ?? [];
    if (instance === '' || Number(port) > 65535) {
      throw new InputError(`has the line '${line}', but each line must be INSTANCE:PORT (i-0123456789abcdef0:8080).`);
    }
    return { instance, port: Number(port) };
  });
}

function minimumHealthy(value: string): MinimumHealthy {
  if (value === '' || value === 'all') return { kind: 'all' };
  const [, number = '', percent] = /^([1-9][0-9]{0,3})(%?)$/.exec(value) ?? [];
  if (number !== '' && percent === '') return { kind: 'targets', targets: Number(number) };
  if (number !== '' && Number(number) <= 100) return { kind: 'share', percent: Number(number) };
  throw new InputError(`is '${value}', but must be all, a number of targets or a percentage from 1% to 100%.`);
}

/** Ten digits are seconds, as `date +%s` prints them; more of them are milliseconds, and a gate in the year 50000. */
const LATEST_EPOCH_SECONDS = 9_999_999_999;

function epochSeconds(value: string): number {
  const seconds = Number(value);
  if (!/^\d+(\.\d+)?$/.test(value) || seconds > LATEST_EPOCH_SECONDS) {
    throw new InputError(`is '${value}', but must be a time in seconds since the epoch, as date +%s prints it.`);
  }
  return seconds;
}

function duration(value: string): number {
  const seconds = parseDuration(value);
  if (seconds === undefined) throw new InputError(`is '${value}', but must be a time: 90, 90s, 5m or 1h30m.`);
  return seconds;
}

function region(value: string): string {
  const chosen = value || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION;
  if (chosen) return chosen;
  throw new InputError(
    'is empty and AWS_REGION is not set; run aws-actions/configure-aws-credentials before this step.',
  );
}

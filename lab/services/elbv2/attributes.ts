import type { Input } from '../../wire/service.js';
import { requiredObjects, requiredText, validation } from './input.js';

interface Attribute {
  readonly value: string;
  /** What a new value must match, or lie between. */
  readonly allowed?: RegExp | readonly [min: number, max: number];
}
export type Attributes = { readonly [key: string]: Attribute };

const SWITCH = /^(true|false)$/;
/** Cookies live for 1 s to a week. */
const COOKIE_SECONDS = [1, 604_800] as const;

/** Keys and defaults of an Application Load Balancer's target groups: API model. */
export const TARGET_GROUP_ATTRIBUTES: Attributes = {
  'deregistration_delay.timeout_seconds': { value: '300', allowed: [0, 3600] },
  'stickiness.enabled': { value: 'false', allowed: SWITCH },
  'stickiness.type': { value: 'lb_cookie', allowed: /^(lb_cookie|app_cookie)$/ },
  'stickiness.lb_cookie.duration_seconds': { value: '86400', allowed: COOKIE_SECONDS },
  'stickiness.app_cookie.duration_seconds': { value: '86400', allowed: COOKIE_SECONDS },
  'stickiness.app_cookie.cookie_name': { value: '' },
  'slow_start.duration_seconds': { value: '0', allowed: /^(0|[3-9]\d|[1-8]\d\d|900)$/ },
  'load_balancing.algorithm.type': {
    value: 'round_robin',
    allowed: /^(round_robin|least_outstanding_requests|weighted_random)$/,
  },
  'load_balancing.algorithm.anomaly_mitigation': { value: 'off', allowed: /^(on|off)$/ },
  'load_balancing.cross_zone.enabled': {
    value: 'use_load_balancer_configuration',
    allowed: /^(true|false|use_load_balancer_configuration)$/,
  },
  'target_group_health.dns_failover.minimum_healthy_targets.count': { value: '1', allowed: /^(off|\d+)$/ },
  'target_group_health.dns_failover.minimum_healthy_targets.percentage': { value: 'off', allowed: /^(off|\d+)$/ },
  'target_group_health.unhealthy_state_routing.minimum_healthy_targets.count': { value: '1', allowed: /^\d+$/ },
  'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage': {
    value: 'off',
    allowed: /^(off|\d+)$/,
  },
};

/** Keys and defaults of an Application Load Balancer: API model. */
export const LOAD_BALANCER_ATTRIBUTES: Attributes = {
  'access_logs.s3.enabled': { value: 'false', allowed: SWITCH },
  'access_logs.s3.bucket': { value: '' },
  'access_logs.s3.prefix': { value: '' },
  'health_check_logs.s3.enabled': { value: 'false', allowed: SWITCH },
  'health_check_logs.s3.bucket': { value: '' },
  'health_check_logs.s3.prefix': { value: '' },
  'idle_timeout.timeout_seconds': { value: '60', allowed: [1, 4000] },
  'client_keep_alive.seconds': { value: '3600', allowed: [60, 604_800] },
  'deletion_protection.enabled': { value: 'false', allowed: SWITCH },
  'load_balancing.cross_zone.enabled': { value: 'true', allowed: SWITCH },
  'routing.http2.enabled': { value: 'true', allowed: SWITCH },
  'routing.http.drop_invalid_header_fields.enabled': { value: 'false', allowed: SWITCH },
  'routing.http.xff_client_port.enabled': { value: 'false', allowed: SWITCH },
  'routing.http.preserve_host_header.enabled': { value: 'false', allowed: SWITCH },
  'routing.http.xff_header_processing.mode': { value: 'append', allowed: /^(append|preserve|remove)$/ },
  'routing.http.desync_mitigation_mode': { value: 'defensive', allowed: /^(monitor|defensive|strictest)$/ },
  'waf.fail_open.enabled': { value: 'false', allowed: SWITCH },
};

export function attribute(set: ReadonlyMap<string, string>, known: Attributes, key: string): string {
  return set.get(key) ?? known[key]?.value ?? '';
}

export function describeAttributes(set: ReadonlyMap<string, string>, known: Attributes): unknown[] {
  return Object.keys(known).map((Key) => ({ Key, Value: attribute(set, known, Key) }));
}

/** Sets what `Attributes` of the request says, or nothing if one of them is wrong. */
export function applyAttributes(
  set: Map<string, string>,
  input: Input,
  { known, noun }: { readonly known: Attributes; readonly noun: 'Target group' | 'Load balancer' },
): void {
  const wanted = requiredObjects(input, 'Attributes').map((one) => {
    const value = one.Value;
    return { key: requiredText(one, 'Key'), value: typeof value === 'string' ? value : '' };
  });
  for (const { key, value } of wanted) {
    const attribute = known[key];
    if (!attribute) throw validation(`${noun} attribute key '${key}' is not recognized`);
    if (!fits(value, attribute)) throw validation(`'${value}' is not a valid value for attribute '${key}'`);
  }
  for (const { key, value } of wanted) set.set(key, value);
}

function fits(value: string, { allowed }: Attribute): boolean {
  if (allowed === undefined) return true;
  if (allowed instanceof RegExp) return allowed.test(value);
  const [min, max] = allowed;
  return /^\d+$/.test(value) && Number(value) >= min && Number(value) <= max;
}

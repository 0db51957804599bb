import type { Findings } from './findings.js';
import { isMap, listOf } from './json.js';
import type { ComposeService, Json } from './model.js';
import { interpolate, TemplateError, type Values } from './template.js';

/** One published port. `published` is undefined where Docker picks a free one (none given, or a range for one port). */
export interface Port {
  /** Which entry of the service's `ports` it comes from. */
  readonly index: number;
  readonly target: number;
  readonly published: number | undefined;
  readonly hostIp: string;
  readonly protocol: string;
  /** The entry as it is written, for messages. */
  readonly text: string;
  /** Other keys of the long syntax, kept as they are. */
  readonly rest: { readonly [key: string]: Json };
}

/** `127.0.0.1:8000-8002:8000-8002/udp`; the address may be IPv6 in brackets. */
const SHORT =
  /^(?:(?:\[(?<v6>[^\]]+)\]|(?<v4>[^:]*)):)?(?:(?<published>\d*(?:-\d+)?):)?(?<target>\d+(?:-\d+)?)(?:\/(?<protocol>\w+))?$/;

/** The ports of a service, in either syntax; entries whose variables have no value yet are not among them. */
export function portsOf(service: ComposeService, values: Values): readonly Port[] {
  return listOf(service.ports).flatMap((entry, index) => readEntry(entry, index, values));
}

export function isLoopback(port: Port): boolean {
  return port.hostIp === '::1' || port.hostIp === 'localhost' || port.hostIp.startsWith('127.');
}

function readEntry(entry: Json, index: number, values: Values): readonly Port[] {
  if (!isMap(entry)) return readShort(settled(entry, values), index);
  const { target, published, host_ip, protocol, ...rest } = entry;
  return expand({
    index,
    target: settled(target, values),
    published: settled(published, values),
    hostIp: settled(host_ip, values),
    protocol: settled(protocol, values) || 'tcp',
    text: `${published ? `${settled(published, values)}:` : ''}${settled(target, values)}`,
    rest,
  });
}

function readShort(text: string, index: number): readonly Port[] {
  // `8080:80` matches an address and a port as well as two ports; what holds only digits is a port.
  const match = SHORT.exec(/^\d+(-\d+)?:\d+(-\d+)?(\/\w+)?$/.test(text) ? `:${text}` : text);
  if (!match?.groups) return [];
  const { v6, v4, published = '', target = '', protocol = 'tcp' } = match.groups;
  return expand({ index, target, published, hostIp: v6 ?? v4 ?? '', protocol, text, rest: { mode: 'ingress' } });
}

/** Ranges of equal length are pairs of ports; any other range is Docker's choice. */
function expand(port: Omit<Port, 'target' | 'published'> & { target: string; published: string }): readonly Port[] {
  const targets = range(port.target);
  const published = range(port.published);
  return targets.map((target, at) => ({
    ...port,
    target,
    published: published.length === targets.length ? published[at] || undefined : undefined,
  }));
}

function range(text: string): readonly number[] {
  const [first = '', last = first] = text.split('-');
  const from = Number(first);
  const to = Number(last);
  if (text === '' || !Number.isInteger(from) || !Number.isInteger(to) || to < from || to > 65_535) return [];
  return Array.from({ length: to - from + 1 }, (_, offset) => from + offset);
}

function settled(value: Json | undefined, values: Values): string {
  if (value === undefined || value === null) return '';
  try {
    const { text, unset } = interpolate(String(value), values);
    return unset.length === 0 ? text : '';
  } catch (error) {
    if (error instanceof TemplateError) return '';
    throw error;
  }
}

export interface WebPortChoice {
  readonly service: string;
  readonly definition: ComposeService;
  readonly values: Values;
  /** The ports that targets are registered on, or the target group's own: they tell which of several ports is meant. */
  readonly expected: readonly number[];
}

/** The port of a web service that the load balancer talks to; a refusal and undefined where there is none. */
export function chooseWebPort(
  { service, definition, values, expected }: WebPortChoice,
  findings: Findings,
): Port | undefined {
  const path = ['services', service, 'ports'];
  const entries = listOf(definition.ports);
  for (const entry of entries) {
    const written = isMap(entry) ? entry.published : entry;
    const whole = isMap(entry) ? entry.target : '';
    for (const text of [written, whole]) {
      if (typeof text !== 'string' || !text.includes('$')) continue;
      if (findings.settle(text, values, { path, hint: text }) === undefined) return undefined;
    }
  }
  const ports = portsOf(definition, values).filter(({ protocol }) => protocol === 'tcp');
  const fixed = ports.filter(({ published }) => published !== undefined);
  const reachable = fixed.filter((port) => !isLoopback(port));
  const wanted = reachable.filter(({ published }) => expected.includes(published ?? 0));
  if (reachable.length === 1) return reachable[0];
  if (wanted.length === 1) return wanted[0];
  if (reachable.length > 1) refuseSeveral(service, reachable, findings);
  else if (fixed[0]) refuseLoopback(service, fixed[0], findings);
  else refuseUnpublished(service, ports, findings);
  return undefined;
}

function refuseSeveral(service: string, ports: readonly Port[], findings: Findings): void {
  const named = ports.map(({ published }) => published).join(', ');
  findings.refuse(
    'WEB_PORT_AMBIGUOUS',
    `${service} publishes ${named}, and no target of its target group is registered on just one of them.`,
    {
      path: ['services', service, 'ports'],
      fix: `Register the targets on the port that the load balancer should use, or publish only that one.`,
    },
  );
}

function refuseLoopback(service: string, port: Port, findings: Findings): void {
  findings.refuse(
    'HOST_IP_LOOPBACK',
    `${service} publishes ${port.published} on ${port.hostIp} only: the load balancer can't reach it.`,
    {
      path: ['services', service, 'ports'],
      hint: String(port.published),
      fix: `Publish it as "${port.published}:${port.target}".`,
    },
  );
}

function refuseUnpublished(service: string, ports: readonly Port[], findings: Findings): void {
  const target = ports[0]?.target;
  const path = ['services', service, 'ports'];
  if (target === undefined)
    findings.refuse('WEB_PORT_NOT_PUBLISHED', `${service} is behind the load balancer but publishes no port.`, {
      path,
      fix: 'Add the port that the targets are registered on, such as ports: ["8080:3000"].',
    });
  else
    findings.refuse('WEB_PORT_RANDOM', `${service} publishes ${target} on a port that Docker picks at each start.`, {
      path,
      hint: String(target),
      fix: `Name the host port: "8080:${target}".`,
    });
}

/** The entries of `ports` with the web port moved to the slot's host port; a range around it is written out. */
export function movePort(definition: ComposeService, values: Values, web: Port, hostPort: number): readonly Json[] {
  const all = portsOf(definition, values);
  return listOf(definition.ports).flatMap((entry, index): readonly Json[] => {
    if (index !== web.index) return [entry];
    return all
      .filter((port) => port.index === index)
      .map((port) =>
        longPort(port, port.target === web.target && port.published === web.published ? hostPort : port.published),
      );
  });
}

function longPort({ target, hostIp, protocol, rest }: Port, published: number | undefined): Json {
  return {
    ...rest,
    target,
    protocol,
    ...(published === undefined ? {} : { published: String(published) }),
    ...(hostIp === '' ? {} : { host_ip: hostIp }),
  };
}

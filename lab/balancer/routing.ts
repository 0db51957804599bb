/** What a listener does with a request: pure, from the request line and the Host header to an action. */
export type RouteAction =
  | { readonly kind: 'forward'; readonly groups: readonly WeightedGroup[] }
  | { readonly kind: 'fixed-response'; readonly status: number; readonly contentType: string; readonly body: string }
  | ({ readonly kind: 'redirect'; readonly status: 301 | 302 } & RedirectTemplate);

/** `group` is the ARN of a target group. */
export interface WeightedGroup {
  readonly group: string;
  readonly weight: number;
}

/** Parts may hold `#{protocol}`, `#{host}`, `#{port}`, `#{path}` (without its first slash) and `#{query}`. */
export interface RedirectTemplate {
  readonly protocol: string;
  readonly host: string;
  readonly port: string;
  readonly path: string;
  readonly query: string;
}

export interface RouteCondition {
  readonly field: 'path-pattern' | 'host-header';
  /** `*` stands for any characters, `?` for one. */
  readonly patterns: readonly string[];
}

/** All conditions must hold; a rule without any is the listener's default rule and comes last. */
export interface RouteRule {
  readonly conditions: readonly RouteCondition[];
  readonly action: RouteAction;
}

export interface RequestTarget {
  /** Host header as sent, port included. */
  readonly host: string;
  /** Path and query as sent. */
  readonly url: string;
}

/** The action of the first rule that applies; `rules` come in order of priority. */
export function routeOf(rules: readonly RouteRule[], request: RequestTarget): RouteAction | undefined {
  return rules.find(({ conditions }) => conditions.every((condition) => applies(condition, request)))?.action;
}

/** Paths are matched with their case, without the query; host names without case and port. */
function applies({ field, patterns }: RouteCondition, request: RequestTarget): boolean {
  if (field === 'path-pattern')
    return patterns.some((pattern) => wildcard(pattern, '').test(splitUrl(request.url).path));
  return patterns.some((pattern) => wildcard(pattern, 'i').test(splitHost(request.host).name));
}

function wildcard(pattern: string, flags: 'i' | ''): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, flags);
}

/** The Location of a redirect action; it always names the port, as AWS's does. */
export function redirectLocation(
  template: RedirectTemplate,
  request: RequestTarget & { readonly protocol: 'HTTP' | 'HTTPS'; readonly port: number },
): string {
  const { path, query } = splitUrl(request.url);
  const values: { [name: string]: string } = {
    protocol: request.protocol.toLowerCase(),
    host: splitHost(request.host).name,
    port: String(request.port),
    path: path.slice(1),
    query,
  };
  const fill = (text: string) => text.replace(/#\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
  const search = fill(template.query);
  const protocol = fill(template.protocol).toLowerCase();
  return `${protocol}://${fill(template.host)}:${fill(template.port)}${fill(template.path)}${search ? `?${search}` : ''}`;
}

function splitUrl(url: string): { path: string; query: string } {
  const mark = url.indexOf('?');
  return mark < 0 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

function splitHost(host: string): { name: string } {
  return { name: host.replace(/:\d+$/, '') };
}

/** Round robin, and smooth weighted round robin: every choice is spread as evenly as the weights allow. */
export class Turns {
  #next = 0;
  readonly #credit = new Map<string, number>();

  among<T>(choices: readonly T[]): T | undefined {
    return choices[this.#next++ % Math.max(1, choices.length)];
  }

  weighted(groups: readonly WeightedGroup[]): WeightedGroup | undefined {
    const open = groups.filter(({ weight }) => weight > 0);
    const total = open.reduce((sum, { weight }) => sum + weight, 0);
    let best: WeightedGroup | undefined;
    for (const candidate of open) {
      this.#credit.set(candidate.group, this.#creditOf(candidate) + candidate.weight);
      if (!best || this.#creditOf(candidate) > this.#creditOf(best)) best = candidate;
    }
    if (best) this.#credit.set(best.group, this.#creditOf(best) - total);
    return best;
  }

  #creditOf({ group }: WeightedGroup): number {
    return this.#credit.get(group) ?? 0;
  }
}

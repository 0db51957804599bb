import type { RouteAction, RouteCondition } from '../../balancer/routing.js';
import type { Input } from '../../wire/service.js';
import { ServiceError } from '../../wire/service.js';
import { number, object, objects, requiredText, text, texts, validation } from './input.js';

/** An action of a listener or a rule. The lab has no authentication in front of its targets, so there is one per rule. */
export type Action = RouteAction;

export function parseActions(inputs: readonly Input[]): Action[] {
  if (inputs.length !== 1)
    throw new ServiceError('InvalidLoadBalancerAction', 'The load balancer of the lab takes exactly one action');
  return inputs.map(parseAction);
}

function parseAction(input: Input): Action {
  switch (text(input, 'Type')) {
    case 'forward':
      return parseForward(input);
    case 'fixed-response':
      return parseFixedResponse(object(input, 'FixedResponseConfig') ?? {});
    case 'redirect':
      return parseRedirect(object(input, 'RedirectConfig') ?? {});
    default:
      throw new ServiceError(
        'InvalidLoadBalancerAction',
        `The load balancer of the lab has no actions of type '${text(input, 'Type')}'`,
      );
  }
}

function parseForward(input: Input): Action {
  const single = text(input, 'TargetGroupArn');
  const several = objects(object(input, 'ForwardConfig') ?? {}, 'TargetGroups');
  if (several) return { kind: 'forward', groups: several.map(parseWeighted) };
  if (!single) throw validation('A target group ARN must be specified');
  return { kind: 'forward', groups: [{ group: single, weight: 1 }] };
}

function parseWeighted(input: Input): { group: string; weight: number } {
  return {
    group: requiredText(input, 'TargetGroupArn'),
    weight: number(input, 'Weight', { min: 0, max: 999 }) ?? 1,
  };
}

function parseFixedResponse(input: Input): Action {
  const status = requiredText(input, 'StatusCode');
  if (!/^[245]\d\d$/.test(status)) throw validation(`The status code '${status}' is not valid`);
  return {
    kind: 'fixed-response',
    status: Number(status),
    contentType: text(input, 'ContentType') ?? 'text/plain',
    body: text(input, 'MessageBody') ?? '',
  };
}

function parseRedirect(input: Input): Action {
  return {
    kind: 'redirect',
    status: text(input, 'StatusCode') === 'HTTP_302' ? 302 : 301,
    protocol: text(input, 'Protocol') ?? '#{protocol}',
    host: text(input, 'Host') ?? '#{host}',
    port: text(input, 'Port') ?? '#{port}',
    path: text(input, 'Path') ?? '/#{path}',
    query: text(input, 'Query') ?? '#{query}',
  };
}

export function parseConditions(inputs: readonly Input[]): RouteCondition[] {
  return inputs.map((input) => {
    const field = text(input, 'Field') ?? fieldOfConfig(input);
    if (field !== 'path-pattern' && field !== 'host-header')
      throw new ServiceError('InvalidConfigurationRequest', `The lab has no conditions on '${field}'`);
    const patterns = texts(object(input, CONFIG_OF[field]) ?? input, 'Values') ?? [];
    if (patterns.length === 0) throw validation('A condition value must be specified');
    return { field, patterns };
  });
}

const CONFIG_OF = { 'path-pattern': 'PathPatternConfig', 'host-header': 'HostHeaderConfig' } as const;

function fieldOfConfig(input: Input): string | undefined {
  if (object(input, 'PathPatternConfig')) return 'path-pattern';
  return object(input, 'HostHeaderConfig') ? 'host-header' : undefined;
}

export function describeActions(actions: readonly Action[]): unknown[] {
  return actions.map((action) => {
    switch (action.kind) {
      case 'forward':
        return describeForward(action.groups);
      case 'fixed-response': {
        const { status, contentType, body } = action;
        const config = { StatusCode: String(status), ContentType: contentType, MessageBody: body };
        return { Type: 'fixed-response', FixedResponseConfig: config };
      }
      case 'redirect': {
        const { protocol: Protocol, host: Host, port: Port, path: Path, query: Query } = action;
        const config = { Protocol, Host, Port, Path, Query, StatusCode: `HTTP_${action.status}` };
        return { Type: 'redirect', RedirectConfig: config };
      }
      default:
        return action satisfies never;
    }
  });
}

/** AWS repeats a single group at the top and in ForwardConfig. */
function describeForward(groups: readonly { readonly group: string; readonly weight: number }[]): unknown {
  const ForwardConfig = {
    TargetGroups: groups.map(({ group, weight }) => ({ TargetGroupArn: group, Weight: weight })),
    TargetGroupStickinessConfig: { Enabled: false },
  };
  const [first] = groups;
  return { Type: 'forward', ...(groups.length === 1 && first ? { TargetGroupArn: first.group } : {}), ForwardConfig };
}

export function describeConditions(conditions: readonly RouteCondition[]): unknown[] {
  return conditions.map(({ field, patterns }) => ({
    Field: field,
    Values: patterns,
    [CONFIG_OF[field]]: { Values: patterns },
  }));
}

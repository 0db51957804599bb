import { type Input, type Operation, ServiceError } from '../../wire/service.js';
import { type Action, describeActions, describeConditions, parseActions, parseConditions } from './actions.js';
import { number, objects, oneOf, page, requiredObjects, requiredText, text, texts, validation } from './input.js';
import type { Listener, Rule, Store } from './store.js';
import { addTags } from './tags.js';

export interface ListenerOperationsOptions {
  readonly store: Store;
  readonly startListener: (listener: Listener) => Promise<void>;
  readonly removeListener: (listener: Listener) => Promise<void>;
  /** To be called after what listeners and rules forward to has changed. */
  readonly refresh: () => void;
}

export function listenerOperations(options: ListenerOperationsOptions): { [name: string]: Operation } {
  const { store, refresh, removeListener } = options;
  return {
    CreateListener: async (input) => ({ Listeners: [describeListener(await createListener(options, input))] }),
    DescribeListeners: (input) => {
      const { items, next } = page(selectListeners(store, input), input);
      return { Listeners: items.map(describeListener), ...next };
    },
    ModifyListener: (input) => {
      const listener = modifyListener(store, input);
      refresh();
      return { Listeners: [describeListener(listener)] };
    },
    DeleteListener: async (input) => {
      await removeListener(store.listener(requiredText(input, 'ListenerArn')));
      return {};
    },
  };
}

export function ruleOperations({ store, refresh }: ListenerOperationsOptions): { [name: string]: Operation } {
  return {
    CreateRule: (input) => {
      const rule = createRule(store, input);
      refresh();
      return { Rules: [describeRule(rule)] };
    },
    DescribeRules: (input) => {
      const { items, next } = page(selectRules(store, input), input);
      return { Rules: items, ...next };
    },
    ModifyRule: (input) => {
      const rule = modifyRule(store, input);
      refresh();
      return { Rules: [describeRule(rule)] };
    },
    DeleteRule: (input) => {
      const { arn } = changeableRule(store, input, 'deleted');
      store.rules.delete(arn);
      store.tags.delete(arn);
      refresh();
      return {};
    },
  };
}

async function createListener({ store, startListener, refresh }: ListenerOperationsOptions, input: Input) {
  const loadBalancer = store.loadBalancer(requiredText(input, 'LoadBalancerArn'));
  const protocol = oneOf(input, 'Protocol', ['HTTP', 'HTTPS'] as const);
  if (!protocol) throw validation('A listener protocol must be specified');
  const port = number(input, 'Port', { min: 1, max: 65535 });
  if (port === undefined) throw validation('A listener port must be specified');
  refuseTakenPort(store, loadBalancer.arn, port);
  const certificates = certificateArns(input, protocol);
  const defaultActions = usableActions(store, input, { name: 'DefaultActions', loadBalancer: loadBalancer.arn });
  const arn = store.listenerArn(loadBalancer.arn);
  const listener: Listener = {
    arn,
    loadBalancer: loadBalancer.arn,
    port,
    protocol,
    certificates,
    defaultRule: store.ruleArn(arn),
    defaultActions,
    proxy: undefined,
  };
  await startListener(listener);
  store.listeners.set(arn, listener);
  addTags(store, arn, input);
  refresh();
  return listener;
}

function modifyListener(store: Store, input: Input): Listener {
  const listener = store.listener(requiredText(input, 'ListenerArn'));
  const port = number(input, 'Port', { min: 1, max: 65535 }) ?? listener.port;
  const protocol = oneOf(input, 'Protocol', ['HTTP', 'HTTPS'] as const) ?? listener.protocol;
  if (port !== listener.port) refuseTakenPort(store, listener.loadBalancer, port);
  const given = objects(input, 'Certificates') !== undefined;
  const certificates =
    given || protocol !== listener.protocol ? certificateArns(input, protocol) : listener.certificates;
  const { loadBalancer } = listener;
  const defaultActions =
    objects(input, 'DefaultActions') === undefined
      ? listener.defaultActions
      : usableActions(store, input, { name: 'DefaultActions', loadBalancer });
  return Object.assign(listener, { port, protocol, certificates, defaultActions });
}

function refuseTakenPort(store: Store, loadBalancer: string, port: number): void {
  if (store.listenersOf(loadBalancer).some((listener) => listener.port === port))
    throw new ServiceError(
      'DuplicateListener',
      `A listener already exists on this port for this load balancer '${loadBalancer}'`,
    );
}

function certificateArns(input: Input, protocol: 'HTTP' | 'HTTPS'): string[] {
  const arns = objects(input, 'Certificates')?.map((one) => requiredText(one, 'CertificateArn')) ?? [];
  if (protocol === 'HTTPS' && arns.length === 0)
    throw new ServiceError('CertificateNotFound', 'A certificate must be specified for HTTPS listeners');
  return arns;
}

/** The actions of a request, refused where they name unknown groups or groups of another load balancer. */
function usableActions(
  store: Store,
  input: Input,
  { name, loadBalancer }: { readonly name: 'Actions' | 'DefaultActions'; readonly loadBalancer: string },
): Action[] {
  const actions = parseActions(requiredObjects(input, name));
  const groups = actions.flatMap((action) => (action.kind === 'forward' ? action.groups : []));
  for (const { group } of groups) {
    const { arn } = store.group(group);
    if (store.loadBalancersUsing(arn).some((other) => other.arn !== loadBalancer))
      throw new ServiceError(
        'TargetGroupAssociationLimit',
        `The following target groups cannot be associated with more than one load balancer: ${arn}`,
      );
  }
  return actions;
}

function selectListeners(store: Store, input: Input): Listener[] {
  const arns = texts(input, 'ListenerArns');
  if (arns) return arns.map((arn) => store.listener(arn));
  const loadBalancer = text(input, 'LoadBalancerArn');
  if (!loadBalancer) throw validation('A load balancer ARN or listener ARNs must be specified');
  return store.listenersOf(store.loadBalancer(loadBalancer).arn);
}

function createRule(store: Store, input: Input): Rule {
  const listener = store.listener(requiredText(input, 'ListenerArn'));
  const priority = number(input, 'Priority', { min: 1, max: 50_000 });
  if (priority === undefined) throw validation('A rule priority must be specified');
  if (store.rulesOf(listener.arn).some((rule) => rule.priority === priority))
    throw new ServiceError('PriorityInUse', `Priority '${priority}' is currently in use`);
  const conditions = parseConditions(requiredObjects(input, 'Conditions'));
  const actions = usableActions(store, input, { name: 'Actions', loadBalancer: listener.loadBalancer });
  const rule = { arn: store.ruleArn(listener.arn), listener: listener.arn, priority, conditions, actions };
  store.rules.set(rule.arn, rule);
  addTags(store, rule.arn, input);
  return rule;
}

function modifyRule(store: Store, input: Input): Rule {
  const rule = changeableRule(store, input, 'modified');
  const { loadBalancer } = store.listener(rule.listener);
  const conditions = objects(input, 'Conditions');
  const changes = {
    ...(conditions ? { conditions: parseConditions(conditions) } : {}),
    ...(objects(input, 'Actions') ? { actions: usableActions(store, input, { name: 'Actions', loadBalancer }) } : {}),
  };
  return Object.assign(rule, changes);
}

function changeableRule(store: Store, input: Input, verb: 'modified' | 'deleted'): Rule {
  const arn = requiredText(input, 'RuleArn');
  if ([...store.listeners.values()].some(({ defaultRule }) => defaultRule === arn))
    throw new ServiceError('OperationNotPermitted', `Default rule '${arn}' cannot be ${verb}`);
  return store.rule(arn);
}

function selectRules(store: Store, input: Input): unknown[] {
  const arns = texts(input, 'RuleArns');
  if (!arns) {
    const listener = store.listener(requiredText(input, 'ListenerArn'));
    return [...store.rulesOf(listener.arn).map(describeRule), describeDefaultRule(listener)];
  }
  return arns.map((arn) => {
    const listener = [...store.listeners.values()].find(({ defaultRule }) => defaultRule === arn);
    return listener ? describeDefaultRule(listener) : describeRule(store.rule(arn));
  });
}

function describeListener(listener: Listener): unknown {
  const { certificates } = listener;
  return {
    ListenerArn: listener.arn,
    LoadBalancerArn: listener.loadBalancer,
    Port: listener.port,
    Protocol: listener.protocol,
    ...(certificates.length > 0
      ? { Certificates: certificates.map((CertificateArn) => ({ CertificateArn })), SslPolicy: DEFAULT_SSL_POLICY }
      : {}),
    DefaultActions: describeActions(listener.defaultActions),
  };
}

const DEFAULT_SSL_POLICY = 'ELBSecurityPolicy-2016-08';

function describeRule(rule: Rule): unknown {
  return {
    RuleArn: rule.arn,
    Priority: String(rule.priority),
    Conditions: describeConditions(rule.conditions),
    Actions: describeActions(rule.actions),
    IsDefault: false,
  };
}

function describeDefaultRule(listener: Listener): unknown {
  const Actions = describeActions(listener.defaultActions);
  return { RuleArn: listener.defaultRule, Priority: 'default', Conditions: [], Actions, IsDefault: true };
}

import { type Input, type Operation, ServiceError } from '../../wire/service.js';
import { objects, requiredObjects, requiredText, texts } from './input.js';
import type { Store } from './store.js';

export function tagOperations(store: Store): { [name: string]: Operation } {
  return {
    AddTags: (input) => {
      requiredObjects(input, 'Tags');
      for (const arn of resources(store, input)) addTags(store, arn, input);
      return {};
    },
    RemoveTags: (input) => {
      for (const arn of resources(store, input))
        for (const key of texts(input, 'TagKeys') ?? []) store.tags.get(arn)?.delete(key);
      return {};
    },
    DescribeTags: (input) => ({
      TagDescriptions: resources(store, input).map((ResourceArn) => ({
        ResourceArn,
        Tags: [...(store.tags.get(ResourceArn) ?? [])].map(([Key, Value]) => ({ Key, Value })),
      })),
    }),
  };
}

/** Gives a resource the `Tags` of a request, if it has any. */
export function addTags(store: Store, arn: string, input: Input): void {
  const tags = store.tags.get(arn) ?? new Map<string, string>();
  store.tags.set(arn, tags);
  for (const tag of objects(input, 'Tags') ?? []) {
    const value = tag.Value;
    tags.set(requiredText(tag, 'Key'), typeof value === 'string' ? value : '');
  }
}

function resources(store: Store, input: Input): string[] {
  const arns = texts(input, 'ResourceArns') ?? [];
  for (const arn of arns) exists(store, arn);
  return arns;
}

function exists(store: Store, arn: string): void {
  if (arn.includes(':loadbalancer/')) store.loadBalancer(arn);
  else if (arn.includes(':targetgroup/')) store.group(arn);
  else if (arn.includes(':listener/')) store.listener(arn);
  else if (arn.includes(':listener-rule/')) store.rule(arn);
  else throw new ServiceError('ValidationError', `'${arn}' is not a valid load balancer ARN`);
}

import type { Input } from './service.js';

interface Node {
  text?: string;
  readonly children: Map<string, Node>;
}

/**
 * Reads the form body of a query or ec2 request into nested values: `Targets.member.1.Id=i-1` becomes
 * `{Targets: [{Id: 'i-1'}]}`, `Filter.1.Value.1=web` becomes `{Filter: [{Value: ['web']}]}`. Every leaf stays text.
 */
export function parseForm(body: string): Input {
  const root: Node = { children: new Map() };
  for (const [key, text] of new URLSearchParams(body)) leafAt(root, key.split('.')).text = text;
  return Object.fromEntries([...root.children].map(([key, node]) => [key, toValue(node)]));
}

function leafAt(root: Node, path: readonly string[]): Node {
  let node = root;
  for (const part of path) {
    const next = node.children.get(part) ?? { children: new Map() };
    node.children.set(part, next);
    node = next;
  }
  return node;
}

function toValue(node: Node): unknown {
  const { children } = node;
  if (children.size === 0) return node.text ?? '';
  const member = children.get('member');
  if (member && children.size === 1 && isList(member)) return toValue(member);
  if (isList(node)) return [...children].sort(([a], [b]) => Number(a) - Number(b)).map(([, child]) => toValue(child));
  return Object.fromEntries([...children].map(([key, child]) => [key, toValue(child)]));
}

function isList({ children }: Node): boolean {
  return children.size > 0 && [...children.keys()].every((key) => /^\d+$/.test(key));
}

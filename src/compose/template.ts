/**
 * Compose's `${…}`: `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME-word}`, `${NAME:?message}`, `${NAME?message}`,
 * `${NAME:+word}`, `${NAME+word}`, words nest, `$$` is a dollar sign.
 */
export type Values = { readonly [name: string]: string };

type Operator = '' | ':-' | '-' | ':?' | '?' | ':+' | '+';
type Part =
  | { readonly kind: 'text'; readonly source: string; readonly text: string }
  | {
      readonly kind: 'variable';
      readonly source: string;
      readonly name: string;
      readonly operator: Operator;
      readonly word: string;
    };

export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

export interface TemplateVariable {
  readonly name: string;
  readonly required: boolean;
  readonly default?: string;
}

export interface Interpolation {
  readonly text: string;
  /** Variables that had to have a value and have none. */
  readonly unset: readonly string[];
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
const OPERATOR = /^(:-|:\?|:\+|-|\?|\+)/;

/** Throws a TemplateError on what compose calls an invalid interpolation format. */
export function variablesIn(text: string): readonly TemplateVariable[] {
  return parts(text).flatMap((part): readonly TemplateVariable[] => {
    if (part.kind === 'text') return [];
    const nested = isMessage(part.operator)
      ? []
      : variablesIn(part.word).map((inner) => ({ ...inner, required: false }));
    const own = { name: part.name, required: isMessage(part.operator) };
    return [isDefault(part.operator) ? { ...own, default: part.word } : own, ...nested];
  });
}

/** The text as compose would read it with these values. */
export function interpolate(text: string, values: Values): Interpolation {
  const unset: string[] = [];
  const texts = parts(text).map((part) => {
    if (part.kind === 'text') return part.text;
    const value = values[part.name];
    const present = part.operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
    if (isAlternative(part.operator)) return present ? nested(part.word) : '';
    if (present) return value ?? '';
    if (isDefault(part.operator)) return nested(part.word);
    unset.push(part.name);
    return '';
  });
  return { text: texts.join(''), unset };

  function nested(word: string): string {
    const inner = interpolate(word, values);
    unset.push(...inner.unset);
    return inner.text;
  }
}

/** Settles one variable and leaves the others as they are written. */
export function bind(text: string, name: string, value: string): string {
  return parts(text)
    .map((part) => {
      if (part.kind === 'text') return part.source;
      if (part.name === name) return escapeDollars(interpolate(part.source, { [name]: value }).text);
      return part.word.includes('$') ? part.source.replace(part.word, () => bind(part.word, name, value)) : part.source;
    })
    .join('');
}

/** Plain text as compose's interpolation has to see it to give it back unchanged. */
export function escapeDollars(text: string): string {
  return text.replaceAll('$', '$$$$');
}

function isDefault(operator: Operator): boolean {
  return operator.endsWith('-');
}

function isMessage(operator: Operator): boolean {
  return operator.endsWith('?');
}

function isAlternative(operator: Operator): boolean {
  return operator.endsWith('+');
}

function parts(text: string): readonly Part[] {
  const found: Part[] = [];
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    const end = dollar < 0 ? text.length : dollar;
    if (end > at) found.push({ kind: 'text', source: text.slice(at, end), text: text.slice(at, end) });
    if (dollar < 0) break;
    const part = partAt(text, dollar);
    found.push(part);
    at = dollar + part.source.length;
  }
  return found;
}

function partAt(text: string, dollar: number): Part {
  const rest = text.slice(dollar + 1);
  if (rest.startsWith('$')) return { kind: 'text', source: '$$', text: '$' };
  if (rest.startsWith('{')) return bracedAt(text, dollar);
  const name = NAME.exec(rest)?.[0];
  if (name === undefined) throw new TemplateError(`"$" must be written "$$" where it is no variable: ${text}`);
  return { kind: 'variable', source: `$${name}`, name, operator: '', word: '' };
}

function bracedAt(text: string, dollar: number): Part {
  const source = text.slice(dollar, closingBrace(text, dollar) + 1);
  const inside = source.slice(2, -1);
  const name = NAME.exec(inside)?.[0] ?? '';
  const after = inside.slice(name.length);
  const operator = (OPERATOR.exec(after)?.[0] ?? '') as Operator;
  if (name === '' || (operator === '' && after !== '')) throw new TemplateError(`compose can't read ${source}`);
  return { kind: 'variable', source, name, operator, word: after.slice(operator.length) };
}

function closingBrace(text: string, dollar: number): number {
  let depth = 0;
  for (let at = dollar; at < text.length; at += 1) {
    if (text.startsWith('${', at)) depth += 1;
    if (text[at] === '}') depth -= 1;
    if (text[at] === '}' && depth === 0) return at;
  }
  throw new TemplateError(`a closing brace is missing: ${text}`);
}

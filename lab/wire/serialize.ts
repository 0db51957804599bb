/**
 * How operations answer: plain values whose keys are the names on the wire. An array is a list, a Date a time, `undefined`
 * is left out. JSON writes times as epoch seconds; XML as ISO 8601, and each element of a list inside the name that the
 * protocol gives it (`member` for query, `item` for ec2). An empty list stays an empty element.
 */
export type ListElement = 'member' | 'item';

export function toJson(value: unknown): string {
  return JSON.stringify(jsonValue(value ?? {}));
}

function jsonValue(value: unknown): unknown {
  if (value instanceof Date) return value.getTime() / 1000;
  if (Array.isArray(value)) return value.map(jsonValue);
  if (isRecord(value)) return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, jsonValue(field)]));
  return value;
}

export function toXml(name: string, value: unknown, listElement: ListElement): string {
  if (value === undefined || value === null) return '';
  const content = xmlContent(value, listElement);
  return content === '' ? `<${name}/>` : `<${name}>${content}</${name}>`;
}

/** The fields of a record one after the other, without an element around them. */
export function toXmlFields(value: unknown, listElement: ListElement): string {
  return value === undefined || value === null ? '' : xmlContent(value, listElement);
}

function xmlContent(value: unknown, listElement: ListElement): string {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((element) => toXml(listElement, element, listElement)).join('');
  if (!isRecord(value)) return escapeXml(String(value));
  return Object.entries(value)
    .map(([key, field]) => toXml(key, field, listElement))
    .join('');
}

const ENTITIES: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\r': '&#xD;',
};

// XML 1.0 has no way to write most control characters, not even as a reference.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that XML forbids
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

export function escapeXml(text: string): string {
  return text.replace(FORBIDDEN, '\ufffd').replace(/[&<>"'\r]/g, (character) => ENTITIES[character] ?? character);
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null;
}

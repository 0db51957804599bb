// biome-ignore-all lint/suspicious/noTemplateCurlyInString: compose's own ${…}, not JavaScript's
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bind, escapeDollars, interpolate, TemplateError, variablesIn } from '../../src/compose/template.js';
import { dockerCli } from '../../src/image/docker.js';

const VALUES = { SET: 'set', EMPTY: '' };
const TEXTS = [
  '$SET-${SET}-$$SET',
  '${UNSET:-default}${EMPTY:-default}${EMPTY-default}',
  '${SET:+alternative}${EMPTY:+alternative}${EMPTY+alternative}${UNSET+alternative}',
  '${UNSET:-${EMPTY:-${SET}}}',
  '${SET:?message}${EMPTY?message}',
  '${UNSET:-a b:c/d}',
];

test('reads what compose reads', async () => {
  const question = {
    services: { x: { image: 'x', environment: Object.fromEntries(TEXTS.map((text, index) => [`T${index}`, text])) } },
  };
  const { stdout } = await dockerCli().run(
    ['compose', '-p', 'x', '--env-file', '/dev/null', '-f', '-', 'config', '--format', 'json'],
    { input: JSON.stringify(question), env: VALUES },
  );
  const environment = (JSON.parse(stdout) as { services: { x: { environment: Record<string, string> } } }).services.x
    .environment;
  const ours = Object.fromEntries(
    TEXTS.map((text, index) => [`T${index}`, escapeDollars(interpolate(text, VALUES).text)]),
  );
  expect(ours).toEqual(environment);
});

describe('templates', () => {
  test('name what they need', () => {
    expect(variablesIn('${A} $B ${C:-c} ${D:?say} ${E:-${F?}} $$G')).toEqual([
      { name: 'A', required: false },
      { name: 'B', required: false },
      { name: 'C', required: false, default: 'c' },
      { name: 'D', required: true },
      { name: 'E', required: false, default: '${F?}' },
      { name: 'F', required: false },
    ]);
  });

  test('one variable is settled and the rest stays as written', () => {
    expect(bind('${A}-$B-${C:-${A}}-$$A', 'A', 'x$y')).toBe('x$$y-$B-${C:-x$$y}-$$A');
  });

  test.each(['${A', '${}', '$ 5', '${A!b}', 'cost: 5$'])('%s is refused', (text) => {
    expect(() => variablesIn(text)).toThrow(TemplateError);
  });

  test('any text comes back unchanged once its dollars are escaped', () => {
    fc.assert(fc.property(fc.string(), (text) => interpolate(escapeDollars(text), {}).text === text));
  });
});

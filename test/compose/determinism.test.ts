import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { collectFiles } from '../../src/compose/collect.js';
import { compile } from '../../src/compose/compile.js';
import { isMap, stableJson } from '../../src/compose/json.js';
import type { ComposeModel, Json } from '../../src/compose/model.js';
import { blueSlot, greenSlot } from '../../src/compose/slot-ports.js';
import { checkout, DIGEST, parsed, removeCheckouts } from './project.js';

afterAll(removeCheckouts);

const FILES = {
  'conf/a.conf': 'a',
  'conf/b.conf': 'b',
  'compose.yaml': `services:
  web: {image: nginx, ports: ["80:80"], volumes: ["./conf:/etc/nginx:ro"], networks: [front]}
  api: {build: ., networks: [front, back], environment: {B: "1", A: "2"}, volumes: ["up:/up"], depends_on: [db]}
  db: {image: postgres, networks: [back], volumes: ["data:/data", "up:/up"]}
networks: {front: {}, back: {}}
volumes: {up: {}, data: {}}
`,
};

function shuffled(value: Json, random: () => number): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => shuffled(item, random));
  if (!isMap(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => ({ key, item: shuffled(item, random), order: random() }));
  return Object.fromEntries(entries.sort((a, b) => a.order - b.order).map(({ key, item }) => [key, item]));
}

test('the same repository compiles to the same bytes, in whatever order its keys are written', async () => {
  const composed = await parsed(checkout(FILES));
  const facts = await collectFiles(composed);
  const bytes = (model: ComposeModel) => {
    const options = {
      parsed: { ...composed, model },
      facts,
      app: 'shop',
      environment: 'production',
      images: { api: `r@${DIGEST}` },
      service: ['web'],
    };
    const { web } = compile(options);
    return stableJson(compile({ ...options, slots: [blueSlot(web), greenSlot(web)] }));
  };
  const first = bytes(composed.model);
  fc.assert(
    fc.property(fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (numbers) => {
      const random = () => numbers.next().value as number;
      expect(bytes(shuffled(composed.model as Json, random) as ComposeModel)).toBe(first);
    }),
    { numRuns: 50 },
  );
});

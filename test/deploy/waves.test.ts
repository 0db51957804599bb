import { describe, expect, test } from '@jest/globals';
import { planWaves } from '../../src/deploy/waves.js';

const fleet = (count: number, unhealthy: readonly number[] = []) =>
  Array.from({ length: count }, (_, index) => ({ id: `h${index}`, healthy: !unhealthy.includes(index) }));
const shape = (waves: readonly (readonly { id: string }[])[]) => waves.map((wave) => wave.map(({ id }) => id));

describe('waves', () => {
  test('the first is one host, the others as many as asked for', () => {
    expect(shape(planWaves(fleet(6), { kind: 'hosts', hosts: 2 }))).toEqual([
      ['h0'],
      ['h1', 'h2'],
      ['h3', 'h4'],
      ['h5'],
    ]);
  });

  test('a share is rounded down, and never less than one host', () => {
    expect(planWaves(fleet(9), { kind: 'share', percent: 25 }).map((wave) => wave.length)).toEqual([1, 2, 2, 2, 2]);
    expect(planWaves(fleet(2), { kind: 'share', percent: 25 }).map((wave) => wave.length)).toEqual([1, 1]);
  });

  test('hosts that are not healthy have least to lose and come first', () => {
    expect(shape(planWaves(fleet(4, [2]), { kind: 'hosts', hosts: 3 }))).toEqual([['h2'], ['h0', 'h1', 'h3']]);
  });

  test('every host is in exactly one wave', () => {
    const waves = planWaves(fleet(1000), { kind: 'share', percent: 10 });
    expect(new Set(waves.flat().map(({ id }) => id)).size).toBe(1000);
    expect(waves.flat()).toHaveLength(1000);
  });

  test('one host is one wave, none is none', () => {
    expect(shape(planWaves(fleet(1), { kind: 'share', percent: 100 }))).toEqual([['h0']]);
    expect(planWaves([], { kind: 'share', percent: 100 })).toEqual([]);
  });
});

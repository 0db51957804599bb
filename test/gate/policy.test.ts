import { describe, expect, test } from '@jest/globals';
import { formatDuration, parseDuration } from '../../src/duration.js';
import { leastSeconds, policyFor } from '../../src/gate/policy.js';
import { DEFAULT_CHECK, QUICK_CHECK } from './fixtures.js';

describe('the waits', () => {
  test('come from the numbers of a target group that nobody touched', () => {
    const policy = policyFor({ healthCheck: DEFAULT_CHECK });
    expect(policy).toMatchObject({
      observationWindowSeconds: 65,
      recoverySeconds: 150,
      stableForSeconds: 30,
      longestGapSeconds: 30,
      targetSeconds: 30 + 65 + 150 + 30,
      totalSeconds: 275 + 60,
    });
    expect(policy.explanation).toBe(
      'checks every 30 s, healthy after 5, unhealthy after 2; a swap in place is believed after 1m5s (2 × 30 s + 5 s); ' +
        'healthy must hold for 30s; limits: 4m35s a target, 4m35s without progress, 5m35s in all',
    );
    expect([leastSeconds(policy, 'registered'), leastSeconds(policy, 'swapped')]).toEqual([30, 95]);
  });

  test('are short with quick checks, but never shorter than anything could be seen in', () => {
    expect(policyFor({ healthCheck: QUICK_CHECK })).toMatchObject({
      observationWindowSeconds: 25,
      stableForSeconds: 10,
      targetSeconds: 120,
    });
    const quickest = policyFor({ healthCheck: { ...QUICK_CHECK, intervalSeconds: 5 } });
    expect(quickest).toMatchObject({ stableForSeconds: 10, longestGapSeconds: 10 });
  });

  test('grow with the start period of the application', () => {
    const policy = policyFor({ healthCheck: DEFAULT_CHECK }, { startPeriodSeconds: 120 });
    expect(policy.targetSeconds).toBe(275 + 120);
  });

  test('are the user’s where the user says so', () => {
    const policy = policyFor({ healthCheck: DEFAULT_CHECK }, { healthTimeoutSeconds: 600, stableForSeconds: 45 });
    expect(policy).toMatchObject({ targetSeconds: 600, progressSeconds: 600, totalSeconds: 660, stableForSeconds: 45 });
  });

  test.each([
    ['stable-for', { stableForSeconds: 9 }],
    ['stable-for', { stableForSeconds: Number.NaN }],
    ['health-timeout', { healthTimeoutSeconds: 30 }],
    ['minimum-healthy', { minimumHealthy: 0 }],
    ['minimum-healthy', { minimumHealthy: 1.5 }],
  ])('%s that can prove nothing is refused: %j', (where, options) => {
    const refused = () => policyFor({ healthCheck: DEFAULT_CHECK }, options);
    const problems = [expect.objectContaining({ code: 'INPUT_INVALID', where })];
    expect(refused).toThrow(expect.objectContaining({ problems }));
  });
});

describe('a duration', () => {
  test.each([
    ['600', 600],
    ['90s', 90],
    ['5m', 300],
    ['1h30m', 5400],
    ['1m5s', 65],
    [' 0 ', 0],
  ])('%s is %d seconds', (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  test.each(['', 's', '5 m', '-5', '1.5m', '30s5m', '5min', '1e3'])("'%s' is none", (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );

  test.each([0, 1, 59, 60, 65, 3600, 5405])('%d seconds are written as they are read', (seconds) =>
    expect(parseDuration(formatDuration(seconds))).toBe(seconds),
  );
});

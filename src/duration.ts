const SECONDS_PER_UNIT = { h: 3600, m: 60, s: 1 } as const;

/**
 * Reads `90s`, `5m`, `1h30m` or a bare number of seconds (`600`). Returns seconds, or undefined for anything else.
 * Parts come largest first, each at most once, in whole numbers.
 */
export function parseDuration(text: string): number | undefined {
  const words = text.trim();
  if (/^\d+$/.test(words)) return Number(words);
  const parts = /^(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(words);
  if (!parts) return undefined;
  const [, hours = '0', minutes = '0', seconds = '0'] = parts;
  return Number(hours) * SECONDS_PER_UNIT.h + Number(minutes) * SECONDS_PER_UNIT.m + Number(seconds);
}

/** Writes seconds as `parseDuration` reads them: 45 is `45s`, 90 is `1m30s`, 3600 is `1h`. Rounds to whole seconds. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / SECONDS_PER_UNIT.h);
  const minutes = Math.floor((whole % SECONDS_PER_UNIT.h) / SECONDS_PER_UNIT.m);
  const rest = whole % SECONDS_PER_UNIT.m;
  const text = `${hours ? `${hours}h` : ''}${minutes ? `${minutes}m` : ''}${rest ? `${rest}s` : ''}`;
  return text || '0s';
}

/** How many hosts change at once: a number, or a share of the fleet. */
export type WaveSize =
  | { readonly kind: 'hosts'; readonly hosts: number }
  | { readonly kind: 'share'; readonly percent: number };

/**
 * Divides the fleet into waves. The first is one host (the canary), the others `size` hosts each; hosts that are not
 * healthy come first, since they have least to lose.
 */
export function planWaves<H extends { readonly healthy: boolean }>(fleet: readonly H[], size: WaveSize): H[][] {
  const [canary, ...rest] = [...fleet].sort((one, other) => Number(one.healthy) - Number(other.healthy));
  if (canary === undefined) return [];
  const step = hostsOf(size, fleet.length);
  const waves = [[canary]];
  for (let start = 0; start < rest.length; start += step) waves.push(rest.slice(start, start + step));
  return waves;
}

/** A share is rounded down, so that a wave never takes more than was asked for; it is never less than one host. */
function hostsOf(size: WaveSize, fleet: number): number {
  switch (size.kind) {
    case 'hosts':
      return size.hosts;
    case 'share':
      return Math.max(1, Math.floor((fleet * size.percent) / 100));
    default:
      return size satisfies never;
  }
}

import type { FleetHost } from './fleet.js';
import type { Strategy, StrategyChoice } from './options.js';

export interface ChosenStrategy {
  readonly strategy: Strategy;
  /** One sentence for the plan. */
  readonly because: string;
}

/** Rolling takes a host out of service while it changes, so it needs another healthy one to serve meanwhile. */
export function chooseStrategy(asked: StrategyChoice, fleet: readonly FleetHost[]): ChosenStrategy {
  if (asked !== 'auto') return { strategy: asked, because: 'it was asked for' };
  const healthy = fleet.filter((host) => host.healthy).length;
  if (healthy >= 2)
    return { strategy: 'rolling', because: `${healthy} hosts are healthy, so others serve while one changes` };
  if (healthy === 0) return { strategy: 'recreate', because: 'no host is healthy, so there is no traffic to protect' };
  return {
    strategy: 'recreate',
    because:
      'only one host is healthy, so it is down while its containers are replaced; a second healthy host would make it rolling',
  };
}

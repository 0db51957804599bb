import type { Problem } from '../problem.js';
import { containerProblem } from './problems.js';
import { isStable, type Law } from './rules.js';
import type { TargetState } from './target-state.js';
import type { ContainerObservation, ExpectedContainer, HostLook } from './watched.js';

/** Docker restarts a crashing container at once, then ever more slowly: this many are no accident (our choice). */
const RESTARTS_OF_A_LOOP = 3;
/** The two looks that compare restart counts lie at least this far apart, or they compare nothing (our choice). */
export const COMPARISON_SECONDS = 10;

/** True without expected containers, or when two looks within the present stretch found the same ones running. */
export function verified({ target, stretch, hosts }: TargetState): boolean {
  if (!target.containers) return true;
  return stretch !== undefined && hosts.verifiedAt !== undefined && hosts.verifiedAt >= stretch.from;
}

/** Whether the first of those two looks was made. */
export function compared({ target, stretch, hosts }: TargetState): boolean {
  if (!target.containers) return true;
  return stretch !== undefined && hosts.comparedFrom !== undefined && hosts.comparedFrom >= stretch.from;
}

/** Takes in the containers of the target's host. A restart before the comparison began only breaks the stretch. */
export function seeContainers(state: TargetState, look: HostLook, law: Law): TargetState {
  const findings = (state.target.containers ?? []).map((expected) => inspect(state, expected, look, law));
  const next = { ...state, hosts: { ...state.hosts, ...remember(state, look) } };
  const final = findings.find((finding) => finding.kind === 'final');
  if (final) return { ...next, final: final.problem };
  if (findings.some(({ kind }) => kind === 'moved')) return { ...next, stretch: undefined };
  return findings.some(({ kind }) => kind === 'absent') ? next : { ...next, hosts: compare(next, look, law) };
}

type Finding = { readonly kind: 'same' | 'moved' | 'absent' } | { readonly kind: 'final'; readonly problem: Problem };

function inspect(state: TargetState, expected: ExpectedContainer, look: HostLook, law: Law): Finding {
  const found = look.containers.find(({ service }) => service === expected.service);
  const fail = (code: string): Finding => ({
    kind: 'final',
    problem: containerProblem(code, state.target, expected, found),
  });
  if (!found) return isStable(state.stretch, law) ? fail('CONTAINER_MISSING') : { kind: 'absent' };
  if (found.digest !== expected.digest) return fail('WRONG_DIGEST');
  if (expected.id !== undefined && !sameId(expected.id, found.id)) return fail('CONTAINER_REPLACED');
  if (finishedItsWork(state, found)) return { kind: 'same' };
  if (found.state === 'exited' || found.state === 'dead') return fail('CONTAINER_EXITED');
  const before = state.hosts.containers.find(({ service }) => service === expected.service);
  if (loops(state, before, found)) return fail('CONTAINER_RESTARTING');
  if (moved(before, found)) return compared(state) ? fail('CONTAINER_RESTARTED') : { kind: 'moved' };
  return { kind: found.state === 'running' ? 'same' : 'absent' };
}

/** A service that runs once and ends well beside the one that holds the port (Docker would restart any other). */
function finishedItsWork({ target }: TargetState, { service, state, exitCode }: ContainerObservation): boolean {
  return state === 'exited' && exitCode === 0 && service !== target.containers?.[0]?.service;
}

function sameId(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one);
}

function loops(state: TargetState, before: ContainerObservation | undefined, found: ContainerObservation): boolean {
  const first = state.hosts.firstRestarts[found.service] ?? found.restarts;
  return (
    found.restarts - first >= RESTARTS_OF_A_LOOP || (before?.state === 'restarting' && found.state === 'restarting')
  );
}

/** A `docker restart` by hand does not count as one, but starts the container anew. */
function moved(before: ContainerObservation | undefined, found: ContainerObservation): boolean {
  if (found.state === 'restarting') return true;
  if (!before) return false;
  return before.id !== found.id || before.restarts !== found.restarts || before.startedAt !== found.startedAt;
}

function remember({ hosts }: TargetState, { containers }: HostLook) {
  const restarts = Object.fromEntries(containers.map(({ service, restarts }) => [service, restarts]));
  return { containers, firstRestarts: { ...restarts, ...hosts.firstRestarts } };
}

/** Two clean looks within one stretch: the first begins the comparison, one after the stretch became stable ends it. */
function compare(state: TargetState, { askedAt, at }: HostLook, law: Law): TargetState['hosts'] {
  const { stretch, hosts } = state;
  if (!stretch || askedAt < stretch.from) return hosts;
  if (!compared(state)) return { ...hosts, comparedFrom: at };
  const apart = askedAt - (hosts.comparedFrom ?? at) >= COMPARISON_SECONDS * 1000;
  const stableThen = law.rules.stable({ ...stretch, to: askedAt }, law.policy);
  return apart && stableThen && isStable(state.stretch, law) ? { ...hosts, verifiedAt: askedAt } : hosts;
}

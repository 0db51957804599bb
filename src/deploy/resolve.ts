import { resolve as absolute } from 'node:path';
import type { Repository } from '../aws/registry.js';
import { collectFiles } from '../compose/collect.js';
import { ANY_SERVICE, compile, projectName } from '../compose/compile.js';
import type { FileFacts } from '../compose/files.js';
import type { CompiledRelease } from '../compose/model.js';
import { type ParsedCompose, parseCompose } from '../compose/parse.js';
import { blueSlot, checkPorts } from '../compose/slot-ports.js';
import { type Problem, ProblemCollector, ProblemsError, problem } from '../problem.js';
import { type FleetHost, type Group, groupProblems, readFleet, readGroup, requireReady } from './fleet.js';
import type { DeployOptions } from './options.js';
import type { World } from './world.js';

/** What a deploy is about, looked up and checked before anything is touched. */
export interface Resolved {
  readonly groups: readonly Group[];
  readonly fleet: readonly FleetHost[];
  /** Instance ids of the hosts that serve a release of this app already. */
  readonly serving: ReadonlySet<string>;
  /** Undefined where the build has to create it. */
  readonly repository: Repository | undefined;
  readonly compose: Compose;
  /** Compiled without the images, which are not built yet: what is refused is refused now. */
  readonly draft: CompiledRelease;
}

/** The compose file as it was read, with the files that it refers to. */
export interface Compose {
  readonly parsed: ParsedCompose;
  readonly facts: FileFacts;
}

/** Looks everything up at once and throws a ProblemsError with all that is wrong. */
export async function resolve(options: DeployOptions, world: World): Promise<Resolved> {
  const found = new ProblemCollector();
  const [groups, repository, compose] = await Promise.all([
    readGroups(options, world, found),
    found.attempt(() => findRepository(world, { name: repositoryName(options), mayCreate: options.createRepository })),
    found.attempt(() => readCompose(options, world)),
  ]);
  const knowsFleet = groups.length > 0 || options.fleet.kind !== 'registered';
  const [fleet, draft] = await Promise.all([
    knowsFleet ? found.attempt(() => readFleet(world, options.fleet, groups)) : undefined,
    compose && found.attempt(() => compileRelease(options, compose, groups)),
  ]);
  if (compose && draft) found.add(...portProblems(groups, compose, draft));
  const serving = fleet && (await found.attempt(() => requireReady(world, options, fleet)));
  found.throwIfAny();
  if (!compose || !fleet || !draft || !serving) throw new Error('A check failed in silence.');
  return { groups, fleet, serving, repository, compose, draft };
}

/** Those that could be read: what depends on them is checked as far as they go. */
async function readGroups(options: DeployOptions, world: World, found: ProblemCollector): Promise<Group[]> {
  const groups = await Promise.all(options.targetGroups.map((choice) => found.attempt(() => readGroup(world, choice))));
  const known = groups.filter((group) => group !== undefined);
  found.add(...known.flatMap(({ group }) => groupProblems(group)));
  return known;
}

/** Undefined where it may be created; that is left to the build, since nothing is touched before all checks are over. */
export async function findRepository(
  { registry }: Pick<World, 'registry'>,
  { name, mayCreate }: { name: string; mayCreate: boolean },
): Promise<Repository | undefined> {
  try {
    return await registry.describe(name);
  } catch (error) {
    const isMissing = error instanceof ProblemsError && error.problems[0]?.code === 'REPOSITORY_NOT_FOUND';
    if (isMissing && mayCreate) return undefined;
    throw error;
  }
}

export function repositoryName({ repository, image = '' }: DeployOptions): string {
  return repository ?? repositoryOf(image);
}

/** `REGISTRY/NAME@sha256:…` or `REGISTRY/NAME:TAG`: the bundle goes where the image is. */
function repositoryOf(image: string): string {
  const [, name] = /^[^/]+\/([^@]+?)(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$/.exec(image) ?? [];
  if (name) return name;
  throw problem(
    'INPUT_INVALID',
    `Input 'image' is '${image}', but must name an image in ECR: REGISTRY/REPOSITORY@sha256:… or :TAG.`,
  );
}

async function readCompose(options: DeployOptions, world: World): Promise<Compose> {
  const parsed = await parseCompose({
    projectDirectory: absolute(options.projectDirectory),
    project: projectName(options.app, options.environment),
    ...(options.composeFiles.length > 0 ? { files: options.composeFiles } : {}),
    ...(options.envFiles.length > 0 ? { envFiles: options.envFiles } : {}),
    docker: world.docker,
  });
  return { parsed, facts: await collectFiles(parsed) };
}

/** Compiles for the slot that is swapped in place; `images` are the built ones, by service. */
export function compileRelease(
  { app, environment, services, targetGroups }: DeployOptions,
  compose: Compose,
  groups: readonly Group[],
  images: { readonly [service: string]: string } = {},
): CompiledRelease {
  const named = targetGroups.flatMap(({ service }) => service ?? []);
  const service = services.length > 0 ? services : named;
  return compile({ ...compose, app, environment, images, service, expectedPorts: registeredPorts(groups) });
}

/** By service; a group without one is the only group, and stands for whichever service the compose file decides. */
function registeredPorts(groups: readonly Group[]): { readonly [service: string]: readonly number[] } {
  return Object.fromEntries(
    groups.map(({ service = ANY_SERVICE, group, baseline }) => [service, portsOf(group.port, baseline)]),
  );
}

function portProblems(groups: readonly Group[], { parsed }: Compose, { web }: CompiledRelease): readonly Problem[] {
  const registered = groups.flatMap(({ service = web[0]?.service, group, baseline }) =>
    service === undefined
      ? []
      : [[service, { targetGroup: group.name, ports: portsOf(group.port, baseline) }] as const],
  );
  return checkPorts({ parsed, web, slots: [blueSlot(web)], registered: Object.fromEntries(registered) });
}

function portsOf(groupPort: number, baseline: Group['baseline']): number[] {
  const ports = [...new Set(baseline.map(({ port }) => port))];
  return ports.length > 0 ? ports : [groupPort];
}

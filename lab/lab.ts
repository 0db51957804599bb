import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { type Hub, type RoleCredentials, startAgentHub } from './agent/hub.js';
import type { Docker } from './engine/docker.js';
import { type Engine, useEngine } from './engine/engine.js';
import { type LabImages, labImages } from './engine/images.js';
import { Faults } from './faults.js';
import { LabContainers, removeLeftovers } from './hosts/containers.js';
import { describeHost, type HostSettings, type LabHost, newInstanceId, startHost } from './hosts/host.js';
import { removeImages, startMirror, startRegistry } from './hosts/registries.js';
import { realClock } from './model/clock.js';
import { Instances } from './model/instances.js';
import { DEFAULT_IDS, defaultNetwork, type Network } from './model/network.js';
import { Principals } from './model/principals.js';
import type { Say } from './say.js';
import { createEc2 } from './services/ec2/ec2.js';
import { createEcr } from './services/ecr/ecr.js';
import { createElbv2, type Elbv2 } from './services/elbv2/elbv2.js';
import { createParameterStore } from './services/parameters/parameters.js';
import { createRunCommand } from './services/run-command/run-command.js';
import { createSts } from './services/sts.js';
import { listenOnAll, startWireServer, type WireCall } from './wire/server.js';
import type { Input, Service } from './wire/service.js';

export interface LabOptions {
  /** How many instances to start. */
  readonly hosts: number;
  /** How much faster than real time the load balancer's clock runs. Only for tests, never for measurements. */
  readonly speed?: number;
  readonly say?: Say;
  readonly onCall?: (call: WireCall) => void;
  readonly signal?: AbortSignal;
}

/** A running local AWS. */
export interface Lab {
  readonly name: string;
  readonly region: string;
  readonly account: string;
  readonly endpoint: string;
  /** What images of the lab's ECR are named by: `127.0.0.1:PORT`. */
  readonly registry: string;
  readonly docker: Docker;
  readonly image: string;
  readonly hosts: readonly LabHost[];
  readonly instances: Instances;
  readonly network: Network;
  readonly hub: Hub;
  readonly loadBalancer: Elbv2;
  readonly faults: Faults;
  /** Environment that points the AWS CLI, the SDK and docker at the lab. */
  readonly env: { readonly [name: string]: string };
  /** Calls an operation as the account's owner, without a socket. */
  call(service: 'elasticloadbalancing' | 'ecr' | 'ssm' | 'ec2', operation: string, input: Input): Promise<Answer>;
  /** Runs a program on a host, as a person at its console would. */
  exec(host: LabHost, args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}
export type Answer = { readonly [key: string]: unknown };

const REGION = 'us-east-1';
const ACCOUNT = '123456789012';
const ZONES = ['us-east-1a', 'us-east-1b', 'us-east-1c'];
const LOOPBACK = '127.0.0.1';
/** What the instances' security group admits from the load balancer: a published port and the one after it. */
const INSTANCE_PORTS = [8080, 8081];

/** Starts a local AWS. Everything it made is gone again when `stop` resolves, also when the start fails half way. */
export async function startLab(options: LabOptions): Promise<Lab> {
  const cleanups: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    return await assemble(options, cleanups, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function assemble(
  options: LabOptions,
  cleanups: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<Lab> {
  const say = options.say ?? (() => {});
  const engine = await useEngine(say);
  cleanups.push(() => engine.release());
  options.signal?.throwIfAborted();
  const images = await labImages(engine.docker, say);
  options.signal?.throwIfAborted();
  const ground = await prepareGround(engine, images, cleanups);
  options.signal?.throwIfAborted();
  const aws = await startServices(options, ground, cleanups);
  cleanups.push(() => removeImages(engine.docker, aws.registryHost));
  say(`Starting ${options.hosts} host${options.hosts === 1 ? '' : 's'} with a Docker daemon each …`);
  const hosts = await startHosts(options, engine, images, ground, aws);
  const { docker } = engine;
  const credentials = aws.principals.issue(`arn:aws:iam::${ACCOUNT}:role/deploy`);
  const endpoint = `http://${LOOPBACK}:${aws.wirePort}`;
  return {
    name: ground.containers.network,
    region: REGION,
    account: ACCOUNT,
    endpoint,
    registry: aws.registryHost,
    docker,
    image: images.host,
    hosts,
    instances: aws.instances,
    network: aws.network,
    hub: aws.hub,
    loadBalancer: aws.elbv2,
    faults: aws.faults,
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: REGION,
      AWS_DEFAULT_REGION: REGION,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_SESSION_TOKEN: credentials.sessionToken,
      ...(docker.env as { [name: string]: string }),
    },
    call: (service, operation, input) => aws.call(service, operation, input),
    exec: (host, args) => docker(['exec', host.container, ...args]),
    stop,
  };
}

interface Ground {
  readonly containers: LabContainers;
  readonly gateway: string;
  readonly subnet: string;
  readonly upstream: string;
  readonly mirror: string;
}

/** The network, the registry behind ECR, and the mirror of public images. */
async function prepareGround(engine: Engine, images: LabImages, cleanups: (() => Promise<unknown>)[]): Promise<Ground> {
  await removeLeftovers(engine.docker);
  const containers = new LabContainers(engine.docker, `lab-${randomBytes(3).toString('hex')}`);
  cleanups.push(() => containers.removeAll());
  const { gateway, subnet } = await containers.createNetwork();
  const [upstream = '', mirror = ''] = await allEnded([
    startRegistry(containers, images.host),
    startMirror(containers, engine.docker, { image: images.host, publicImages: images.public }),
  ]);
  return { containers, gateway, subnet, upstream, mirror };
}

type Aws = Awaited<ReturnType<typeof startServices>>;

async function startServices(options: LabOptions, ground: Ground, cleanups: (() => Promise<unknown>)[]) {
  const clock = realClock();
  const place = { region: REGION, account: ACCOUNT };
  const addresses = [LOOPBACK, ground.gateway];
  const instances = new Instances();
  const principals = new Principals(ACCOUNT);
  const faults = new Faults();
  const cidr = ground.subnet;
  const network = defaultNetwork({ cidr, zones: ZONES.map((zone) => ({ zone, cidr })), instancePorts: INSTANCE_PORTS });
  const parameters = createParameterStore({ clock });
  const hub = await startAgentHub({
    clock,
    hosts: [ground.gateway],
    credentials: (instance): RoleCredentials =>
      principals.issue(`arn:aws:sts::${ACCOUNT}:assumed-role/lab-host/${instance}`),
  });
  cleanups.push(() => hub.close());
  const registryFront: { handle?: ReturnType<typeof createEcr>['registry'] } = {};
  const front = await listenOnAll({ hosts: addresses }, () =>
    createServer((request, response) => registryFront.handle?.(request, response)),
  );
  cleanups.push(() => front.close());
  const registryHost = `${LOOPBACK}:${front.port}`;
  const ecr = createEcr({ clock, ...place, registryHost, upstream: ground.upstream });
  registryFront.handle = ecr.registry;
  const elbv2 = createElbv2({
    instances,
    clock: realClock(options.speed),
    ...place,
    zones: ZONES,
    subnets: network.subnets,
  });
  cleanups.push(() => elbv2.close());
  const ssm: Service = {
    id: 'ssm',
    protocol: 'json',
    targetPrefix: 'AmazonSSM',
    operations: { ...createRunCommand({ hub, instances, clock, ...place }), ...parameters },
  };
  const services = [ecr.service, ssm, elbv2.service, createEc2({ instances, network, clock, ...place }), createSts()];
  const wire = await startWireServer({
    services,
    hosts: addresses,
    ...place,
    principals: (key) => principals.get(key),
    intercept: (call) => faults.intercept(call),
    ...(options.onCall ? { onCall: options.onCall } : {}),
  });
  cleanups.push(() => wire.close());
  const call = async (id: Service['id'], operation: string, input: Input): Promise<Answer> => {
    const run = services.find((service) => service.id === id)?.operations[operation];
    if (!run) throw new Error(`The lab has no ${id}:${operation}.`);
    return (await run(input, { ...place, principal: principals.owner, requestId: 'lab' })) as Answer;
  };
  return {
    instances,
    principals,
    faults,
    network,
    hub,
    elbv2,
    registryHost,
    registryPort: front.port,
    wirePort: wire.port,
    clock,
    call,
  };
}

async function startHosts(
  options: LabOptions,
  engine: Engine,
  images: LabImages,
  ground: Ground,
  aws: Aws,
): Promise<LabHost[]> {
  const settings: HostSettings = {
    image: images.host,
    gateway: ground.gateway,
    region: REGION,
    account: ACCOUNT,
    endpoint: `http://${ground.gateway}:${aws.wirePort}`,
    registryPort: aws.registryPort,
    mirror: ground.mirror,
    agentPort: aws.hub.port,
  };
  const start = async (index: number): Promise<LabHost> => {
    const id = newInstanceId();
    const name = `host${index + 1}`;
    const up = firstWord(aws.hub, id, options.signal);
    const host = await startHost(engine.docker, ground.containers, settings, {
      id,
      name,
      agentToken: aws.hub.register(id),
    });
    const subnet = aws.network.subnets[index % aws.network.subnets.length];
    if (!subnet) throw new Error('The lab has no subnets.');
    const place = { name, zone: subnet.zone, subnet: subnet.id, vpc: subnet.vpc, group: DEFAULT_IDS.instanceGroup };
    aws.instances.add(describeHost(host, place, aws.clock.now()));
    await up;
    return host;
  };
  return allEnded(Array.from({ length: options.hosts }, (_, index) => start(index)));
}

/** As Promise.all, but never before all have ended: what is still being made while the lab is taken away would stay. */
async function allEnded<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** A host that has not come up by then will not: dockerd inside a container takes about three seconds. */
const HOST_PATIENCE_MILLISECONDS = 90_000;

/** Resolves when the agent of an instance has registered, which it does once the host's Docker daemon answers. */
function firstWord(hub: Hub, instance: string, signal: AbortSignal | undefined): Promise<void> {
  const word = new Promise<void>((resolve, reject) => {
    const settle = (end: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', interrupt);
      stop();
      end();
    };
    const interrupt = () => settle(() => reject(signal?.reason));
    signal?.addEventListener('abort', interrupt, { once: true });
    const stop = hub.onEvent((event) => {
      if (event.kind === 'registered' && event.instanceId === instance) settle(resolve);
      if (event.kind === 'closed') settle(() => reject(new Error('The lab was ended while a host was starting.')));
    });
    const timer = setTimeout(
      () =>
        settle(() =>
          reject(new Error(`The host ${instance} did not come up within ${HOST_PATIENCE_MILLISECONDS / 1000} s.`)),
        ),
      HOST_PATIENCE_MILLISECONDS,
    );
  });
  // It may be rejected while its host's container is still being made, and is looked at only after that.
  word.catch(() => {});
  return word;
}

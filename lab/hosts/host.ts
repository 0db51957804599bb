import { randomBytes } from 'node:crypto';
import type { Docker } from '../engine/docker.js';
import type { Instance } from '../model/instances.js';
import type { LabContainers } from './containers.js';

/** What every host of a lab is told at its start. */
export interface HostSettings {
  readonly image: string;
  readonly gateway: string;
  readonly region: string;
  readonly account: string;
  readonly endpoint: string;
  readonly registryPort: number;
  /** `address:port` of the mirror of public images. */
  readonly mirror: string;
  readonly agentPort: number;
}

/** An EC2 instance of the lab and the container that plays it. */
export interface LabHost {
  readonly id: string;
  readonly container: string;
  readonly address: string;
}

export function newInstanceId(): string {
  return `i-0${randomBytes(8).toString('hex')}`;
}

/**
 * What a Docker daemon inside a container needs. Where the machine itself lacks a capability `--privileged` is refused
 * ("unable to apply caps"), so the second set asks for all but that one.
 */
export const PRIVILEGES: readonly (readonly string[])[] = [
  ['--privileged'],
  [
    ...['--cap-add', 'ALL', '--cap-drop', 'SYS_RESOURCE'],
    ...['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined'].flatMap((it) => ['--security-opt', it]),
    ...['--device-cgroup-rule', 'a *:* rwm', '--cgroupns', 'host', '-v', '/sys/fs/cgroup:/sys/fs/cgroup:rw'],
  ],
];

/** Starts a host; it is up when its agent has said its first word to the lab. */
export async function startHost(
  docker: Docker,
  containers: LabContainers,
  settings: HostSettings,
  host: { readonly id: string; readonly name: string; readonly agentToken: string },
): Promise<LabHost> {
  const environment = hostEnvironment(settings, host).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  let refusal: unknown;
  for (const privileges of PRIVILEGES) {
    try {
      const args = [
        ...privileges,
        '--hostname',
        host.name,
        ...environment,
        settings.image,
        '/usr/local/lib/lab/entrypoint.sh',
      ];
      const started = await containers.start(host.name, args);
      return { id: host.id, ...started };
    } catch (error) {
      refusal = error;
      await docker.attempt(['rm', '-f', '-v', `${containers.network}-${host.name}`]);
    }
  }
  throw refusal;
}

function hostEnvironment(
  settings: HostSettings,
  host: { id: string; agentToken: string },
): [string, string | number][] {
  return [
    ['LAB_GATEWAY', settings.gateway],
    ['LAB_REGION', settings.region],
    ['LAB_ACCOUNT', settings.account],
    ['LAB_ENDPOINT', settings.endpoint],
    ['LAB_REGISTRY_PORT', settings.registryPort],
    ['LAB_MIRROR', settings.mirror],
    ['LAB_AGENT_PORT', settings.agentPort],
    ['LAB_INSTANCE', host.id],
    ['LAB_AGENT_TOKEN', host.agentToken],
  ];
}

/** An instance as EC2 describes it, for the container that plays it. */
export function describeHost(
  host: LabHost,
  place: {
    readonly name: string;
    readonly zone: string;
    readonly subnet: string;
    readonly vpc: string;
    readonly group: string;
  },
  launchedAt: number,
): Instance {
  return {
    id: host.id,
    name: place.name,
    privateIp: host.address,
    zone: place.zone,
    subnet: place.subnet,
    vpc: place.vpc,
    securityGroups: [place.group],
    type: 't2.micro',
    architecture: process.arch === 'arm64' ? 'arm64' : 'x86_64',
    image: 'ami-0123456789abcdef0',
    launchedAt,
    tags: { Name: place.name },
    state: 'running',
  };
}

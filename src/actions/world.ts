import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setSecret } from '@actions/core';
import { createClients } from '../aws/clients.js';
import { createInstanceLookup } from '../aws/ec2-instances.js';
import { createRegistry } from '../aws/ecr-registry.js';
import { createTargetGroups } from '../aws/elbv2-target-groups.js';
import { createRunCommand } from '../aws/ssm-run-command.js';
import { type Clock, systemClock } from '../clock.js';
import type { World } from '../deploy/world.js';
import { createHosts } from '../host/hosts.js';
import { dockerCli } from '../image/docker.js';
import type { Log } from '../log.js';

export interface WorldOptions {
  readonly region: string;
  readonly ssmDocument: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Tests bring a faster one. */
  readonly clock?: Clock;
}

/** The real world: AWS as the environment's credentials see it, and the docker of this machine. */
export function createWorld({ region, ssmDocument, log, signal, clock = systemClock }: WorldOptions): World {
  const clients = createClients({ region });
  const runCommand = createRunCommand({ client: clients.ssm, document: ssmDocument, clock });
  return {
    targetGroups: createTargetGroups(clients.elbv2),
    runCommand,
    hosts: createHosts({ runCommand, clock, log }),
    registry: createRegistry(clients.ecr),
    instances: createInstanceLookup(clients.ec2),
    docker: dockerCli(),
    clock,
    random: Math.random,
    log,
    signal,
    scratch: mkdtempSync(join(process.env.RUNNER_TEMP ?? tmpdir(), 'ec2-compose-deploy-')),
    mask: setSecret,
  };
}

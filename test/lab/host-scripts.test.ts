import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ReleaseService } from '../../src/compose/model.js';
import { hostCommand, type Verb, type VerbArguments } from '../../src/host/command.js';
import { type HostReport, readReport } from '../../src/host/report.js';
import { type HostContainer, openHostContainer } from '../host/host-container.js';

const host = await openHostContainer();
afterAll(() => host.close());

const startPatienceMilliseconds = 120_000;
const storyMilliseconds = 120_000;
const shop = { app: 'shop', environment: 'production', project: 'shop' };
const home = '/opt/ec2-compose-deploy/shop/production';
const registry = '127.0.0.1:5000';

/** An architecture that the host does not have. A bundle may be made on such a machine. */
const foreign = process.arch === 'arm64' ? 'amd64' : 'arm64';

const registryConfig = `
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker/registry}, delete: {enabled: true}}
http: {addr: '127.0.0.1:5000'}
`;

/** The least that prepare wants, for stories that end before a release is looked at. */
const prepared = {
  ...shop,
  release: 'r1',
  commit: 'abcdef',
  slot: { name: 'blue', ports: {} },
  bundle: 'none',
  services: [],
  resources: [],
  envFiles: [],
  requiredVariables: [],
  minimumFreeMegabytes: 100,
} as const;

/** A root file system of a shell and a few commands, imported: an image of 4 MB without any registry to come from. */
const tinyRoot = `
mkdir -p /var/tmp/tiny && cd /var/tmp/tiny
for program in /bin/dash /bin/sleep /bin/cat /bin/ls; do
  install -D "$program" "bin/$(basename "$program")"
  for library in $(ldd "$program" | grep -o '/[^ ]*'); do install -D "$library" ".$library"; done
done
ln -sf dash bin/sh`;

interface Trial {
  readonly release: string;
  readonly image: string;
  readonly database?: { readonly definition: string; readonly recreate?: boolean; readonly stateful?: boolean };
  readonly command?: string;
  readonly restart?: string;
  readonly variables?: readonly string[];
  readonly minimumFreeMegabytes?: number;
}

describe('the scripts on a host', () => {
  const instance = host as HostContainer;
  let images: { v1: string; v2: string };

  beforeAll(async () => {
    await instance.shell('for i in $(seq 300); do docker version >/dev/null 2>&1 && exit; sleep 0.2; done; exit 1');
    await instance.shell('cat >/var/tmp/registry.yml', registryConfig);
    await instance.shell('docker-registry serve /var/tmp/registry.yml >/var/log/registry.log 2>&1 &');
    await instance.shell(tinyRoot);
    images = { v1: await push('one'), v2: await push('two') };
  }, startPatienceMilliseconds);

  /** Imports and pushes an image that differs by one file, and forgets it here: the host pulls it by digest. */
  async function push(content: string, { path = '/var/tmp/tiny', architecture = '' } = {}): Promise<string> {
    const platform = architecture && `--platform linux/${architecture}`;
    const tag = `${registry}/shop:${content}`;
    await instance.shell(
      `cd ${path} && echo ${content} >version && tar -c . | docker import ${platform} -c 'CMD ["sleep","100000"]' - ${tag}`,
    );
    await instance.shell(`for i in $(seq 50); do docker push -q ${tag} && exit; sleep 0.2; done; exit 1`);
    const digest = await instance.shell(`docker image inspect -f '{{index .RepoDigests 0}}' ${tag}`);
    await instance.shell(`docker rmi ${tag}`);
    return digest;
  }

  async function run<V extends Verb>(verb: V, args: Omit<VerbArguments[V], keyof typeof shop>) {
    const ended = await instance.script(hostCommand(verb, { ...shop, ...args } as VerbArguments[V]));
    const lines = ended.stdout.trimEnd().split('\n');
    expect(lines.at(-1)).toMatch(/^@@report /);
    expect(lines.at(-1)?.length).toBeLessThanOrEqual(2000);
    const report = readReport(ended.stdout);
    if (!report) throw new Error(`No report: ${ended.stdout}${ended.stderr}`);
    expect(ended.code).toBe(report.ok ? 0 : 1);
    if (report.ok) expect(ended.stderr).toBe('');
    return { ...ended, report };
  }

  function services({ image, database }: Trial): ReleaseService[] {
    const common = { exclusive: false, stateful: false, recreate: false };
    const api: ReleaseService = { ...common, name: 'api', role: 'rolled', image, definition: 'sha256:api' };
    if (!database) return [api];
    return [api, { ...common, name: 'db', role: 'pinned', image: images.v1, stateful: true, ...database }];
  }

  function models({ image, database, command, restart = 'no' }: Trial) {
    const labels = { 'ec2-compose-deploy.app': 'shop', 'ec2-compose-deploy.environment': 'production' };
    const db = {
      image: images.v1,
      init: true,
      command: ['sleep', '100000'],
      volumes: ['data:/data'],
      networks: { default: {} },
      healthcheck: { test: ['CMD', 'ls'], interval: '1s' },
      labels: { ...labels, 'ec2-compose-deploy.definition': database?.definition ?? '' },
    };
    const api = {
      image,
      restart,
      init: true,
      command: ['sh', '-c', command ?? 'exec sleep 100000'],
      ports: ['9080:8080'],
      networks: { default: {} },
      environment: { RELEASE: `\${DEPLOY_RELEASE} \${DEPLOY_SLOT}` },
      labels: { ...labels, 'ec2-compose-deploy.service': 'api', 'ec2-compose-deploy.release': `\${DEPLOY_RELEASE}` },
    };
    return {
      shared: { services: database ? { db } : {}, networks: { default: {} }, volumes: database ? { data: {} } : {} },
      'slot-blue': { services: { 'api-blue': api }, networks: { default: { name: 'shop_default', external: true } } },
    };
  }

  async function prepare(trial: Trial) {
    const folder = `/var/tmp/bundles/${trial.release}`;
    await instance.shell(`mkdir -p ${folder}/release/files`);
    for (const [name, model] of Object.entries(models(trial))) {
      await instance.shell(`cat >${folder}/release/${name}.json`, JSON.stringify(model));
    }
    return run('prepare', {
      release: trial.release,
      commit: 'abcdef',
      slot: { name: 'blue', ports: { api: 9080 } },
      bundle: await push(`bundle-${trial.release}`, { path: folder, architecture: foreign }),
      services: services(trial),
      resources: [
        { kind: 'network', key: 'default', name: 'shop_default' },
        ...(trial.database ? [{ kind: 'volume', key: 'data', name: 'shop_data' } as const] : []),
      ],
      envFiles: [],
      requiredVariables: trial.variables ?? [],
      minimumFreeMegabytes: trial.minimumFreeMegabytes ?? 100,
    });
  }

  const swap = (release: string) => run('swap', { release, slot: 'blue' });
  const verify = (release: string, image: string) =>
    run('verify', { release, slot: 'blue', images: { api: image }, web: ['api'] });
  const codes = (report: HostReport) => report.problems.map(({ code }) => code);
  const digest = (reference: string) => reference.slice(reference.indexOf('@') + 1);
  const id = (project: string) => instance.shell(`docker ps -q --filter label=com.docker.compose.project=${project}`);

  test(
    'a first deploy that fails goes back to nothing',
    async () => {
      const first = await prepare({ release: 'r0', image: images.v1 });
      expect(first.report).toMatchObject({ ok: true, verb: 'prepare', release: 'r0', current: '', containers: [] });
      expect((await swap('r0')).report).toMatchObject({ ok: true, containers: [{ service: 'api', state: 'running' }] });
      const reverted = await run('revert', { to: undefined, slot: 'blue' });
      expect(reverted.report).toMatchObject({ ok: true, containers: [], facts: { nothingToGoBackTo: true } });
      expect(await id('shop-blue')).toBe('');
    },
    storyMilliseconds,
  );

  test(
    'a release is prepared, swapped in, verified and committed; a second one replaces it and is reverted',
    async () => {
      const database = { definition: 'd1' };
      const first = await prepare({ release: 'r1', image: images.v1, database });
      expect(first.report.pinned).toEqual([{ service: 'db', state: 'missing' }]);
      const swapped = await swap('r1');
      expect(swapped.report.pinned).toEqual([{ service: 'db', state: 'started' }]);
      expect(swapped.report.containers).toMatchObject([
        { service: 'api', digest: digest(images.v1), restarts: 0, exitCode: 0 },
      ]);
      expect(swapped.report.facts).toMatchObject({ changed: true, swappedAt: expect.any(Number) });
      expect((await verify('r1', images.v1)).report.ok).toBe(true);
      const again = await swap('r1');
      expect(again.report.facts.changed).toBe(false);
      expect(again.report.containers[0]?.id).toBe(swapped.report.containers[0]?.id);
      const committed = await run('commit', { release: 'r1', repositories: [`${registry}/shop`] });
      expect(committed.report).toMatchObject({ ok: true, current: 'r1' });

      const databaseId = await id('shop');
      await prepare({ release: 'r2', image: images.v2, database });
      const second = await swap('r2');
      expect(second.report.containers).toMatchObject([{ digest: digest(images.v2) }]);
      expect(second.report.pinned).toEqual([{ service: 'db', state: 'same' }]);
      expect(codes((await verify('r2', images.v1)).report)).toEqual(['WRONG_DIGEST']);

      const reverted = await run('revert', { to: 'r1', slot: 'blue' });
      expect(reverted.report).toMatchObject({ ok: true, release: 'r1', current: 'r1' });
      expect((await verify('r1', images.v1)).report.ok).toBe(true);
      expect(await id('shop')).toBe(databaseId);
      const container = await id('shop-blue');
      expect(await instance.shell(`docker exec ${container} sh -c 'echo $RELEASE'`)).toBe('r1 blue');
    },
    storyMilliseconds,
  );

  test(
    'a rollback pulls the image again when it is gone',
    async () => {
      await instance.shell(`docker rmi ${images.v2}`);
      expect((await run('revert', { to: 'r2', slot: 'blue' })).report).toMatchObject({
        ok: true,
        containers: [{ digest: digest(images.v2) }],
      });
      await run('revert', { to: 'r1', slot: 'blue' });
    },
    storyMilliseconds,
  );

  test(
    'a changed database is refused by name, with everything else that is wrong',
    async () => {
      const { report } = await prepare({
        release: 'r3',
        image: `${registry}/shop@sha256:${'0'.repeat(64)}`,
        database: { definition: 'd2' },
        variables: ['SECRET_KEY', 'DEPLOY_SLOT'],
      });
      expect(codes(report).sort()).toEqual(['HOST_IMAGE_NOT_FOUND', 'HOST_VARIABLE_MISSING', 'PINNED_SERVICE_CHANGED']);
      expect(report.problems.find(({ code }) => code === 'PINNED_SERVICE_CHANGED')).toMatchObject({ where: 'db' });
      expect(report.problems.find(({ code }) => code === 'HOST_VARIABLE_MISSING')?.message).toContain('SECRET_KEY,');
    },
    storyMilliseconds,
  );

  test(
    'an image for another architecture is refused before it could crash',
    async () => {
      const image = await push('foreign', { architecture: foreign });
      const { report } = await prepare({ release: 'r3b', image, database: { definition: 'd1' } });
      expect(codes(report)).toEqual(['HOST_ARCHITECTURE']);
      expect(report.problems[0]?.message).toContain(`is built for ${foreign}, this host is `);
    },
    storyMilliseconds,
  );

  test(
    'a changed database that may be recreated is, and the data stays',
    async () => {
      const before = await id('shop');
      await instance.shell(`docker exec ${before} sh -c 'echo kept >/data/row'`);
      await prepare({ release: 'r4', image: images.v1, database: { definition: 'd3', recreate: true } });
      expect((await swap('r4')).report.pinned).toEqual([{ service: 'db', state: 'recreated' }]);
      expect(await id('shop')).not.toBe(before);
      expect(await instance.shell(`docker exec ${await id('shop')} cat /data/row`)).toBe('kept');
    },
    storyMilliseconds,
  );

  test(
    'a host without room says how much there is and how much is wanted',
    async () => {
      const { report } = await prepare({ release: 'r5', image: images.v1, minimumFreeMegabytes: 99_000_000 });
      expect(codes(report)).toEqual(['HOST_DISK_FULL']);
      expect(report.problems[0]?.message).toMatch(/^\/var\/lib\/docker has \d+ MB free; a deploy wants 99000000 MB\.$/);
    },
    storyMilliseconds,
  );

  test(
    'a port that somebody else holds is refused, naming the holder',
    async () => {
      await run('revert', { to: undefined, slot: 'blue' });
      await instance.shell(`docker run -d --name squatter -p 9080:80 ${images.v1}`);
      const byContainer = (await prepare({ release: 'r5', image: images.v1 })).report;
      expect(codes(byContainer)).toEqual(['HOST_PORT_TAKEN']);
      expect(byContainer.problems[0]?.message).toContain('the container squatter');
      const late = (await swap('r4')).report;
      expect(codes(late)).toEqual(['HOST_PORT_TAKEN']);
      expect(late.problems[0]?.message).toContain('Port 9080 of the host is held by the container squatter.');
      await instance.shell(
        'docker rm -f squatter; python3 -m http.server 9080 >/dev/null 2>&1 & echo $! >/var/tmp/pid; sleep 1',
      );
      const byProcess = (await prepare({ release: 'r5', image: images.v1 })).report;
      expect(byProcess.problems[0]?.message).toContain('the process python3 (pid ');
      await instance.shell('kill $(cat /var/tmp/pid)');
    },
    storyMilliseconds,
  );

  test(
    'a crash loop shows its exit code and its last words',
    async () => {
      await prepare({ release: 'r6', image: images.v2, command: 'echo "no \\"database\\" here" >&2; exit 7' });
      await swap('r6');
      const { report, stderr } = await verify('r6', images.v2);
      expect(codes(report)).toEqual(['CONTAINER_EXITED']);
      expect(report.problems[0]).toMatchObject({ where: 'api', cause: 'no "database" here' });
      expect(stderr).toContain('api: no "database" here');
      await run('revert', { to: undefined, slot: 'blue' });
      expect(codes((await verify('r6', images.v2)).report)).toEqual(['CONTAINER_MISSING']);
    },
    storyMilliseconds,
  );

  test(
    'a service that is started again and again is a crash loop',
    async () => {
      await prepare({ release: 'r7', image: images.v2, command: 'exit 3', restart: 'always' });
      await swap('r7');
      const restarts = `docker inspect -f '{{.RestartCount}}' $(docker ps -aq --filter label=ec2-compose-deploy.release=r7)`;
      await instance.shell(`until (($(${restarts}) >= 3)); do sleep 0.1; done`);
      const { report } = await verify('r7', images.v2);
      expect(codes(report)).toEqual(['CONTAINER_RESTARTING']);
      expect(report.problems[0]?.message).toMatch(
        /^api restarts in a loop: \d+ restarts so far, last exit code [03]\.$/,
      );
      expect(report.containers[0]?.restarts).toBeGreaterThan(0);
      await run('revert', { to: undefined, slot: 'blue' });
    },
    storyMilliseconds,
  );

  test(
    'old releases and their images go, those in use stay',
    async () => {
      await swap('r1');
      const committed = await run('commit', { release: 'r4', keep: 1, repositories: [`${registry}/shop`] });
      expect(committed.report).toMatchObject({ ok: true, current: 'r4' });
      expect((await instance.shell(`ls ${home}/releases`)).split('\n')).toEqual(['r1', 'r4', 'r7']);
      expect(committed.report.facts.prunedReleases).toBeGreaterThanOrEqual(2);
      expect(await id('shop-blue')).not.toBe('');
    },
    storyMilliseconds,
  );

  test(
    'a host tells what it runs',
    async () => {
      const { report } = await run('status', {});
      expect(report).toMatchObject({
        ok: true,
        current: 'r4',
        containers: [{ service: 'api', digest: digest(images.v1) }],
      });
      expect(report.facts).toMatchObject({ 'slot-blue': 'r1', diskFreeMegabytes: expect.any(Number) });
    },
    storyMilliseconds,
  );

  test(
    'a busy host is named with what keeps it busy',
    async () => {
      await instance.shell(`flock ${home}/lock sleep 100000 >/dev/null 2>&1 & echo $! >/var/tmp/pid; sleep 0.3`);
      const impatient = hostCommand('swap', { ...shop, release: 'r1', slot: 'blue' }).replace(
        `"\${arg[lockSeconds]}"`,
        '1',
      );
      const report = readReport((await instance.script(impatient)).stdout);
      expect(report && codes(report)).toEqual(['HOST_BUSY']);
      await instance.shell('pkill -P $(cat /var/tmp/pid); kill $(cat /var/tmp/pid) 2>/dev/null || true');
    },
    storyMilliseconds,
  );

  test(
    'a script that fails in the middle, or is stopped, still reports',
    async () => {
      const whole = hostCommand('swap', { ...shop, release: 'r1', slot: 'blue' });
      const broken = await instance.script(`${whole.trimEnd()}\nls /nowhere\nexit 137\n`);
      expect(broken.code).toBe(1);
      expect(readReport(broken.stdout)?.problems[0]).toMatchObject({
        code: 'HOST_SCRIPT_FAILED',
        cause: 'main: ls /nowhere',
      });
      const killed = await instance.script(`${whole.trimEnd()}\nexit 137\n`);
      expect(killed.code).toBe(1);
      const stopped = await instance.script(`${whole.trimEnd()}\n(sleep 1; kill -TERM $$) &\ntry 60 sleep 55\n`);
      expect(stopped.code).toBe(1);
      expect(readReport(stopped.stdout)?.problems).toMatchObject([{ code: 'HOST_INTERRUPTED' }]);
      expect(await instance.shell('ps -C sleep -o args= | grep -c "sleep 55" || true')).toBe('0');
    },
    storyMilliseconds,
  );

  test(
    'a report of many findings is cut to what the service keeps, and stays readable',
    async () => {
      const noise = `
for i in $(seq 40); do
problem "CODE_$i" "Somebody's \\"text\\" \\\\ $(printf 'with\\ttabs\\nand caf\\303\\251 %0500d' "$i")" 'why' 'how' "svc-$i"
containers+=('{"service":"s","id":"i","digest":"sha256:${'a'.repeat(64)}","state":"running","health":"","startedAt":1,"restarts":0,"exitCode":0}')
done`;
      const ended = await instance.script(`${hostCommand('status', shop).trimEnd()}${noise}\n`);
      const report = readReport(ended.stdout);
      expect(ended.stdout.trimEnd().length).toBeLessThanOrEqual(2000);
      expect(report?.problems[0]?.message).toMatch(/^Somebody's "text" \\ with tabs and caf\?\? 0/);
      expect(report?.facts.omitted).toBeGreaterThan(50);
    },
    storyMilliseconds,
  );

  test(
    'a host that lacks everything hears it at once, with the commands that install it',
    async () => {
      const programs = '/usr/bin/aws /usr/libexec/docker/cli-plugins/docker-compose';
      await instance.shell(`for f in ${programs}; do mv $f $f.away; done`);
      const { report } = await run('preflight', {});
      await instance.shell(`for f in ${programs}; do mv $f.away $f; done`);
      expect(codes(report)).toEqual(['HOST_AWS_CLI_MISSING', 'HOST_COMPOSE_MISSING']);
      expect(report.problems.map(({ fix }) => fix)).toEqual([
        'apt-get update && apt-get install -y awscli',
        expect.stringContaining('apt-get install -y docker-compose'),
      ]);
      await instance.shell('mv /var/run/docker.sock /var/run/away.sock');
      const down = await run('preflight', {});
      await instance.shell('mv /var/run/away.sock /var/run/docker.sock');
      expect(codes(down.report)).toEqual(['HOST_DOCKER_DOWN']);
      expect((await run('preflight', {})).report).toMatchObject({ ok: true, facts: { compose: expect.any(String) } });
    },
    storyMilliseconds,
  );

  test(
    'a host whose role may not pull says so, and keeps no password',
    async () => {
      const absent = `127.0.0.1:5000/shop@sha256:${'1'.repeat(64)}`;
      const registry = { host: '127.0.0.1:5000', region: 'eu-central-1' };
      await prepare({ release: 'r8', image: images.v1 });
      await instance.shell(`sed -i 's#|rolled|[^|]*|#|rolled|${absent}|#' ${home}/releases/r8/host/services`);
      const { report } = await run('swap', { release: 'r8', slot: 'blue', registry });
      expect(codes(report)).toEqual(['HOST_REGISTRY_DENIED']);
      expect(report.problems[0]?.cause).toMatch(/credentials/i);
      expect(await instance.shell('ls -A /root/.docker 2>/dev/null || true; ls -A /run | grep ^tmp || true')).toBe('');
    },
    storyMilliseconds,
  );

  test(
    'a full disk does not take the report away',
    async () => {
      const full = '/opt/ec2-compose-deploy/full/production';
      await instance.shell(
        `mkdir -p ${full} && mount -t tmpfs -o size=32k none ${full} && head -c 1M /dev/zero >${full}/fill || true`,
      );
      const ended = await instance.script(hostCommand('prepare', { ...prepared, app: 'full', project: 'full' }));
      const report = readReport(ended.stdout);
      expect(report && codes(report)).toEqual(['HOST_DISK_FULL']);
      expect(report?.problems[0]?.message).toBe(`${full} has 0 MB free; a deploy wants 100 MB.`);
      await instance.shell(`umount ${full}`);
    },
    storyMilliseconds,
  );

  test(
    'the scripts are clean for shellcheck',
    async () => {
      const check = (text: string) => instance.shell('shellcheck -', text);
      await expect(check('#!/bin/bash\necho $1\n')).rejects.toThrow('SC2086');
      const scripts = [
        hostCommand('preflight', shop),
        hostCommand('prepare', prepared),
        hostCommand('swap', { ...shop, release: 'r1', slot: 'blue' }),
        hostCommand('verify', { ...shop, release: 'r1', slot: 'blue', images: {}, web: [] }),
        hostCommand('commit', { ...shop, release: 'r1', repositories: [] }),
        hostCommand('revert', { ...shop, to: 'r1', slot: 'blue' }),
        hostCommand('status', shop),
      ];
      for (const script of scripts) expect(await check(script)).toBe('');
    },
    storyMilliseconds,
  );
});

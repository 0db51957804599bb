// biome-ignore-all lint/suspicious/noTemplateCurlyInString: compose's own ${…}, not JavaScript's
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { blueSlot, checkPorts, greenSlot } from '../../src/compose/slot-ports.js';
import { checkout, parsed, problems, refusals, release, removeCheckouts } from './project.js';

afterAll(removeCheckouts);

/** A compose file whose `api` has these lines besides its build; the first of them is line 4. */
function api(...lines: readonly string[]): { 'compose.yaml': string } {
  return { 'compose.yaml': ['services:', '  api:', '    build: .', ...lines.map((line) => `    ${line}`)].join('\n') };
}

const PORTS = 'ports: ["80:80"]';

describe('the service behind the load balancer', () => {
  test('none has both a build and a port', async () => {
    const files = { 'compose.yaml': 'services:\n  nginx: {image: nginx, ports: ["80:80"]}\n  app: {build: .}\n' };
    const [found] = await problems(files);
    expect(found).toMatchObject({ code: 'WEB_SERVICE_NOT_FOUND', where: 'compose.yaml:1' });
    expect(found?.fix).toContain('service: nginx');
  });

  test('several have: the refusal names them and the input', async () => {
    const files = {
      'compose.yaml': 'services:\n  a: {build: ., ports: ["80:80"]}\n  b: {build: ., ports: ["81:80"]}\n',
    };
    const [found] = await problems(files);
    expect(found).toMatchObject({
      code: 'WEB_SERVICE_AMBIGUOUS',
      message: 'a and b all have a build and a published port.',
    });
    expect(found?.fix).toContain('service: a');
  });

  test('the input names a service that is not there', async () => {
    expect(await refusals(api(PORTS), { service: ['web'] })).toEqual(['WEB_SERVICE_NOT_FOUND compose.yaml:1']);
  });

  test.each([
    ['publishes nothing', 'expose: ["80"]', 'WEB_PORT_NOT_PUBLISHED compose.yaml:2'],
    ['publishes on a random port', 'ports: ["80"]', 'WEB_PORT_RANDOM compose.yaml:4'],
    ['publishes on one of a range', 'ports: ["8000-8010:80"]', 'WEB_PORT_RANDOM compose.yaml:4'],
    ['publishes on the loopback address', 'ports: ["127.0.0.1:80:80"]', 'HOST_IP_LOOPBACK compose.yaml:4'],
    [
      'publishes on the IPv6 loopback address',
      'ports: [{target: 80, published: 80, host_ip: "::1"}]',
      'HOST_IP_LOOPBACK compose.yaml:4',
    ],
    ['publishes several ports', 'ports: ["80:80", "81:81"]', 'WEB_PORT_AMBIGUOUS compose.yaml:4'],
    ['publishes on a port that only the host knows', 'ports: ["${PORT}:80"]', 'VARIABLE_NOT_SETTLED compose.yaml:4'],
  ])('%s', async (_, line, expected) => {
    expect(await refusals(api(line), { service: ['api'] })).toEqual([expected]);
  });

  test("uses the host's network", async () => {
    expect(await refusals(api(PORTS, 'network_mode: host'))).toEqual(['WEB_HOST_NETWORK compose.yaml:5']);
  });

  test('its targets are registered on another port', async () => {
    const directory = checkout(api(PORTS));
    const { web } = await release(directory);
    const check = (ports: readonly number[]) => async () =>
      checkPorts({
        parsed: await parsed(directory),
        web,
        slots: [blueSlot(web), greenSlot(web)],
        registered: { api: { targetGroup: 'shop-web', ports } },
      });
    expect(await check([3000])()).toEqual([
      {
        code: 'PORT_MISMATCH',
        where: 'compose.yaml:4',
        message: 'api publishes 80, but the targets of shop-web are registered on 3000.',
        fix: 'Publish 3000, or register the targets of shop-web on 80.',
      },
    ]);
    expect(await check([81])()).toEqual([]);
    expect(await check([])()).toEqual([]);
  });
});

describe('what can not run twice', () => {
  test.each([
    ['a container name', ['container_name: api'], 'CONTAINER_NAME_ROLLED compose.yaml:5'],
    ['three containers on one port', ['deploy: {replicas: 3}'], 'REPLICAS_WITH_HOST_PORT compose.yaml:5'],
    ['three containers on one port, by scale', ['scale: 3'], 'REPLICAS_WITH_HOST_PORT compose.yaml:5'],
  ])('%s', async (_, lines, expected) => {
    expect(await refusals(api(PORTS, ...lines))).toEqual([expected]);
  });

  test('a second fixed port is refused only when two slots are asked for', async () => {
    const files = api('ports: ["80:80", "127.0.0.1:9229:9229"]');
    const { web, obstacles } = await release(files);
    expect(obstacles).toMatchObject([
      { code: 'SLOT_PORT_FIXED', message: 'api publishes 9229, which only one of two slots can have.' },
    ]);
    expect(await refusals(files, { slots: [blueSlot(web), greenSlot(web)] })).toEqual([
      'SLOT_PORT_FIXED compose.yaml:4',
    ]);
  });

  test('the second slot wants a port that another service has', async () => {
    const files = {
      'compose.yaml': 'services:\n  api: {build: ., ports: ["80:80"]}\n  db: {image: x, ports: ["81:81"]}\n',
    };
    const { web } = await release(files);
    const [found] = await problems(files, { slots: [blueSlot(web), greenSlot(web)] });
    expect(found).toMatchObject({ code: 'SLOT_PORT_TAKEN', message: 'api needs 81 in the green slot, but db has it.' });
  });
});

describe('files', () => {
  test.each([
    ['the whole project', ['.:/app'], 'DEVELOPMENT_MOUNT compose.yaml:5'],
    ['the build context by another name', ['./../REPO:/app'], 'FILE_OUTSIDE_PROJECT compose.yaml:5'],
    ['a path above the project', ['../secrets:/s:ro'], 'FILE_OUTSIDE_PROJECT compose.yaml:5'],
    ['a directory that is not in the repository', ['./data:/data'], 'MOUNT_NOT_FOUND compose.yaml:5'],
    ['a path that only the host knows', ['${WHERE}/x:/data'], 'VARIABLE_NOT_SETTLED compose.yaml:5'],
  ])('%s', async (_, volumes, expected) => {
    expect(await refusals(api(PORTS, `volumes: ${JSON.stringify(volumes)}`))).toEqual([expected]);
  });

  test('a mounted source directory, which says that the image holds the code', async () => {
    const files = {
      'compose.yaml': 'services:\n  api:\n    build: ./api\n    ports: ["80:80"]\n    volumes:\n      - ./api:/app\n',
      'api/Dockerfile': '',
    };
    const [found] = await problems(files);
    expect(found).toMatchObject({ code: 'DEVELOPMENT_MOUNT', where: 'compose.yaml:6' });
    expect(found?.message).toContain('a development mount does not belong in production');
  });

  test('a data set', async () => {
    const directory = checkout({ ...api(PORTS, 'volumes: ["./data:/data:ro"]'), 'data/small': 'x' });
    writeFileSync(join(directory, 'data', 'large'), Buffer.alloc(21 * 1024 * 1024));
    expect(await refusals(directory)).toEqual(['FILE_TOO_LARGE compose.yaml:5']);
  });

  test('a link that leads out of the repository', async () => {
    const directory = checkout({ ...api(PORTS, 'volumes: ["./conf:/conf:ro"]'), 'conf/a': 'a' });
    expect(await release(directory)).toMatchObject({ files: [{ path: 'conf/a' }] });
    symlinkSync('/etc/hostname', join(directory, 'conf', 'host'));
    expect(await refusals(directory)).toEqual(['FILE_OUTSIDE_PROJECT compose.yaml:5']);
  });

  test('an env file, a config and a secret that were not committed', async () => {
    const files = {
      'compose.yaml': `${api(PORTS, 'env_file: [.env.production]', 'configs: [c]', 'secrets: [s]')['compose.yaml']}
configs:
  c: {file: ./c.conf}
secrets:
  s: {file: ./s.txt}
`,
    };
    expect(await refusals(files)).toEqual([
      'FILE_NOT_FOUND compose.yaml:5',
      'FILE_NOT_FOUND compose.yaml:9',
      'FILE_NOT_FOUND compose.yaml:11',
    ]);
  });

  test('a directory that the service may write to draws a warning', async () => {
    const { warnings } = await release({
      ...api(PORTS, 'restart: always', 'volumes: ["./uploads:/uploads"]'),
      'uploads/.gitkeep': '',
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^compose.yaml:6: what api writes to .\/uploads stays with this release/);
  });

  test('a secret in an env file draws a warning', async () => {
    const { warnings } = await release({
      ...api(PORTS, 'restart: always', 'environment: {P: "${DB_PASSWORD}"}'),
      '.env': 'DB_PASSWORD=x\n',
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/DB_PASSWORD in an env-file .* keep secrets out of the repository/);
  });
});

describe('what ties services together', () => {
  const TWO = (line: string) => ({
    'compose.yaml': `services:\n  api:\n    build: .\n    ports: ["80:80"]\n    ${line}\n  db: {image: postgres}\n`,
  });

  test.each([
    ['the network of a pinned service', 'network_mode: service:db', 'BORROWED_ACROSS_ROLES compose.yaml:5'],
    ['the volumes of a pinned service', 'volumes_from: [db]', 'BORROWED_ACROSS_ROLES compose.yaml:5'],
    ['another name for a pinned service', 'links: ["db:database"]', 'BORROWED_ACROSS_ROLES compose.yaml:5'],
    ['a service that is not there', 'depends_on: [nope]', 'COMPOSE_INVALID compose.yaml:5'],
    ['a network that is not there', 'networks: [nope]', 'COMPOSE_INVALID compose.yaml:5'],
    ['a volume that is not there', 'volumes: ["nope:/x"]', 'COMPOSE_INVALID compose.yaml:5'],
  ])('%s', async (_, line, expected) => {
    expect(await refusals(TWO(line))).toEqual([expected]);
  });

  test('a sidecar in the network of the api is renamed with it', async () => {
    const { slots } = await release({
      'compose.yaml':
        'services:\n  api: {build: ., ports: ["80:80"]}\n  log: {image: x, network_mode: "service:api", pid: "service:api", volumes_from: ["api:ro"], x-ec2-compose-deploy: {role: rolled}}\n',
    });
    expect(slots.blue?.services['log-blue']).toMatchObject({
      network_mode: 'service:api-blue',
      pid: 'service:api-blue',
      volumes_from: ['api-blue:ro'],
    });
    expect(slots.blue?.services['log-blue']).not.toHaveProperty('networks');
  });

  test('a pinned service that needs a rolled one is warned about', async () => {
    const { warnings, shared } = await release({
      'compose.yaml':
        'services:\n  api: {build: ., ports: ["80:80"], restart: always}\n  prometheus: {image: prom, depends_on: [api]}\n',
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^compose.yaml:3: prometheus is left alone .* api-blue or api-green/);
    expect(shared.services.prometheus).not.toHaveProperty('depends_on');
  });
});

describe('settings of this deployer', () => {
  test.each([
    ['an unknown key', '{exclusiv: true}'],
    ['an unknown role', '{role: sticky}'],
    ['a word for a truth value', '{exclusive: "yes"}'],
    ['no map', '[rolled]'],
  ])('%s', async (_, settings) => {
    const [found] = await problems(api(PORTS, `x-ec2-compose-deploy: ${settings}`));
    expect(found).toMatchObject({ code: 'SETTINGS_INVALID', where: 'compose.yaml:5' });
  });

  test('a service behind the load balancer can not be pinned', async () => {
    expect(await refusals(api(PORTS, 'x-ec2-compose-deploy: {role: pinned}'))).toEqual([
      'WEB_SERVICE_PINNED compose.yaml:5',
    ]);
  });
});

test('everything that is wrong is reported at once', async () => {
  const found = await refusals(
    api('ports: ["80"]', 'container_name: api', 'volumes: [".:/app"]', 'depends_on: [nope]'),
  );
  expect(found).toEqual([
    'COMPOSE_INVALID compose.yaml:7',
    'CONTAINER_NAME_ROLLED compose.yaml:5',
    'DEVELOPMENT_MOUNT compose.yaml:6',
    'WEB_PORT_RANDOM compose.yaml:4',
  ]);
});

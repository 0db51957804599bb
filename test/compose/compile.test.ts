// biome-ignore-all lint/suspicious/noTemplateCurlyInString: compose's own ${…}, not JavaScript's
import { afterAll, describe, expect, test } from '@jest/globals';
import { stableJson } from '../../src/compose/json.js';
import { blueSlot, greenSlot } from '../../src/compose/slot-ports.js';
import {
  acceptedByCompose,
  checkout,
  DIGEST,
  REPOSITORY,
  type Repository,
  release,
  removeCheckouts,
} from './project.js';

afterAll(removeCheckouts);

const SHOP: Repository = {
  Dockerfile: 'FROM scratch\n',
  'compose.yaml': `services:
  api:
    build: .
    ports: ["8080:3000"]
    restart: unless-stopped
    environment:
      DATABASE: postgres://\${DB_USER:-shop}:\${DB_PASSWORD:?}@db/shop
      PRICE: "5$$"
    depends_on: [db, cache]
    healthcheck: {test: ["CMD", "/health"], interval: 5s}
  db:
    image: postgres:16
    volumes: ["pgdata:/var/lib/postgresql/data"]
  cache:
    image: redis:7
volumes: {pgdata: {}}
`,
};

describe('an api with its database', () => {
  test('the api becomes the blue slot, the database and the cache stay in the shared project', async () => {
    const { slots, shared, services, web } = await release(SHOP);
    expect(slots.blue).toEqual({
      name: 'shop-blue',
      services: {
        'api-blue': {
          image: `${REPOSITORY}@${DIGEST}`,
          restart: 'unless-stopped',
          ports: [{ mode: 'ingress', protocol: 'tcp', published: '8080', target: 3000 }],
          environment: {
            DATABASE: 'postgres://${DB_USER:-shop}:${DB_PASSWORD:?}@db/shop',
            PRICE: '5$$',
            DEPLOY_COMMIT: '${DEPLOY_COMMIT}',
            DEPLOY_ENVIRONMENT: '${DEPLOY_ENVIRONMENT}',
            DEPLOY_RELEASE: '${DEPLOY_RELEASE}',
            DEPLOY_SLOT: 'blue',
          },
          healthcheck: { test: ['CMD', '/health'], interval: '5s' },
          labels: {
            'ec2-compose-deploy.app': 'shop',
            'ec2-compose-deploy.environment': 'production',
            'ec2-compose-deploy.release': '${DEPLOY_RELEASE}',
            'ec2-compose-deploy.role': 'rolled',
            'ec2-compose-deploy.service': 'api',
            'ec2-compose-deploy.slot': 'blue',
          },
          networks: { default: { aliases: ['api'] }, 'default-shared': null },
        },
      },
      networks: { default: { name: 'shop-blue_default' }, 'default-shared': { external: true, name: 'shop_default' } },
    });
    expect(Object.keys(shared.services)).toEqual(['cache', 'db']);
    expect(shared).toMatchObject({
      name: 'shop',
      networks: { default: { name: 'shop_default' } },
      volumes: { pgdata: { name: 'shop_pgdata' } },
    });
    expect(services.map(({ name, role, stateful }) => [name, role, stateful])).toEqual([
      ['api', 'rolled', false],
      ['cache', 'pinned', false],
      ['db', 'pinned', true],
    ]);
    expect(web).toEqual([{ service: 'api', publishedPort: 8080, containerPort: 3000 }]);
  });

  test('the green slot is the blue one on its own port, under its own names', async () => {
    const { web } = await release(SHOP);
    const { slots } = await release(SHOP, { slots: [blueSlot(web), greenSlot(web)] });
    const blue = stableJson(slots.blue).replaceAll('blue', 'green').replace('"8080"', '"8081"');
    expect(stableJson(slots.green)).toBe(blue);
  });

  test('the variables that the host must have are listed with their defaults', async () => {
    const { variables } = await release(SHOP);
    expect(variables).toEqual([
      { name: 'DB_PASSWORD', required: true },
      { name: 'DB_USER', required: false, default: 'shop' },
    ]);
  });

  test('compose on the host accepts both projects and fills in its own values', async () => {
    const directory = checkout({});
    const { slots, shared } = await release(SHOP);
    const { services } = await acceptedByCompose(slots.blue, directory, { DB_PASSWORD: 'pa$$word' });
    expect(services['api-blue'].environment).toMatchObject({
      DATABASE: 'postgres://shop:pa$$$$word@db/shop',
      DEPLOY_RELEASE: '20261122-153000-3f2c1ab',
      DEPLOY_SLOT: 'blue',
      PRICE: '5$$',
    });
    expect(Object.keys((await acceptedByCompose(shared, directory)).services)).toEqual(['cache', 'db']);
  });

  test('a staging copy on the same host has its own projects and volumes', async () => {
    const { slots, shared } = await release(SHOP, { environment: 'staging' });
    expect(slots.blue?.name).toBe('shop-staging-blue');
    expect(shared).toMatchObject({ name: 'shop-staging', volumes: { pgdata: { name: 'shop-staging_pgdata' } } });
  });

  test('a name in the compose file keeps the volumes that it has named so far', async () => {
    const { shared } = await release({ ...SHOP, 'compose.yaml': `name: old-shop\n${SHOP['compose.yaml']}` });
    expect(shared).toMatchObject({ name: 'shop', volumes: { pgdata: { name: 'old-shop_pgdata' } } });
  });
});

describe('nginx in front of an api, on networks of their own', () => {
  const FRONT: Repository = {
    'api/Dockerfile': 'FROM scratch\n',
    'nginx/default.conf': 'server { listen 80; }\n',
    'compose.yaml': `services:
  web:
    image: nginx:1.27
    restart: always
    ports: ["80:80"]
    volumes: ["./nginx/default.conf:/etc/nginx/conf.d/default.conf:ro"]
    networks: [front]
    depends_on: {api: {condition: service_healthy}}
  api:
    build: ./api
    networks: {front: {aliases: [backend]}, back: {}}
    depends_on: {db: {condition: service_healthy}}
  worker:
    build: ./api
    command: work
    links: ["api:http"]
    networks: [front, back]
    x-ec2-compose-deploy: {exclusive: true}
  db:
    image: postgres:16
    networks: [back]
networks:
  front: {driver_opts: {com.docker.network.driver.mtu: "1400"}}
  back: {internal: true}
`,
  };

  test('nginx reaches the api of its own slot, and only what is shared with the database is joined', async () => {
    const { slots, shared, services } = await release(FRONT, { service: ['web'] });
    expect(slots.blue?.networks).toEqual({
      front: { name: 'shop-blue_front', driver_opts: { 'com.docker.network.driver.mtu': '1400' } },
      back: { name: 'shop-blue_back', internal: true },
      'back-shared': { external: true, name: 'shop_back' },
    });
    expect(slots.blue?.services).toMatchObject({
      'web-blue': {
        image: 'nginx:1.27',
        networks: { front: { aliases: ['web'] } },
        depends_on: { 'api-blue': { condition: 'service_healthy' } },
      },
      'api-blue': {
        networks: { front: { aliases: ['api', 'backend'] }, back: { aliases: ['api'] }, 'back-shared': null },
      },
      'worker-blue': { links: ['api-blue:http'] },
    });
    expect(shared.networks).toEqual({ back: { name: 'shop_back', internal: true } });
    expect(slots.blue?.services['worker-blue']).not.toHaveProperty('depends_on');
    expect(services.map(({ name, role, exclusive }) => [name, role, exclusive])).toEqual([
      ['api', 'rolled', false],
      ['db', 'pinned', false],
      ['web', 'rolled', false],
      ['worker', 'rolled', true],
    ]);
  });

  test('the configuration of nginx travels, and compose finds it in the bundle', async () => {
    const directory = checkout(FRONT);
    const { slots, files, obstacles } = await release(directory, { service: ['web'] });
    expect(files).toMatchObject([{ path: 'nginx/default.conf', bytes: 22 }]);
    expect(obstacles).toEqual([]);
    const { services } = await acceptedByCompose(slots.blue, directory);
    expect(services['web-blue'].volumes[0].source).toBe(`${directory}/nginx/default.conf`);
  });
});

describe('what belongs to a release', () => {
  test('a worker that runs the image of the api is rolled with it', async () => {
    const { slots, services } = await release({
      'compose.yaml': `services:
  api: {build: ., image: shop:latest, ports: ["80:80"], restart: always}
  worker: {image: shop:latest, command: work}
`,
    });
    expect(slots.blue?.services['worker-blue']?.image).toBe(`${REPOSITORY}@${DIGEST}`);
    expect(services.map(({ role }) => role)).toEqual(['rolled', 'rolled']);
  });

  test('several services behind load balancers move their ports together', async () => {
    const files = {
      'compose.yaml': `services:
  api: {build: ., ports: ["8080:80"], restart: always}
  admin: {build: ., ports: ["9090:80"], restart: always}
`,
    };
    const { web } = await release(files, { service: ['api', 'admin'] });
    const { slots } = await release(files, {
      service: ['api', 'admin'],
      slots: [blueSlot(web), greenSlot(web, { admin: 9191 })],
    });
    expect(slots.green?.services).toMatchObject({
      'api-green': { ports: [{ published: '8081', target: 80 }] },
      'admin-green': { ports: [{ published: '9191', target: 80 }] },
    });
  });

  test('only the port that the load balancer uses moves; targets tell which of several it is', async () => {
    const { slots, obstacles } = await release(
      {
        'compose.yaml':
          'services:\n  api:\n    build: .\n    restart: always\n    ports: ["80:80", "443:443", "127.0.0.1:9229:9229", "5000-5001:5000-5001/udp", "7000"]\n',
      },
      { expectedPorts: { api: [443] }, slots: [{ name: 'green', ports: { api: 8443 } }] },
    );
    expect(slots.green?.services['api-green']?.ports).toMatchObject([
      { published: '80', target: 80 },
      { published: '8443', target: 443 },
      { published: '9229', host_ip: '127.0.0.1' },
      { published: '5000', protocol: 'udp' },
      { published: '5001', protocol: 'udp' },
      { target: 7000 },
    ]);
    expect(obstacles.map(({ code, where }) => `${code} ${where}`)).toContain('SLOT_PORT_FIXED compose.yaml:5');
  });

  test('a published port from an env file is settled, other variables stay for the host', async () => {
    const { slots, web, envFiles, files } = await release({
      '.env': 'PORT=9000\nTAG=7\n',
      'compose.yaml':
        'services:\n  api: {build: ., ports: ["${PORT:-80}:80"], restart: always}\n  cache: {image: "redis:${TAG}"}\n',
    });
    expect(web).toEqual([{ service: 'api', publishedPort: 9000, containerPort: 80 }]);
    expect(slots.blue?.services['api-blue']?.ports).toMatchObject([{ published: '9000', target: 80 }]);
    expect(envFiles).toEqual(['.env']);
    expect(files.map(({ path }) => path)).toEqual(['.env']);
  });

  test('configs, secrets and env files of a rolled service travel; those of the host stay its own', async () => {
    const { slots, shared, files, variables } = await release({
      'app.conf': 'a',
      'token.txt': 'b',
      'api.env': 'C=c',
      'compose.yaml': `services:
  api:
    build: .
    restart: always
    ports: ["80:80"]
    env_file: [api.env, {path: local.env, required: false}, /etc/shop.env]
    configs: [conf, inline]
    secrets: [{source: token, target: t}, fromhost]
    environment: [PASSED]
    volumes: ["/var/run/docker.sock:/var/run/docker.sock", "/etc/localtime:/etc/localtime:ro", "uploads:/uploads", "/cache"]
  db: {image: postgres, secrets: [token]}
configs: {conf: {file: ./app.conf}, inline: {content: "x=\${X}"}}
secrets: {token: {file: token.txt}, fromhost: {environment: TOKEN}}
volumes: {uploads: {external: true, name: shared-uploads}}
`,
    });
    expect(files.map(({ path }) => path)).toEqual(['api.env', 'app.conf', 'token.txt']);
    expect(slots.blue).toMatchObject({
      configs: { conf: { file: './app.conf' }, inline: { content: 'x=${X}' } },
      secrets: { token: { file: 'token.txt' }, fromhost: { environment: 'TOKEN' } },
      volumes: { uploads: { external: true, name: 'shared-uploads' } },
    });
    expect(shared.secrets).toEqual({ token: { file: 'token.txt' } });
    expect(variables).toEqual([
      { name: 'PASSED', required: false },
      { name: 'TOKEN', required: true },
      { name: 'X', required: false },
    ]);
  });

  test("${COMPOSE_PROJECT_NAME} is the name that the user knows, not the slot's", async () => {
    const { slots } = await release({
      'compose.yaml':
        'name: store\nservices:\n  api: {build: ., ports: ["80:80"], restart: always, environment: {STACK: "${COMPOSE_PROJECT_NAME}-${A:-${COMPOSE_PROJECT_NAME}}"}}\n',
    });
    expect(slots.blue?.services['api-blue']?.environment).toMatchObject({ STACK: 'store-${A:-store}' });
  });
});

test('a secret of the build stays with the build', async () => {
  const { files, slots } = await release({
    'npm.txt': 'token',
    'compose.yaml':
      'services: {api: {build: {context: ., secrets: [npm]}, ports: ["80:80"], restart: always}}\nsecrets: {npm: {file: ./npm.txt}}\n',
  });
  expect(files).toEqual([]);
  expect(slots.blue).not.toHaveProperty('secrets');
});

describe('the definition of a pinned service', () => {
  const files = (conf: string, tag = '16', extra = '') => ({
    'db.conf': conf,
    'compose.yaml': `services:
  api: {build: ., ports: ["80:80"], restart: always}
  db: {image: "postgres:${tag}", volumes: ["./db.conf:/etc/db.conf:ro", "data:/data"]${extra}}
volumes: {data: {}}
`,
  });
  const definition = async (repository: Repository, images = {}) =>
    (await release(repository, images)).services.find(({ name }) => name === 'db')?.definition;

  test('changes with the file that it mounts, its image and its settings, and with nothing else', async () => {
    const first = await definition(files('a'));
    expect(await definition(files('a'))).toBe(first);
    expect(await definition(files('b'))).not.toBe(first);
    expect(await definition(files('a', '17'))).not.toBe(first);
    expect(await definition(files('a', '16', ', mem_limit: 1g'))).not.toBe(first);
    const pinned = { images: { api: `x@${DIGEST}`, db: `postgres@${DIGEST}` } };
    expect(await definition(files('a'), pinned)).toBe(first);
  });
});

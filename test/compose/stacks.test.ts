// biome-ignore-all lint/suspicious/noTemplateCurlyInString: compose's own ${…}, not JavaScript's
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  acceptedByCompose,
  checkout,
  type Given,
  type Repository,
  refusals,
  release,
  removeCheckouts,
} from './project.js';

afterAll(removeCheckouts);

const ANYTHING = { PASSWORD: 'x', DB_PASSWORD: 'x', SECRET_KEY: 'x' };

/** Compiles a stack and has compose check both projects; the services of each, by role. */
async function deployed(files: Repository, given: Given = {}) {
  const directory = checkout(files);
  const { slots, shared } = await release(directory, given);
  const slot = await acceptedByCompose(slots.blue, directory, ANYTHING);
  const rest = await acceptedByCompose(shared, directory, ANYTHING);
  return { slot, rest, rolled: Object.keys(slot.services), pinned: Object.keys(rest.services ?? {}) };
}

describe('stacks as people have them', () => {
  test('nginx, node and postgres', async () => {
    const { rolled, pinned, slot } = await deployed(
      {
        'proxy/nginx.conf': 'events {}',
        'backend/Dockerfile': '',
        'db/password.txt': 'secret',
        'compose.yaml': `services:
  proxy:
    image: nginx
    restart: always
    ports:
      - "80:80"
    volumes:
      - type: bind
        source: ./proxy/nginx.conf
        target: /etc/nginx/conf.d/default.conf
        read_only: true
    depends_on: [backend]
  backend:
    build: {context: backend, target: builder}
    secrets: [db-password]
    depends_on: {db: {condition: service_healthy}}
  db:
    image: postgres
    user: postgres
    secrets: [db-password]
    volumes: [db-data:/var/lib/postgresql/data]
    environment:
      - POSTGRES_DB=example
      - POSTGRES_PASSWORD_FILE=/run/secrets/db-password
    expose: [5432]
    healthcheck: {test: ["CMD", "pg_isready"], interval: 10s, timeout: 5s, retries: 5}
volumes: {db-data: }
secrets: {db-password: {file: db/password.txt}}
`,
      },
      { service: ['proxy'] },
    );
    expect(rolled).toEqual(['backend-blue', 'proxy-blue']);
    expect(pinned).toEqual(['db']);
    expect(slot.services['proxy-blue'].depends_on).toEqual({
      'backend-blue': { condition: 'service_started', required: true },
    });
  });

  test('wordpress and mysql, nothing built: both versions write to the same volume', async () => {
    const { rolled, pinned, slot } = await deployed(
      {
        'compose.yaml': `services:
  db:
    image: mariadb:10.6.4-focal
    command: '--default-authentication-plugin=mysql_native_password'
    volumes: [db_data:/var/lib/mysql]
    restart: always
    environment: [MYSQL_ROOT_PASSWORD=somewordpress, MYSQL_DATABASE=wordpress]
    expose: [3306, 33060]
  wordpress:
    image: wordpress:latest
    volumes: [wp_data:/var/www/html]
    ports: ["80:80"]
    restart: always
    environment: [WORDPRESS_DB_HOST=db, "WORDPRESS_DB_PASSWORD=\${DB_PASSWORD:?}"]
volumes: {db_data: , wp_data: }
`,
      },
      { service: ['wordpress'] },
    );
    expect([rolled, pinned]).toEqual([['wordpress-blue'], ['db']]);
    expect(slot.volumes).toEqual({ wp_data: { name: 'shop_wp_data' } });
  });

  test('flask and redis with a mounted source: refused, then accepted as an overlay makes it fit', async () => {
    const files = {
      Dockerfile: '',
      'compose.yaml': `services:
  redis: {image: redislabs/redismod, ports: ['6379:6379']}
  web:
    build: {context: ., target: builder}
    stop_signal: SIGINT
    ports: ['8000:8000']
    volumes: ['.:/code']
    depends_on: [redis]
`,
      'compose.prod.yaml': 'services:\n  web:\n    restart: always\n    volumes: !reset []\n',
    };
    expect(await refusals(files)).toEqual(['DEVELOPMENT_MOUNT compose.yaml:7']);
    const { rolled, pinned } = await deployed(files, { parse: { files: ['compose.yaml', 'compose.prod.yaml'] } });
    expect([rolled, pinned]).toEqual([['web-blue'], ['redis']]);
  });

  test('react, express and mongo on two networks, with develop and container names', async () => {
    const files = (names: boolean) => ({
      'compose.yaml': `services:
  frontend:
    build: {context: frontend, target: development}
    ports: [3000:3000]
    stdin_open: true
    restart: always
    networks: [react-express]
    depends_on: [backend]
    develop: {watch: [{path: ./frontend/src, action: sync, target: /usr/src/app/src}]}
${names ? '    container_name: frontend\n' : ''}
  backend:
    build: {context: backend}
    restart: always
    networks: [express-mongo, react-express]
    expose: ["3000"]
    depends_on: [mongo]
  mongo:
    image: mongo:4.2.0
    restart: always
    container_name: mongo
    volumes: [mongo_data:/data/db]
    networks: [express-mongo]
    expose: ["27017"]
networks: {react-express: {}, express-mongo: {}}
volumes: {mongo_data: {}}
`,
    });
    expect(await refusals(files(true))).toEqual(['CONTAINER_NAME_ROLLED compose.yaml:10']);
    const { slot, rest } = await deployed(files(false));
    expect(Object.keys(slot.services['frontend-blue'].networks)).toEqual(['react-express']);
    expect(Object.keys(slot.services['backend-blue'].networks)).toEqual([
      'express-mongo',
      'express-mongo-shared',
      'react-express',
    ]);
    expect(rest.services.mongo.container_name).toBe('mongo');
  });

  test('django with celery, flower and a one-shot migration, anchors and long ports', async () => {
    const { rolled, pinned, slot } = await deployed({
      'compose.yaml': `x-app: &app
  build: .
  restart: unless-stopped
  environment: &env
    SECRET_KEY: \${SECRET_KEY:?set it}
    BROKER: redis://redis:6379/0
  logging: {driver: json-file, options: {max-size: 10m}}
services:
  web:
    <<: *app
    command: gunicorn app.wsgi
    ports: [{target: 8000, published: "8000", protocol: tcp, mode: host}]
    depends_on: {migrate: {condition: service_completed_successfully}, redis: {condition: service_started}}
    environment: {<<: *env, ROLE: web}
  migrate:
    <<: *app
    command: python manage.py migrate
    restart: "no"
  beat:
    <<: *app
    command: celery beat
    x-ec2-compose-deploy: {exclusive: true}
  redis:
    image: redis:7-alpine
    ulimits: {nofile: {soft: 1024, hard: 2048}}
    sysctls: {net.core.somaxconn: 1024}
`,
    });
    expect([rolled, pinned]).toEqual([['beat-blue', 'migrate-blue', 'web-blue'], ['redis']]);
    expect(slot.services['web-blue'].ports).toEqual([
      { mode: 'host', protocol: 'tcp', published: '8000', target: 8000 },
    ]);
    expect(slot.services['web-blue'].depends_on).toEqual({
      'migrate-blue': { condition: 'service_completed_successfully', required: true },
    });
  });

  test('a single service has no shared project at all', async () => {
    const { pinned, slot } = await deployed({
      'compose.yaml': 'services: {web: {build: ., ports: ["80:3000"], restart: always}}',
    });
    expect(pinned).toEqual([]);
    expect(Object.keys(slot.networks)).toEqual(['default']);
  });
});

// MODE: ok; error (500 on /health); exit (ends before it listens); crash (healthy, then ends after 3 s).
import { createServer } from 'node:http';

const { VERSION = '', MODE = 'ok', DEPLOY_RELEASE = '', DEPLOY_SLOT = '' } = process.env;

if (MODE === 'exit') {
  console.error('cannot start: the configuration is incomplete');
  process.exit(3);
}
const server = createServer((request, response) => {
  if (request.url === '/health') response.statusCode = MODE === 'error' ? 500 : 200;
  response.end(JSON.stringify({ version: VERSION, release: DEPLOY_RELEASE, slot: DEPLOY_SLOT }));
});
// Longer than the load balancer keeps an idle connection, so that it is never this side that closes one in use.
server.keepAliveTimeout = 65_000;
server.listen(3000, '0.0.0.0');
if (MODE === 'crash') setTimeout(() => process.exit(1), 3_000);
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});

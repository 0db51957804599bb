import type { AddressInfo, Server, Socket } from 'node:net';

const open = new Map<Server, Set<Socket>>();

/** Listens on a free port of the loopback until `closeServers`. */
export async function serve(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  open.set(server, sockets);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of open.get(server) ?? []) socket.destroy();
  open.delete(server);
  await closed;
}

export async function closeServers(): Promise<void> {
  await Promise.all([...open.keys()].map(closeServer));
}

import { createServer, type Server } from 'node:net';

/** Two loopback ports that nobody has right now, for the server and its UI: the preferred ones where they are free. */
export async function freePorts(preferred?: { grpc: number; ui: number }): Promise<{ grpc: number; ui: number }> {
  const either = (port = 0) => listen(port).catch(() => listen(0));
  // Both are held until both are known, so that they differ.
  const [grpc, ui] = await Promise.all([either(preferred?.grpc), either(preferred?.ui)]);
  const ports = { grpc: portOf(grpc), ui: portOf(ui) };
  await Promise.all([grpc, ui].map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

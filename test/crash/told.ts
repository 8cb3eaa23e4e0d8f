import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Report } from '../../src/core/report.js';

const FINAL = ['completed', 'partial', 'failed', 'skipped', 'cancelled', 'proof-failed'] as const;

/** Who is told of each run's end: a webhook that remembers what it got. */
export interface Told {
  url: string;
  on: readonly string[];
  /** Final events of a run. */
  of: (workflowId: string) => string[];
  end: () => void;
}

export async function openTold(): Promise<Told> {
  const got: { workflowId: string; event: string }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const { workflowId, event } = JSON.parse(body) as Report & { event: string };
      got.push({ workflowId, event });
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    on: FINAL,
    of: (id) => got.filter(({ workflowId }) => workflowId === id).map(({ event }) => event),
    end: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

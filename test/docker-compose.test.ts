import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { findProgram } from '../activities/tools/programs.js';
import { startDevServer } from '../worker/dev-server.js';
import { findTemporal } from '../worker/temporal-binary.js';

const FILE = fileURLToPath(new URL('../docker-compose.yaml', import.meta.url));
const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
const V2 = join(process.env.HOLDFAST_TOOLS ?? join(cache, 'holdfast/tools'), 'compose-v2.40.3');

interface Service {
  image: string;
  command?: string[];
  restart: string;
  pid?: string;
  ports?: (string | { host_ip?: string })[];
  volumes?: (string | { source?: string; target?: string })[];
  environment?: Record<string, string>;
}

const variants = [
  {
    name: 'v1',
    lacks: findProgram('docker-compose') ? undefined : 'docker-compose v1 is not installed',
    command: ['docker-compose'],
    config: '/nonexistent',
  },
  {
    name: 'v2',
    lacks: existsSync(join(V2, 'cli-plugins/docker-compose'))
      ? undefined
      : 'not built: the setup does it where Go is installed',
    command: ['docker', 'compose'],
    config: V2,
  },
];

/** The file as this Compose understands it, with every variable at its default. */
function read({ command, config }: (typeof variants)[number]): Record<string, Service> {
  const [program = '', ...args] = command;
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', DOCKER_CONFIG: config };
  const text = execFileSync(program, [...args, '-f', FILE, 'config'], { env, encoding: 'utf8' });
  return parse(text).services;
}

for (const variant of variants)
  describe(`docker-compose.yaml, ${variant.name}`, () => {
    const check = (name: string, body: (services: Record<string, Service>) => void) =>
      test(name, (t) => {
        if (variant.lacks) t.skip(variant.lacks);
        else body(read(variant));
      });

    check('is understood, and every port is bound to this machine', (services) => {
      const ports = Object.values(services).flatMap((service) => service.ports ?? []);
      assert.equal(ports.length, 2);
      for (const port of ports)
        assert.equal(typeof port === 'string' ? port.split(':')[0] : port.host_ip, '127.0.0.1', JSON.stringify(port));
    });

    check('worker and watchdog share state, processes and docker, and come back', ({ worker, watchdog }) => {
      const paths = (service?: Service) =>
        service?.volumes?.map((each) => (typeof each === 'string' ? each.split(':')[0] : each.source));
      assert.deepEqual(paths(worker), paths(watchdog));
      for (const path of ['/var/run/docker.sock', '/var/lib/holdfast']) assert.ok(paths(worker)?.includes(path), path);
      for (const service of [worker, watchdog]) {
        assert.equal(service?.pid, 'host');
        assert.equal(service?.restart, 'always');
      }
    });

    check('what stays up is started again, what ends once is not', (services) => {
      const restarts = Object.entries(services).map(([name, { restart }]) => `${name} ${restart}`);
      assert.deepEqual(restarts.sort(), [
        'postgresql unless-stopped',
        'temporal unless-stopped',
        'temporal-namespace on-failure:10',
        'temporal-schema on-failure:10',
        'temporal-ui unless-stopped',
        'watchdog always',
        'worker always',
      ]);
    });
  });

/** A service's shell script as the container's shell gets it. */
function scriptOf(service: string): string {
  const { services } = parse(readFileSync(FILE, 'utf8'), { merge: true }) as { services: Record<string, Service> };
  return (services[service]?.command ?? []).join('\n').replaceAll('$$', '$');
}

test('every script of it is one to a shell', () => {
  for (const service of ['temporal-schema', 'temporal', 'temporal-namespace']) {
    assert.notEqual(scriptOf(service), '');
    execFileSync('sh', ['-n', '-c', scriptOf(service)]);
  }
});

test('the namespace script gives a server a year of retention, and again', { timeout: 120_000 }, async (t) => {
  const temporal = await findTemporal({ env: { ...process.env, TEMPORAL_ADDRESS: '' }, fetch: false }).catch(
    () => undefined,
  );
  if (!temporal || !('path' in temporal)) return t.skip('no temporal command');
  const server = await startDevServer({ temporal, namespace: 'other', headless: true });
  try {
    const env = {
      PATH: `${dirname(temporal.path)}:${process.env.PATH}`,
      HOME: '/nonexistent',
      TEMPORAL_ADDRESS: server.address,
      TEMPORAL_NAMESPACE: 'made-by-compose',
    };
    const script = () => execFileSync('sh', ['-euc', scriptOf('temporal-namespace')], { env, stdio: 'pipe' });
    script();
    // A server takes some seconds to know its newest namespace; the container's restart policy waits for that.
    for (let tries = 1; ; tries++)
      try {
        script();
        break;
      } catch (error) {
        if (tries === 10) throw error;
        await sleep(2_000);
      }
    const args = ['operator', 'namespace', 'describe', '--namespace', 'made-by-compose', '--output', 'json'];
    const described = JSON.parse(execFileSync(temporal.path, args, { env, encoding: 'utf8' }));
    assert.equal(described.config.workflowExecutionRetentionTtl, '31536000s');
  } finally {
    await server.stop();
  }
});

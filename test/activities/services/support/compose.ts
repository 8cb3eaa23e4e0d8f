import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../../../../activities/tools/programs.js';
import { ServiceSpec } from '../../../../src/core/plan.js';

const APP = fileURLToPath(new URL('app.sh', import.meta.url));
const V2 = `${process.env.HOLDFAST_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast/tools')}/compose-v2.40.3`;

/** A Compose to test with. */
export interface Version {
  name: string;
  /** Why it is not there. */
  lacks(): string | undefined;
  /** DOCKER_CONFIG that makes the product find this one. */
  config: string;
  run(...args: string[]): string;
}

const call = (file: string, args: string[], config: string) =>
  execFileSync(file, args, {
    env: { ...process.env, DOCKER_CONFIG: config },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

export const versions: Version[] = [
  {
    name: 'v1',
    lacks: () => (findProgram('docker-compose') ? undefined : 'docker-compose v1 is not installed'),
    config: '/nonexistent',
    run: (...args) => call('docker-compose', args, '/nonexistent'),
  },
  {
    name: 'v2',
    lacks: () =>
      existsSync(join(V2, 'cli-plugins/docker-compose'))
        ? undefined
        : 'Compose v2 is not built: the setup does it where Go is installed',
    config: V2,
    run: (...args) => call('docker', ['compose', ...args], V2),
  },
];

interface App {
  stubborn?: boolean;
  more?: string[];
}

/** A project of its own directory with one service per entry, each in a directory `<service>` that it beats in; containers exist, stopped. */
export async function project(version: Version, root: string, name: string, apps: Record<string, App>) {
  const dir = join(root, name);
  const lines = ['version: "2.4"', 'services:'];
  for (const [service, { stubborn, more = [] }] of Object.entries(apps)) {
    await mkdir(join(dir, service), { recursive: true });
    await copyFile(APP, join(dir, service, 'app.sh'));
    lines.push(
      `  ${service}:`,
      ...['image: bb:1', 'network_mode: host', `volumes: ["./${service}:/data"]`].map((line) => `    ${line}`),
      `    command: [sh, /data/app.sh, /data${stubborn ? ', stubborn' : ''}]`,
      ...more.map((line) => `    ${line}`),
    );
  }
  const file = join(dir, 'docker-compose.yaml');
  await writeFile(file, `${lines.join('\n')}\n`);
  version.run('-f', file, 'up', '--no-start');
  const spec = (units: string[], more: object = {}) =>
    ServiceSpec.parse({ kind: 'compose', name, file, services: units, ...more });
  return { dir, file, spec, beat: (service: string) => join(dir, service, 'beat') };
}

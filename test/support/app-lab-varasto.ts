import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { unseal } from '../../activities/tools/ubackup.js';
import { exportText, load, save } from '../../examples/varasto/database.mjs';
import { seed } from '../../examples/varasto/seed.mjs';
import type { AppSite } from './app-site.js';
import type { Lab } from './lab.js';
import { eventually, freePort, lives } from './toy.js';
import { rsaPair, STO } from './varasto-site.js';

/** Varasto: its export while it runs, into µbackup's format and into an archive for a key; a restore stops it. */
export async function varastoApp(lab: Lab): Promise<AppSite> {
  const dir = join(lab.dir, 'app/varasto');
  const program = join(dir, 'program');
  await mkdir(program, { recursive: true, mode: 0o755 });
  const varasto = seed({ dir: join(dir, 'site'), files: 2, kb: 8 });
  const { root, token } = varasto;
  for (const name of ['sto', 'sto.mjs', 'database.mjs', 'bolt.mjs']) await cp(join(STO, name), join(program, name));
  execFileSync('chmod', ['-R', 'go-w', dir]);
  const pair = rsaPair();
  const identity = await generateX25519Identity();
  const [port, keys, age] = [await freePort(), join(lab.dir, 'backups.key'), join(lab.dir, 'age.key')];
  await writeFile(keys, pair.privateKey, { mode: 0o600 });
  await writeFile(age, `${identity}\n`, { mode: 0o600 });
  const [pidFile, ca] = [join(dir, 'sto.pid'), join(root, 'tls.crt')];
  const own = { STO_PORT: String(port), STO_PID_FILE: pidFile };
  const [bucket, database] = [join(lab.dir, 'repositories/bucket'), join(root, 'varasto.db')];
  const asks = `require('https').get({host:'localhost',port:${port},path:'/api_v2/health',ca:require('fs').readFileSync('${ca}')},(a)=>process.exit(a.statusCode===200?0:1)).on('error',()=>process.exit(1))`;
  const recipient = await identityToRecipient(identity);
  await lab.configure((config) => {
    config.repositories = {
      bucket: { engine: 'ubackup', location: bucket, recipients: [pair.publicKey], identity: { file: keys } },
      local: { engine: 'archive', location: lab.repositories.local, recipients: [recipient], identity: { file: age } },
    };
    config.sites.cms = {
      ...{ app: 'varasto', root, repositories: ['bucket', 'local'], limits: { reserve: '10MB' } },
      service: {
        name: 'varasto',
        process: {
          ...{ pidFile, signal: 'SIGTERM' },
          start: { argv: [join(program, 'sto'), 'server'], cwd: root, env: { ...own, PATH: process.env.PATH ?? '' } },
        },
      },
      health: { command: [process.execPath, '-e', asks] },
      options: {
        ...{ url: `https://localhost:${port}/api_v2/database/export`, ca, token: { file: join(root, 'token') } },
        leaveOut: ['volumes', 'token', 'tls.crt'],
      },
      restoreTest: { scratch: lab.scratch, boot: true, sample: '1/1' },
    };
  });
  const ask = (path: string, body?: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      const options = { host: 'localhost', port, path, headers, ca: readFileSync(ca), agent: false, timeout: 30_000 };
      const sent = request({ ...options, method: body ? 'POST' : 'GET' });
      sent.on('error', reject);
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('response', async (answer) => {
        const text = (await buffer(answer)).toString();
        answer.statusCode === 200 ? resolve(text) : reject(new Error(`${answer.statusCode} ${text}`));
      });
      sent.end(body);
    });
  const pid = () => {
    const found = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
    return found && lives(found) && runs(found, program) ? found : undefined;
  };
  const up = () =>
    ask('/api_v2/health').then(
      () => true,
      () => false,
    );
  const lines = (text: string) => text.split('\n').filter(Boolean).sort();
  const end = async (signal: NodeJS.Signals) => {
    const running = pid();
    if (!running) return;
    process.kill(running, signal);
    await eventually('varasto has ended', 60_000, () => !lives(running));
  };
  const start = async () => {
    if (pid()) return;
    const env = { ...process.env, ...own };
    spawn(join(program, 'sto'), ['server'], { cwd: root, env, detached: true, stdio: 'ignore' }).unref();
    await eventually('varasto answers', 60_000, up);
  };
  const config = (path: string) => `config.json: ${existsSync(path) ? readFileSync(path, 'utf8') : 'gone'}`;
  return {
    root,
    repositories: ['bucket', 'local'],
    service: true,
    workerEnv: { PATH: `${program}:${process.env.PATH}` },
    ...{ up, start },
    down: async () => pid() === undefined,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    pids: () => [pid() ?? []].flat(),
    look: async () => {
      const stored = existsSync(database) ? lines(exportText(load(database))) : ['gone'];
      if (await up()) {
        const served = lines(await ask('/api_v2/database/export'));
        if (served.join('\n') !== stored.join('\n'))
          throw new Error('varasto serves something else than its file holds');
      }
      return [...stored, config(join(root, 'config.json'))];
    },
    lookIn: async (tree, staging) => {
      const found = execFileSync('find', [join(staging, 'databases'), '-type', 'f'], { encoding: 'utf8' }).trim();
      const staged = join(staging, 'files/config/config.json');
      return [
        ...lines(readFileSync(found, 'utf8')),
        config(existsSync(staged) ? staged : join(tree, root, 'config.json')),
      ];
    },
    change: async (n) => {
      if (await up()) await ask('/command/directory.Create', `{"Parent":"root","Name":"generation-${n}"}`);
      else {
        const records = load(database);
        records.Directory?.push({ ID: `gen${n}`, Parent: 'root', Name: `generation-${n}`, Type: 'generic' });
        save(database, records);
      }
      writeFileSync(join(root, 'config.json'), JSON.stringify({ db_location: database, generation: n }));
    },
    snapshots: async () =>
      marks(bucket).map(({ snapshot: { id, captureId } }) => ({ id, captureId, repository: 'bucket' })),
    unpack: async ({ id, repository }, tree) => {
      if (repository === 'local') {
        const at = join(lab.repositories.local!, 'cms');
        const file = readdirSync(at).find((name) => name.startsWith(`${id}.tar.`)) ?? '';
        const script = 'age -d -i "$1" "$2" | zstd -dc | tar -xf - -C "$3"';
        execFileSync('bash', ['-euo', 'pipefail', '-c', script, 'bash', age, join(at, file), tree]);
        return;
      }
      const mark = marks(bucket).find(({ snapshot }) => snapshot.id === id);
      if (!mark) throw new Error(`${id} has no mark`);
      const plain = (name: string) =>
        buffer(unseal(Readable.from([readFileSync(join(bucket, name))]), pair.privateKey));
      execFileSync('tar', ['-xf', '-', '-C', tree], { input: await plain(mark.rest.name) });
      execFileSync('mkdir', ['-p', join(tree, mark.file.path, '..')]);
      writeFileSync(join(tree, mark.file.path), await plain(mark.object.name));
    },
  };
}

/** The number may be somebody else's by now. */
function runs(pid: number, program: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(program);
  } catch {
    return false;
  }
}

interface Mark {
  snapshot: { id: string; captureId: string };
  object: { name: string };
  rest: { name: string };
  file: { path: string };
}

/** An object exists while its mark does. */
function marks(bucket: string): Mark[] {
  if (!existsSync(bucket)) return [];
  return readdirSync(bucket, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json') && name.includes('/'))
    .map((name) => JSON.parse(readFileSync(join(bucket, name), 'utf8')) as Mark)
    .filter(({ snapshot }) => snapshot);
}

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { createMark, type Mark, markOf } from './secret-search.js';
import { rsaPair } from './varasto-site.js';

/*
 * Secrets in every place where a user may put one, each with a mark of its own, and the programs and servers of a user who is careless with them.
 */

/** What URLs, JSON, shells, `.pgpass` and `my.cnf` each write in another way. */
const odd = (core: string) => `${core} "q'&<ä%:\\x`;
const inHeader = (core: string) => `${core}"q&%\\x`;

/** Every mark by its place. `env`: referred to as a variable of the worker; `command`: printed by a program; else in a file. */
const WAYS = {
  restic: 'command',
  attic: 'file',
  s3id: 'env',
  s3key: 'file',
  age: 'file',
  rsa: 'file',
  postgres: 'file',
  mysql: 'command',
  token: 'file',
  webhook: 'file',
  signing: 'env',
  ping: 'file',
  service: 'env',
  health: 'file',
  condition: 'file',
  before: 'env',
  after: 'file',
  failure: 'file',
  dump: 'file',
  load: 'env',
  operation: 'file',
  opcheck: 'file',
  process: 'env',
  boot: 'file',
  wrong: 'file',
} as const;
export type Place = keyof typeof WAYS;

export interface Planted {
  marks: Mark[];
  secret: Record<Place | 'dotenv' | 'plain', string>;
  /** References to them, as a config has them. */
  ref: Record<Place, object>;
  /** What the worker has in its environment: those that are referred to so, and its own for Temporal. */
  env: Record<string, string>;
  recipients: { age: string; rsa: string };
  /** Directory of the secret files. */
  dir: string;
}

/** Makes all secrets; `urls` are where the webhook and the ping go. */
export async function plant(dir: string, urls: { webhook: string; ping: string }): Promise<Planted> {
  const [identity, pair] = [await generateX25519Identity(), rsaPair()];
  const dresses: Partial<Record<Place, (core: string) => string>> = {
    s3id: (core) => core,
    token: inHeader,
    webhook: (core) => `${urls.webhook}/${core}?token=${core}`,
    ping: (core) => `${urls.ping}/${core}`,
  };
  const own: Partial<Record<Place, Mark>> = {
    age: markOf('age', `# a comment\n${identity}\n`, identity.replace('AGE-SECRET-KEY-', '')),
    rsa: markOf('rsa', pair.privateKey, pair.privateKey.split('\n')[3] ?? ''),
  };
  const names = Object.keys(WAYS) as Place[];
  const marks = names.map((name) => own[name] ?? createMark(name, dresses[name] ?? odd));
  const apart = ['dotenv', 'plain', 'apikey', 'tlskey'].map((name) => createMark(name));
  mkdirSync(dir, { mode: 0o700 });
  const env: Record<string, string> = { TEMPORAL_TLS: 'false' };
  const ref: Partial<Planted['ref']> = {};
  for (const { name, secret } of marks) {
    const way = WAYS[name as Place];
    const file = join(dir, name);
    if (way === 'env') env[`HF_${name.toUpperCase()}`] = secret;
    else writeFileSync(file, `${secret}\n`, { mode: 0o600 });
    ref[name as Place] =
      way === 'env'
        ? { env: `HF_${name.toUpperCase()}` }
        : way === 'file'
          ? { file }
          : { command: [join(dir, 'print'), file] };
  }
  // A program that says too much of what it does.
  writeFileSync(
    join(dir, 'print'),
    '#!/bin/sh\nset -x\nexec 3<"$1"\nread -r line <&3\necho "asked for $line" >&2\n[ ! -e "$1.fails" ] || { printf %.20s "$line"; exit 7; }\nprintf "%s\\n" "$line"\n',
    {
      mode: 0o755,
    },
  );
  const [, , apikey, tlskey] = apart;
  env.TEMPORAL_API_KEY = apikey?.secret ?? '';
  env.TEMPORAL_TLS_CLIENT_KEY_DATA = `-----BEGIN PRIVATE KEY-----\n${tlskey?.secret}\n-----END PRIVATE KEY-----\n`;
  const all = [...marks, ...apart];
  const secret = Object.fromEntries(all.map((mark) => [mark.name, mark.secret])) as Planted['secret'];
  const recipients = { age: await identityToRecipient(identity), rsa: pair.publicKey };
  return { marks: all, secret, ref: ref as Planted['ref'], env, recipients, dir };
}

/** The one program of a careless site (it starts others by their path, past the spy): says on both outputs all that it was told, and fails when it is asked to, once. */
const TOOL = `#!/bin/sh
cd "\${0%/*}"
{ /usr/bin/env; printf 'user:%s' "$KEY" | /usr/bin/base64 -w0; printf %s "$KEY" | /usr/bin/od -An -tx1 | /usr/bin/tr -d ' \\n'; echo; } >&2
[ "$1" = export ] || /usr/bin/env
[ ! -e "fail-$1$HOLDFAST_HOOK" ] || { /bin/rm "fail-$1$HOLDFAST_HOOK"; exit 5; }
case $1 in
  start) true >running ;;
  stop) /bin/rm -f running ;;
  status) [ -e running ] || exit 3 ;;
  health) [ -e running ] ;;
  export) /bin/cat ledger.txt ;;
  import) /bin/cat >ledger.new && /bin/mv ledger.new ledger.txt ;;
  operate) echo changed >ledger.txt; exit 6 ;;
esac
`;

export interface CarelessServers {
  urls: { webhook: string; ping: string; export: string };
  /** Bodies that came, with what was asked for in front. */
  received: { to: string; head: string; body: string }[];
  /** What the export answers. */
  answer: (status: number) => void;
  end: () => void;
}

/** A receiver and an export that repeat in their answers all that they were sent. */
export async function openCarelessServers(): Promise<CarelessServers> {
  const received: CarelessServers['received'] = [];
  let status = 200;
  let calls = 0;
  const server: Server = createServer(async (request, answer) => {
    const { url = '', headers } = request;
    const to = url.split('/')[1] ?? '';
    const body = await bodyOf(request);
    received.push({ to, head: `${url} ${JSON.stringify(headers)}`, body });
    if (to === 'export' && status === 200) return void answer.end('one\ntwo\n# end\n');
    // The first is tried again, for the others nobody waits.
    const code = to === 'export' ? status : calls++ === 0 ? 500 : 400;
    answer.writeHead(code, { 'x-echo': encodeURIComponent(url) });
    answer.end(JSON.stringify({ error: 'no', url, headers, body }));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const base = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  return {
    urls: { webhook: `${base}/webhook`, ping: `${base}/ping`, export: `${base}/export` },
    received,
    answer: (next) => {
      status = next;
    },
    end: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

// biome-ignore lint/suspicious/noExplicitAny: a config as a person writes it
type ConfigObject = any;

export interface Places {
  lab: string;
  scratch: string;
  postgres: { dir: string };
  mysql: { socket: string };
  s3: { endpoint: string };
  export: string;
}

/** Fills a lab's config: three sites with every place that takes a secret, and all that they need on disk. */
export function careless(config: ConfigObject, { ref, secret, recipients }: Planted, places: Places): void {
  const root = (name: string) => join(places.lab, name);
  const tool = (word: string, key: object) => ({ argv: ['./tool.sh', word], env: { KEY: key } });
  for (const name of ['wiki', 'notes', 'shop']) {
    mkdirSync(join(root(name), 'files'), { recursive: true });
    writeFileSync(join(root(name), 'files/a.txt'), 'a file');
    writeFileSync(join(root(name), 'files/.env'), `SECRET=${secret.dotenv}\n`, { mode: 0o600 });
  }
  writeFileSync(join(root('wiki'), 'tool.sh'), TOOL);
  chmodSync(join(root('wiki'), 'tool.sh'), 0o755);
  writeFileSync(join(root('wiki'), 'ledger.txt'), 'one\ntwo\n# end\n');
  writeFileSync(join(root('wiki'), 'running'), '');
  const credentials = { AWS_ACCESS_KEY_ID: ref.s3id, AWS_SECRET_ACCESS_KEY: ref.s3key };
  const at = (name: string) => join(places.lab, 'repositories', name);
  Object.assign(config, {
    notify: {
      ops: { webhook: ref.webhook, key: ref.signing, on: ['completed', 'partial', 'failed', 'cancelled'] },
      pulse: { ping: ref.ping },
    },
    defaults: { notify: ['ops', 'pulse'], keep: { last: 1 } },
    repositories: {
      ...config.repositories,
      nas: { engine: 'restic', location: at('restic'), password: ref.restic },
      attic: { engine: 'restic', location: at('attic'), password: ref.attic },
      bucket: { engine: 'rclone', location: `s3:${places.s3.endpoint}/bucket`, credentials },
      vault: { engine: 'archive', location: at('vault'), recipients: [recipients.age], identity: ref.age },
      sealed: { engine: 'ubackup', location: at('sealed'), recipients: [recipients.rsa], identity: ref.rsa },
    },
  });
  const common = (name: string) => ({
    ...{ app: 'generic', root: root(name), limits: { reserve: '10MB' } },
    restoreTest: { scratch: places.scratch, sample: '1/1' },
  });
  const files = [{ name: 'files', path: 'files' }];
  config.sites.wiki = {
    ...common('wiki'),
    service: {
      command: {
        stop: tool('stop', ref.service),
        start: tool('start', ref.service),
        status: tool('status', ref.service),
      },
    },
    health: { command: tool('health', ref.health) },
    hooks: {
      condition: tool('hook', ref.condition),
      before: tool('hook', ref.before),
      after: tool('hook', ref.after),
      onFailure: tool('hook', ref.failure),
    },
    operations: {
      update: {
        run: tool('operate', ref.operation),
        check: { command: tool('check', ref.opcheck) },
        touches: ['ledger'],
      },
    },
    options: {
      databases: [
        { kind: 'postgres', database: 'wiki', socket: places.postgres.dir, user: 'careless', password: ref.postgres },
        {
          kind: 'command',
          name: 'ledger',
          dump: tool('export', ref.dump),
          load: tool('import', ref.load),
          ends: '# end',
        },
      ],
      files,
    },
    repositories: ['nas', 'bucket', 'vault'],
  };
  config.sites.shop = {
    ...common('shop'),
    service: 'none',
    options: {
      databases: [
        {
          kind: 'mysql',
          schemas: ['shop'],
          socket: places.mysql.socket,
          user: 'careless',
          password: ref.mysql,
          mode: 'online',
        },
      ],
      files,
    },
    repositories: ['attic'],
  };
  config.sites.notes = {
    ...common('notes'),
    service: 'none',
    options: {
      databases: [{ kind: 'http', name: 'notes', url: places.export, token: ref.token, ends: '# end' }],
      files,
    },
    repositories: ['sealed'],
  };
  const { cms } = config.sites;
  cms.service.process.start.env.KEY = ref.process;
  cms.restoreTest.start = { argv: cms.restoreTest.start.argv, env: { KEY: ref.boot } };
}

/** What the probe is told, and what it says. It runs inside the namespace, where nothing of ours can reach the application. */
export interface ProbeJob {
  argv: string[];
  cwd: string;
  base: string;
  waitMs: number;
  /** A public id, and the playlist's address below `base`. */
  link?: string;
  playlist?: string;
}

export interface ProbeAnswer {
  /** Status of /api/config; absent where it never answered. */
  config?: number;
  /** Exit code or signal, where the application ended by itself. */
  ended?: number | string | null;
  segment?: { status: number; name: string; sha256: string; bytes: number; withoutCookie: number };
  error?: string;
}

/**
 * A program for `node -`, as text: the namespace has its own process, and that gets no loader for our modules. It is
 * the first process of its PID namespace, so its end is the end of all that the application started.
 */
export const PROBE = `
const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const job = JSON.parse(process.env.HOLDFAST_PROBE);
delete process.env.HOLDFAST_PROBE;
const answer = {};
const app = spawn(job.argv[0], job.argv.slice(1), { cwd: job.cwd, stdio: 'ignore' });
app.on('error', (error) => { answer.ended = error.code; });
app.on('exit', (code, signal) => { answer.ended = signal ?? code; });
const get = (path, cookie) => fetch(job.base + path, { headers: cookie ? { cookie } : {}, signal: AbortSignal.timeout(10000) });
async function probe() {
  const until = Date.now() + job.waitMs;
  while (Date.now() < until && answer.ended === undefined && answer.config !== 200) {
    answer.config = await get('/api/config').then((reply) => reply.status, () => answer.config);
    if (answer.config !== 200) await new Promise((done) => setTimeout(done, 200));
  }
  if (answer.config !== 200 || !job.link) return;
  const page = await get('/v/' + job.link);
  const cookie = page.headers.getSetCookie().map((one) => one.split(';')[0]).join('; ');
  const withoutCookie = (await get(job.playlist)).status;
  const list = await (await get(job.playlist, cookie)).text();
  const name = list.split(/\\r?\\n/).find((line) => line && !line.startsWith('#')) ?? '';
  const reply = await get(job.playlist.replace(/[^/]*$/, name), cookie);
  const body = Buffer.from(await reply.arrayBuffer());
  const sha256 = createHash('sha256').update(body).digest('hex');
  answer.segment = { status: reply.status, name, sha256, bytes: body.length, withoutCookie };
}
probe().catch((error) => { answer.error = String(error.message); }).finally(() => {
  process.stdout.write(JSON.stringify(answer) + '\\n', () => process.exit(0));
});
`;

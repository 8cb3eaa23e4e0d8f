/** What the probe is told, and what it says. It runs inside the namespace, where nothing of ours can reach the application. */
export interface ProbeJob {
  cwd: string;
  /** Where it puts the new export. */
  again: string;
  waitMs: number;
}

export interface ProbeAnswer {
  /** Status of the health check; absent where it never answered. */
  health?: number;
  /** Exit code or signal, where the application ended by itself. */
  ended?: number | string | null;
  /** Status of the export. */
  exported?: number;
  error?: string;
}

/** A program for `node -`, as text: the namespace has its own process, and that gets no loader for our modules. */
export const PROBE = `
const { spawn } = require('node:child_process');
const { createWriteStream } = require('node:fs');
const https = require('node:https');
const { pipeline } = require('node:stream/promises');
const job = JSON.parse(process.env.HOLDFAST_PROBE);
const token = process.env.HOLDFAST_TOKEN;
delete process.env.HOLDFAST_PROBE;
delete process.env.HOLDFAST_TOKEN;
const answer = {};
const app = spawn('sto', ['server'], { cwd: job.cwd, stdio: 'ignore' });
app.on('error', (error) => { answer.ended = error.code; });
app.on('exit', (code, signal) => { answer.ended = signal ?? code; });
const get = (path, headers = {}) => new Promise((resolve, reject) => {
  // Its certificate is its own; nobody else is in this network.
  const asked = https.get('https://127.0.0.1/api_v2/' + path, { headers, rejectUnauthorized: false, timeout: 30000 }, resolve);
  asked.on('error', reject);
  asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
});
async function probe() {
  const until = Date.now() + job.waitMs;
  while (Date.now() < until && answer.ended === undefined && answer.health !== 200) {
    answer.health = await get('health').then((reply) => (reply.resume(), reply.statusCode), () => answer.health);
    if (answer.health !== 200) await new Promise((done) => setTimeout(done, 200));
  }
  if (answer.health !== 200) return;
  const reply = await get('database/export', { authorization: 'Bearer ' + token });
  answer.exported = reply.statusCode;
  await pipeline(reply, createWriteStream(job.again, { mode: 0o600 }));
}
probe().catch((error) => { answer.error = String(error.message); }).finally(() => {
  process.stdout.write(JSON.stringify(answer) + '\\n', () => process.exit(0));
});
`;

import { spawn } from 'node:child_process';
import { ROOT } from '../setup.mjs';

const LIMIT_MS = 600_000;

/**
 * Runs one test file in a process group of its own and tells what came of it. A file in which no test ran, a skip
 * without a reason and a file that does not end are failures.
 */
export async function runFile(file, { env, wrapper = [] }) {
  const began = Date.now();
  const node = [process.execPath, '--import', 'tsx', '--test-reporter', './scripts/testing/reporter.mjs', file];
  const [program, ...args] = [...wrapper, ...node];
  const child = spawn(program, args, { cwd: ROOT, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const onExit = () => endGroup(child.pid);
  process.on('exit', onExit);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup(child.pid);
  }, LIMIT_MS);
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.on('close', (exit, signal) => resolve(exit ?? signal))),
  ]);
  clearTimeout(timer);
  process.off('exit', onExit);
  return { file, ms: Date.now() - began, ...judge(out, err, code, timedOut) };
}

function judge(out, err, code, timedOut) {
  const lines = out.split('\n');
  const results = lines.filter((line) => line.startsWith('{"holdfastTest"')).map((line) => JSON.parse(line));
  const printed = lines.filter((line) => line !== '' && !line.startsWith('{"holdfastTest"')).join('\n');
  // A suite that fails because a test in it failed says nothing of its own.
  const failures = results
    .filter((r) => r.holdfastTest === 'fail' && r.failureType !== 'subtestsFailed')
    .map(({ name, error }) => ({ name, error }));
  const skipped = results.filter((r) => r.skip !== undefined && r.skip !== false);
  const skips = skipped.map(({ name, skip }) => ({ name, reason: typeof skip === 'string' ? skip : '' }));
  for (const { name, reason } of skips) {
    if (reason === '') failures.push({ name, error: 'skipped without a reason' });
  }
  const passed = results.filter((r) => r.holdfastTest === 'pass').length - skips.length;
  if (timedOut) failures.push({ name: 'the file', error: `did not end within ${LIMIT_MS / 1000} s` });
  else if (code !== 0 && failures.length === 0) failures.push({ name: 'the file', error: `ended with ${code}` });
  else if (results.length === 0) failures.push({ name: 'the file', error: 'no test ran' });
  const output =
    failures.length > 0
      ? [printed, err]
          .map((t) => t.trim().slice(-4000))
          .filter(Boolean)
          .join('\n')
      : '';
  return { passed, failures, skips, output };
}

/** SIGKILL, group and all: a test that hangs has servers below it. */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {}
}

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

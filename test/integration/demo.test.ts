import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The main job as a newcomer sees it: the whole story, on real servers with real tools, and its machine-readable end. */
test('npm run demo -- --json tells a story that is all true and leaves nothing behind', async () => {
  const { TEMPORAL_ADDRESS: _, ...env } = process.env;
  const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('holdfast-demo-'));
  const before = left();
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const options = { cwd: ROOT, env, maxBuffer: 64e6 };
    execFile(process.execPath, ['scripts/demo.mjs', '--json'], options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
    );
  });
  assert.equal(code, 0, stderr);
  const lines = stdout.trim().split('\n');
  assert.equal(lines.length, 1, 'the object is all that standard output has');
  const told = JSON.parse(lines[0] ?? '');
  assert.deepEqual(Object.keys(told), [
    'outcome',
    'app',
    'engine',
    'downtimeMs',
    'floorMs',
    'naiveMs',
    'hopMs',
    'backup',
    'crash',
    'restore',
    'proof',
    'ui',
  ]);
  assert.equal(told.outcome, 'completed');
  assert.deepEqual(told.crash, { ...told.crash, outcome: 'completed', snapshots: 1 });
  assert.deepEqual([told.restore.rowsLost, told.restore.filesLost], [0, 0]);
  assert.equal(told.proof.outcome, 'proven');
  assert.ok(told.backup.historyEvents <= 60, `${told.backup.historyEvents} events`);
  assert.ok(told.backup.historyBytes <= 100_000, `${told.backup.historyBytes} bytes of history`);
  // Down is what the application itself takes to start, at least: a figure below it was not measured.
  for (const ms of [told.downtimeMs, told.floorMs, told.naiveMs, told.crash.downMs]) assert.ok(ms > 1000, `${ms} ms`);
  assert.deepEqual(
    left().filter((name) => !before.includes(name)),
    [],
  );
});

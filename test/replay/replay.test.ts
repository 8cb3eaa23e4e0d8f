import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { bundle } from '../../worker/bundle.js';
import { SHAPES } from './shapes.js';

const DIR = new URL('histories/', import.meta.url);
const files = readdirSync(DIR).filter((file) => file.endsWith('.json'));

test('every shape of a run has been recorded', () => {
  for (const name of Object.keys(SHAPES))
    assert.ok(
      files.some((file) => file.endsWith(`-${name}.json`)),
      `no history of ${name}`,
    );
});

test('histories of every release replay with the workflows of today', async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'ERROR' } } });
  const workflowBundle = await bundle();
  const histories = files.map((file) => ({
    workflowId: file,
    history: JSON.parse(readFileSync(new URL(file, DIR), 'utf8')),
  }));
  let replayed = 0;
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
    assert.equal(error, undefined, `${workflowId}: ${error?.message}`);
    replayed++;
  }
  assert.equal(replayed, files.length);
});

test('a history that the workflows would not have made is refused', async () => {
  const file = files.find((name) => name.endsWith('-backup-completed.json'))!;
  const text = readFileSync(new URL(file, DIR), 'utf8').replaceAll('"checkpoint"', '"verify"');
  const history = JSON.parse(text);
  const results: unknown[] = [];
  for await (const { error } of Worker.runReplayHistories({ workflowBundle: await bundle() }, [
    { workflowId: file, history },
  ]))
    results.push(error);
  assert.ok(results[0] instanceof Error);
});

import { parseArgs } from 'node:util';
import { findTemporal } from '../../worker/dev-server.js';
import { now } from './clock.js';
import { toJson, untrueClaims } from './facts.js';
import { setStage } from './stage.js';
import { tell } from './story.js';

const { json, keep } = parseArgs({
  options: { json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
}).values;
// With --json the story goes to standard error, so that the object is the last and only thing on standard output.
const say = (line: string) => void (json ? process.stderr : process.stdout).write(`${line}\n`);
// Handled for good: a second Ctrl-C must not leave a site, a server and a watchdog behind.
const interrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
});

const failed = (error: Error): never => {
  say(`the demo failed: ${error.message}`);
  process.exit(1);
};
const temporal = await findTemporal({ say }).catch(failed);
// What has to be fetched and built once is not the demo's time.
const began = now();
const stage = await setStage(temporal, say).catch(failed);
try {
  const told = tell(stage, say);
  told.catch(() => {});
  const measured = await Promise.race([told, interrupted.then(() => undefined)]);
  if (!measured) throw new Error('interrupted');
  const facts = { ...measured, seconds: (now() - began) / 1000 };
  const untrue = untrueClaims(facts);
  const next = `${keep ? '' : 'keep it: npm run demo -- --keep      '}next: npx holdfast init --root <your application>`;
  if (untrue.length === 0) say(`All true. ${facts.seconds.toFixed(0)} s.   ${next}`);
  for (const claim of untrue) say(`NOT TRUE: ${claim}`);
  honest(facts.downtimeMs / facts.floorMs, facts.hopMs).forEach(say);
  if (json) process.stdout.write(`${JSON.stringify(toJson(facts, untrue))}\n`);
  process.exitCode = untrue.length === 0 ? 0 : 1;
  if (keep) {
    say(`It runs on: ${stage.server.uiUrl}, config and logs in ${stage.dir}. Ctrl-C ends it and leaves the directory.`);
    await interrupted;
  }
} catch (error) {
  say(`the demo failed: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await stage.strike(keep);
}

/** What a careful reader would ask. */
function honest(ratio: number, hopMs: number): string[] {
  return [
    '',
    `Honestly: the site is a sample of ours that behaves as VideoCMS does. Down ${ratio.toFixed(2)} times as long as by hand; ${Math.round(hopMs)} ms of it passed`,
    'between steps, on a server tuned for that (untuned: about 100 ms a step). Both repository and site are on this disk.',
  ];
}

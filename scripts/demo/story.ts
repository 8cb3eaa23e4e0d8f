import { join } from 'node:path';
import { startBackup } from '../../src/client/start.js';
import { formatBytes, formatDuration } from '../../src/core/durations.js';
import { floor, naive } from './by-hand.js';
import { now } from './clock.js';
import { crash } from './crash.js';
import type { Facts } from './facts.js';
import { line, plural, under } from './print.js';
import { prove } from './prove.js';
import { finished } from './runs.js';
import type { Stage } from './stage.js';
import { restoreInPlace, wreck } from './wreck.js';

/** The story, told while it happens. Returns what was measured; what of it must be true is judged by `untrueClaims`. */
export async function tell(stage: Stage, say: (text: string) => void): Promise<Omit<Facts, 'seconds'>> {
  const { site, visitors, client, server, dir } = stage;
  const size = await site.size();
  const media = `${size.files} files, ${formatBytes(size.bytes)}`;
  say(line(`1 A video site runs: ${size.rows} rows, ${media}; a writer adds a row every 20 ms`));
  const copy = await site.copyMainFile(join(dir, 'copied.sqlite'));
  say(
    under('cp database.sqlite, as many scripts do', `integrity ${copy.integrity}, ${copy.rows} of ${size.rows} rows`),
  );
  visitors.resume();

  const naiveMs = await naive(site, visitors, join(dir, 'naive'));
  const floorMs = await floor(site, visitors, join(dir, 'by-hand.sqlite'));
  const from = now();
  const first = await finished(await startBackup(client, { site: 'cms', reason: 'demo' }), from, server);
  const downtimeMs = Math.max(0, ...(await visitors.outages(first.from, first.to)));
  const stored = first.report.repositories[0];
  const byHand = `by hand ${formatDuration(floorMs)}, naive stop-copy-start ${formatDuration(naiveMs)}`;
  say(line('2 Back it up', `down ${formatDuration(downtimeMs)}   (${byHand})`));
  say(
    under(
      `${stored?.level === 'verified' ? 'stored and verified' : first.report.outcome} in ${first.seconds.toFixed(1)} s, ${first.historyEvents} events`,
      first.url,
    ),
  );
  for (const { message } of first.report.failures) say(under(message));

  const crashed = await crash(stage);
  const makes = crashed.outcome === 'completed' ? 'a new worker finishes' : `the run is ${crashed.outcome}`;
  say(
    line(
      '3 Again, and kill -9 the worker while it is down',
      `down ${formatDuration(crashed.downMs)}   ${makes}: ${plural(crashed.snapshots, 'snapshot')}`,
    ),
  );
  say(
    under(
      `brought back by the watchdog; in all it stopped ${crashed.stops === 1 ? 'once' : `${crashed.stops} times`}`,
      crashed.url,
    ),
  );

  const wrecked = await wreck(stage);
  say(line('4 Delete the database and half the media', `site answers ${wrecked.status}`));

  const restored = await restoreInPlace(stage, wrecked);
  const rows =
    restored.rowsLost === 0
      ? 'every row acknowledged before the capture'
      : `${restored.rowsLost} of ${restored.rowsChecked} rows LOST`;
  say(
    line(
      '5 Restore in place (approved by the demo)',
      `${restored.seconds.toFixed(1)} s  ${restored.files - restored.filesLost} of ${restored.files} files, ${rows}`,
    ),
  );
  say(
    under(
      `${restored.rowsAfterSnapshot} younger rows; ${restored.rowsPutAside} of them found in the put-aside`,
      restored.url,
    ),
  );

  const { flippedByteFound, ...proof } = await prove(stage);
  const functional = [
    proof.booted ? 'booted' : 'NOT booted',
    proof.played ? 'one segment played' : 'no segment played',
  ].join(', ');
  say(
    line(
      `6 Prove it: scratch restore, ${plural(proof.checks, 'check')}, ${functional}`,
      `   ${proof.outcome.toUpperCase()} in ${proof.seconds.toFixed(1)} s`,
    ),
  );
  say(under(`one flipped byte in a copy is found: ${flippedByteFound ? 'yes' : 'NO'}`, proof.url));

  return {
    app: first.report.app ?? '',
    engine: stage.engine,
    site: size,
    copy,
    floorMs,
    naiveMs,
    downtimeMs,
    hopMs: first.report.hopMs ?? 0,
    backup: {
      outcome: first.report.outcome,
      level: stored?.level ?? '',
      seconds: first.seconds,
      bytes: stored?.bytes ?? 0,
      snapshot: stored?.snapshot ?? '',
      historyEvents: first.historyEvents,
      historyBytes: first.historyBytes,
    },
    crash: crashed,
    broken: wrecked,
    restore: restored,
    proof,
    flippedByteFound,
    ui: server.uiUrl ?? '',
  };
}

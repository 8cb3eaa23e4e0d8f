import { join } from 'node:path';
import type { Manifest } from '../../src/core/manifest.js';
import type { Plan } from '../../src/core/plan.js';
import { ABOUT } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { readLines } from '../capture/lines.js';
import type { AppChecks, Context } from '../contracts.js';
import { checkedCopy, databasesAgainstManifest } from './databases-against-manifest.js';
import { filesAgainstList } from './files-against-list.js';
import { collecting } from './seafile-collecting.js';
import { bootSeafile } from './seafile-fsck.js';
import { OBJECT_CHECKS, objectChecks } from './seafile-libraries.js';
import { gatherRows } from './seafile-rows.js';
import { findings, RULE_NAMES, rowRules, withoutRow } from './seafile-rules.js';
import { configuredKind, entriesOf, optionsOf, sourcesOf, storageOf, withCapturedRows } from './seafile-sources.js';
import { walkLibraries } from './seafile-walk.js';
import { eachLimited, notMade } from './tally.js';

interface Capture {
  manifest: Manifest;
  plan: Plan;
  file: (relative: string) => string;
}

/** Seafile: what its branches lead to, and the rules by which a restored installation is whole. */
export const seafileChecks: AppChecks = {
  async preflight(plan, ctx) {
    const mode = optionsOf(plan).mysql ? 'mysql' : 'sqlite';
    const configured = await configuredKind(plan);
    // A SQLite file that was left behind by a move to MySQL would be backed up without a complaint.
    if (configured !== undefined && configured !== mode)
      throw ctx.fail('InvalidConfig', `seafile.conf says type = ${configured}, holdfast.yaml describes ${mode}`, {
        advice: configured === 'mysql' ? 'give the server under options.mysql' : 'take options.mysql out',
      });
    const [first] = await collecting(join(storageOf(plan), '..'));
    if (first)
      throw ctx.fail('SiteBusy', `${first.program} (pid ${first.pid}) removes objects that a backup may need`, {
        advice: 'wait for it; keep garbage collection out of the hours of backups',
      });
    for (const line of plan.leftOut) if (line.endsWith('this installation has none')) ctx.note(line);
  },

  /** Heads only: what the databases point to now. History that is there is stored with it, and proven by the restore test. */
  references: (capture, ctx) => referencesOf(capture, ctx),

  missingAdvice: 'bring it back from an older snapshot (holdfast ls), or list its library under options.damaged',

  /** Only garbage collection removes objects: where one is gone since the list was made, it has run. */
  async afterStore(capture, ctx) {
    const gone = await goneSinceList(capture, ctx);
    if (gone === 0) return;
    for await (const path of referencesOf(capture, ctx)) {
      if (await exists(path)) continue;
      throw ctx.fail('FilesVanished', 'an object that the captured databases refer to was removed meanwhile', {
        advice: 'keep garbage collection out of the hours of backups, then back up again',
        details: { places: [path] },
      });
    }
    ctx.note(`garbage collection removed ${gone} objects meanwhile; the captured databases refer to none of them`);
  },

  async checks(restored, ctx) {
    const checks = [...(await databasesAgainstManifest(restored, ctx)), ...(await filesAgainstList(restored, ctx))];
    const { plan, scratch } = restored;
    const options = optionsOf(plan);
    const { seafile, ccnet } = entriesOf(restored.manifest);
    const whole = [seafile, ccnet].every(
      (entry) => entry && checks.some(({ name, ok }) => ok && name === `${entry.name}: integrity`),
    );
    const none = (why: string) => [...checks, ...[...RULE_NAMES, ...OBJECT_CHECKS].map((name) => notMade(name, why))];
    if (!seafile || !ccnet || !whole) return none('the databases cannot be read');
    let rows: string;
    try {
      const sources = await sourcesOf({ seafile, ccnet }, plan, (entry) =>
        entry.kind === 'mysql' ? join(restored.root, ABOUT, entry.file) : checkedCopy(entry, restored),
      );
      rows = await gatherRows(sources, scratch, ctx);
    } catch (error) {
      ctx.signal.throwIfAborted();
      return none((error as Error).message.split('; ')[0] ?? '');
    }
    const storage = restored.relocate(
      restored.manifest.fileSets.find(({ name }) => name === 'libraries')?.root ?? storageOf(plan),
    );
    const found = findings(options.damaged);
    const own = [
      ...(await rowRules(rows, found, options.mayBeEmpty, ctx)),
      ...(await objectChecks(rows, storage, found, restored, ctx)),
      await withoutRow(rows, storage, scratch, ctx),
    ];
    if (found.known.length > 0)
      own.push({
        name: 'known damage',
        ok: true,
        evidence: `in libraries that the config lists as damaged: ${found.known[0]}`,
        places: found.known,
      });
    return [...checks, ...own];
  },

  boot: bootSeafile,
};

async function* referencesOf(capture: Capture, ctx: Context): AsyncGenerator<string> {
  // On the machine that has pulled it, the libraries are not there to walk: whatever it lacks may be needed.
  if (capture.plan.of) return yield* listed(capture);
  const { damaged } = optionsOf(capture.plan);
  const storage = storageOf(capture.plan);
  async function* all(rows: string, scratch: string): AsyncGenerator<string> {
    for await (const { kind, library, id, path, problem } of walkLibraries({ rows, storage, scratch }, ctx)) {
      if (damaged.includes(library)) continue;
      if (problem !== undefined && (await exists(path))) ctx.note(`library ${library}: ${kind} ${id} ${problem}`);
      yield path;
    }
  }
  yield* withCapturedRows(capture, all, ctx);
}

async function goneSinceList(capture: Capture, ctx: Context): Promise<number> {
  let gone = 0;
  const look = async (path: string) => {
    if (!(await exists(path))) gone++;
    ctx.beat();
  };
  await eachLimited(listed(capture), look, 32);
  return gone;
}

async function* listed({ manifest, file }: Capture): AsyncGenerator<string> {
  const set = manifest.fileSets.find(({ name }) => name === 'libraries');
  if (set)
    for await (const line of readLines(file(set.list))) yield join(set.root, (JSON.parse(line) as { p: string }).p);
}

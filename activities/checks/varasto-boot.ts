import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { Fingerprint } from '../../src/core/manifest.js';
import type { Check } from '../../src/core/report.js';
import type { Context, Restored } from '../contracts.js';
import { fingerprintOfExport } from '../databases/http-forms.js';
import { importWithSto } from '../databases/http-import.js';
import { writeDurable } from '../site/durable.js';
import { LineFile } from '../tools/line-file.js';
import { findProgram } from '../tools/programs.js';
import { type ExportRecord, NoExport, readExport } from '../tools/varasto-export.js';
import { exportOf } from './varasto-place.js';
import { PROBE, type ProbeAnswer, type ProbeJob } from './varasto-probe.js';

const WAIT_MS = 60_000;
const NAME = 'boot: exported again';

/**
 * Imports the export without all that acts outward (mounts, jobs, uploads), starts Varasto on it in a network of its own with a
 * private HOME, and has it export again: both must hold the same records.
 */
export async function bootVarasto(restored: Restored, ctx: Context): Promise<Check[]> {
  const file = exportOf(restored);
  const why = file === undefined ? 'its metadata was taken as a database file' : whyNot();
  if (file === undefined || why) {
    ctx.note(`the application was not started: ${why}`);
    return [];
  }
  const dir = join(restored.scratch, 'boot');
  await rm(dir, { recursive: true, force: true });
  await mkdir(join(dir, '.config/varasto'), { recursive: true, mode: 0o700 });
  try {
    const edited = join(dir, 'edited.export');
    const token = await edit(file, edited);
    const wanted = await fingerprintOfExport(edited, 'varasto', ctx);
    const database = join(dir, 'varasto.db');
    await importWithSto(edited, database, wanted, ctx);
    await writeDurable(join(dir, 'config.json'), JSON.stringify({ db_location: database }));
    const again = join(dir, 'again.export');
    const answer = await probe({ cwd: dir, again, waitMs: WAIT_MS, token }, ctx);
    if (!answer) return [];
    return [healthCheck(answer), await sameCheck(answer, again, wanted, ctx)];
  } catch (error) {
    // A bad backup is a failed check; anything else (a full disk, a cancellation) says nothing about it.
    if (
      !(error instanceof NoExport) &&
      !isFailure(error, 'DumpIncomplete', 'DumpEmpty', 'DatabaseCorrupt', 'ToolFailed')
    )
      throw error;
    return [{ name: 'boot: import', ok: false, evidence: error.message.split('; ')[0] ?? '' }];
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'a network namespace of its own needs root';
  for (const program of ['sto', 'unshare', 'ip'])
    if (!findProgram(program)) return `the program ${program} is not installed`;
  return undefined;
}

/** Writes the export without what an instance would act upon; returns an API key of it. */
async function edit(file: string, to: string): Promise<string> {
  const facts = await readExport(file);
  const out = new LineFile(to);
  await out.add(
    `# Varasto-DB-snapshot${JSON.stringify({ node_id: facts.nodeId, schema_version: facts.schemaVersion })}`,
  );
  // Those without a record first, as no record tells of them.
  for (const [name, count] of Object.entries(facts.counts)) if (count === 0) await out.add(`\n# ${name}`);
  let token = '';
  let section = '';
  await readExport(file, async (record) => {
    if (record.section !== section) await out.add(`\n# ${record.section}`);
    section = record.section;
    if (section === 'Client') token = String(record.value.AuthToken);
    const text = harmless(record);
    if (text !== undefined) await out.add(text);
  });
  await out.end();
  return token;
}

function harmless({ section, text, value }: ExportRecord): string | undefined {
  // Mounted, it would write to the volumes that the live one writes to.
  if (section === 'VolumeMount') return undefined;
  // It would upload to where the live one's backups lie.
  if (section === 'Config' && value.Key === 'ubackup_config') return undefined;
  return section === 'ScheduledJob' ? JSON.stringify({ ...value, Enabled: false }) : text;
}

async function probe(job: ProbeJob & { token: string }, ctx: Context): Promise<ProbeAnswer | undefined> {
  const { token, ...rest } = job;
  const namespaces = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const inside = ['sh', '-c', 'ip link set lo up && exec "$0" -', process.execPath];
  const { stdout, stderrTail, exitCode } = await ctx.run('unshare', [...namespaces, ...inside], {
    cwd: job.cwd,
    env: {
      HOME: job.cwd,
      STO_DISABLE_REPLICATION_CONTROLLER: '1',
      STO_DISABLE_MEDIASCANNER: '1',
      HOLDFAST_PROBE: JSON.stringify(rest),
    },
    secretEnv: { HOLDFAST_TOKEN: token },
    input: PROBE,
    ok: [0, 1, 2],
    timeoutMs: WAIT_MS + 60_000,
  });
  if (exitCode === 0) return JSON.parse(stdout) as ProbeAnswer;
  // unshare says so before it starts anything: no rights, or a machine without such namespaces.
  if (!/^unshare: /m.test(stderrTail)) throw ctx.fail('ToolFailed', 'the namespace for the restored Varasto failed');
  ctx.note('the application was not started: this machine allows no namespaces');
  return undefined;
}

/** Its own words do not count: a new installation says `fail` of itself. */
function healthCheck({ health, ended, error }: ProbeAnswer): Check {
  const name = 'boot: health';
  if (health === 200) return { name, ok: true, evidence: 'the restored Varasto answers' };
  const why =
    ended === undefined ? (error ?? `it did not answer in ${WAIT_MS / 1000} s`) : `it ended by itself (${ended})`;
  return { name, ok: false, evidence: why };
}

async function sameCheck(answer: ProbeAnswer, again: string, wanted: Fingerprint, ctx: Context): Promise<Check> {
  if (answer.exported !== 200)
    return { name: NAME, ok: false, evidence: `its export answered ${answer.exported ?? 'nothing'}` };
  const found = await fingerprintOfExport(again, 'varasto', ctx).catch((error: Error) => error.message);
  if (typeof found === 'string') return { name: NAME, ok: false, evidence: found.split('; ')[0] ?? found };
  const other = Object.keys(wanted.tables).filter((name) => found.tables[name] !== wanted.tables[name]);
  const count = Object.values(wanted.tables).reduce((sum, rows) => sum + rows, 0);
  if (other.length === 0 && found.contentSha256 === wanted.contentSha256)
    return {
      name: NAME,
      ok: true,
      evidence: `${count} records, the same in all ${Object.keys(wanted.tables).length} sections`,
    };
  const places = other.map((name) => `${name}: ${found.tables[name] ?? 'none'}, not ${wanted.tables[name]}`);
  return {
    name: NAME,
    ok: false,
    evidence: places[0] ?? 'as many records in each section, and not the same ones',
    ...(places.length > 0 ? { places } : {}),
  };
}

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Database } from '../../activities/contracts.js';
import { type FailureType, isFailure } from '../../src/core/failures.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import { type TestContext, testContext } from '../support/context.js';

export interface DatabaseCase<D extends DatabaseSpec = DatabaseSpec> {
  database: Database<D>;
  /** Formats to test, each with the modes that it can be taken in. */
  forms: { format: D['format']; mode: D['mode'] }[];
  /** Makes a database with `rows` rows in the table `notes`, and others; `stop` is called before it is taken stopped. */
  make(dir: string, rows: number): Promise<{ spec: D; stop: () => Promise<void> }>;
  /** What its fingerprint calls that table, where a table's name is not all. */
  notes?: string;
  /** A spec whose database is not there, and one that holds no table. */
  missing(dir: string): D;
  /** What is said of the missing one, where a kind has no database to look for. */
  absent?: FailureType;
  empty(dir: string): Promise<D>;
}

/** What every kind of database keeps: a dump holds everything, is told from a cut one, and never changes its source. */
export function databaseSuite<D extends DatabaseSpec>(name: string, one: DatabaseCase<D>): void {
  describe(`database ${name}`, () => {
    let ctx: TestContext;
    let dir: string;
    const scratch = () => mkdtemp(join(dir, 'x-'));
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'holdfast-database-'));
      ctx = await testContext();
    });
    after(() => rm(dir, { recursive: true, force: true }));

    for (const form of one.forms) {
      const take = async (rows: number) => {
        const { spec: made, stop } = await one.make(await scratch(), rows);
        const spec = { ...made, ...form };
        if (form.mode === 'stopped') {
          await stop();
          await one.database.checkpoint?.(spec, undefined, ctx);
        }
        const into = await scratch();
        const dumped = await one.database.dump(spec, into, undefined, ctx);
        if (form.mode === 'online') await stop();
        return { spec, dumped, into, file: join(into, dumped.file) };
      };

      it(`${form.format}, ${form.mode}: preflight finds tools and the room that a dump needs`, async () => {
        const { spec, stop } = await one.make(await scratch(), 100);
        const { bytes, tools } = await one.database.preflight({ ...spec, ...form }, ctx);
        assert.ok(bytes > 0);
        assert.ok(Object.values(tools).every((version) => /\d/.test(version)));
        await stop();
      });

      it(`${form.format}, ${form.mode}: a dump loads with the same tables, rows, schema and versions`, async () => {
        const { dumped, file, into } = await take(500);
        assert.equal(dumped.fingerprint.tables[one.notes ?? 'notes'], 500);
        assert.equal((await stat(file)).size, dumped.bytes);
        const files = [dumped, ...(dumped.also ?? [])].map((each) => each.file);
        assert.deepEqual((await readdir(into)).sort(), files.sort(), 'nothing else is left there');
        const loaded = await one.database.load(file, form.format, join(await scratch(), 'loaded'), ctx);
        assert.deepEqual(loaded, dumped.fingerprint);
      });

      it(`${form.format}, ${form.mode}: inspecting a dump agrees with it and does not change it`, async () => {
        const { dumped, file } = await take(20);
        const before = await readFile(file);
        assert.deepEqual(await one.database.inspect(file, form.format, ctx), dumped.fingerprint);
        assert.ok(before.equals(await readFile(file)));
      });

      it(`${form.format}, ${form.mode}: a cut dump does not load`, async () => {
        const { dumped, file } = await take(500);
        await writeFile(file, (await readFile(file)).subarray(0, Math.floor(dumped.bytes / 2)));
        await assert.rejects(one.database.load(file, form.format, join(await scratch(), 'loaded'), ctx), (error) =>
          isFailure(error, 'DatabaseCorrupt', 'DumpIncomplete'),
        );
      });

      it(`${form.format}, ${form.mode}: a second attempt replaces what a first one left`, async () => {
        const { spec, dumped, into } = await take(20);
        await writeFile(join(into, dumped.file), 'half of it');
        const again = await one.database.dump(spec, into, undefined, ctx);
        assert.deepEqual(again.fingerprint, dumped.fingerprint);
        await one.database.load(join(into, again.file), form.format, join(await scratch(), 'loaded'), ctx);
      });

      it(`${form.format}, ${form.mode}: what is missing is said, and never created`, async () => {
        const at = await scratch();
        const spec = { ...one.missing(at), ...form };
        const into = await scratch();
        const missing = (error: unknown) => isFailure(error, one.absent ?? 'DatabaseMissing');
        await assert.rejects(one.database.preflight(spec, ctx), missing);
        await assert.rejects(one.database.dump(spec, into, undefined, ctx), missing);
        assert.deepEqual([...(await readdir(at)), ...(await readdir(into))], []);
      });

      it(`${form.format}, ${form.mode}: a database without a table is no backup`, async () => {
        const spec = { ...(await one.empty(await scratch())), ...form };
        await assert.rejects(one.database.dump(spec, await scratch(), undefined, ctx), (error) =>
          isFailure(error, 'DumpEmpty'),
        );
      });
    }
  });
}

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { commandDatabase as database } from '../../../activities/databases/command.js';
import type { CommandSpec } from '../../../activities/databases/command-dump.js';
import { isFailure } from '../../../src/core/failures.js';
import { databaseSuite } from '../../conformance/database-suite.js';
import { testContext } from '../../support/context.js';
import { temporary } from '../../support/videocms-site.js';

const END = '# end';
/** A "database" that is a text file: dumped by cat, loaded by being written anew. */
const spec = (path: string, more: Partial<CommandSpec> = {}): CommandSpec => ({
  kind: 'command',
  name: 'ledger',
  mode: 'stopped',
  dump: { argv: ['cat', path], timeoutMs: 60_000 },
  load: { argv: ['sh', '-c', 'cat >"$1.new" && mv "$1.new" "$1"', 'sh', path], timeoutMs: 60_000 },
  ends: END,
  leastBytes: 3,
  format: 'output',
  ...more,
});
const lines = (rows: number) => `${Array.from({ length: rows - 1 }, (_, i) => `row ${i}`).join('\n')}\n${END}\n`;
const made = (text: string) => {
  const path = join(temporary(), 'ledger.txt');
  writeFileSync(path, text);
  return path;
};

databaseSuite('command', {
  database,
  notes: 'lines',
  absent: 'ToolMissing',
  forms: [{ format: 'output', mode: 'stopped' }],
  make: async (_, rows) => ({ spec: spec(made(lines(rows))), stop: async () => {} }),
  missing: (dir) => spec('', { dump: { argv: [join(dir, 'none')], timeoutMs: 60_000 } }),
  empty: async () => spec(made('')),
});

const fence = { lockFile: join(temporary(), 'lock'), epochFile: join(temporary(), 'epoch'), epoch: 1 };
writeFileSync(fence.epochFile, '1\n');

describe('command', () => {
  it('an output that does not end as declared, or is too short, is incomplete, whatever its exit code', async () => {
    const ctx = await testContext();
    for (const [text, more] of [
      ['a\nb\n', {}],
      [`a\n${END} or not\n`, {}],
      [`a\n${END}`.repeat(2).slice(0, -1), {}],
      [`a\n${END}\n`, { leastBytes: 1000 }],
    ] as const) {
      const into = temporary();
      await assert.rejects(database.dump(spec(made(text), more), into, undefined, ctx), (e) =>
        isFailure(e, 'DumpIncomplete'),
      );
    }
    for (const text of [`a\n${END}`, `a\r\n${END}\r\n\r\n`])
      assert.ok(await database.dump(spec(made(text)), temporary(), undefined, ctx));
  });

  it('a program that fails after it printed everything fails the dump', async () => {
    const ctx = await testContext();
    const dump = { argv: ['sh', '-c', `echo row; echo '${END}'; exit 3`], timeoutMs: 60_000 };
    await assert.rejects(database.dump(spec('', { dump }), temporary(), undefined, ctx), (e) =>
      isFailure(e, 'ToolFailed'),
    );
  });

  it('passes secrets by the environment, and shows none', async () => {
    const ctx = await testContext();
    const file = join(temporary(), 'secret');
    writeFileSync(file, 'open-sesame\n', { mode: 0o600 });
    const dump = {
      argv: ['sh', '-c', `[ "$KEY" = open-sesame ] && echo "$KEY" >&2 && echo '${END}'`],
      env: { KEY: { file } },
      timeoutMs: 60_000,
    };
    await database.dump(spec('', { dump }), temporary(), undefined, ctx);
    assert.doesNotMatch(await ctx.logText(), /open-sesame/);
  });

  it('a proof that was lost, or belongs to another output, proves nothing', async () => {
    const ctx = await testContext();
    const into = temporary();
    const { file } = await database.dump(spec(made(lines(9))), into, undefined, ctx);
    const kept = readFileSync(join(into, `${file}.proof.json`));
    rmSync(join(into, `${file}.proof.json`));
    const load = () => database.load(join(into, file), 'output', join(temporary(), 'x'), ctx);
    await assert.rejects(load(), (e) => isFailure(e, 'DumpIncomplete'));
    writeFileSync(join(into, `${file}.proof.json`), kept);
    assert.equal((await load()).tables.lines, 9);
  });
});

describe('command, exchanged', () => {
  const exchange = database.exchangeable!;
  const prepared = async (more: Partial<CommandSpec> = {}) => {
    const ctx = await testContext();
    const path = made(lines(5));
    const one = spec(path, more);
    const into = temporary();
    const { file } = await database.dump(one, into, undefined, ctx);
    writeFileSync(path, lines(8));
    return { ctx, path, one, file: join(into, file), now: () => readFileSync(path, 'utf8') };
  };

  it('loads the dump, twice as once, and the state from before where it is taken back', async () => {
    const { ctx, path, one, file, now } = await prepared();
    await exchange.takeBack(one, 'tag', ctx);
    await exchange.stage(one, file, 'tag', ctx);
    await exchange.stage(one, file, 'tag', ctx);
    assert.equal(now(), lines(8), 'nothing happened to the live one yet');
    await exchange.exchange(one, 'tag', fence, ctx);
    assert.equal(now(), lines(5));
    writeFileSync(path, lines(6));
    await exchange.exchange(one, 'tag', fence, ctx);
    assert.equal(now(), lines(6), 'a repeat loads nothing over what came later');
    await exchange.takeBack(one, 'tag', ctx);
    assert.equal(now(), lines(8));
    await exchange.takeBack(one, 'tag', ctx);
    await exchange.exchange(one, 'tag', fence, ctx);
    assert.equal(now(), lines(5));
    await exchange.drop(one, 'tag', ctx);
    await exchange.drop(one, 'tag', ctx);
    await assert.rejects(exchange.exchange(one, 'tag', fence, ctx), (e) => isFailure(e, 'RestoreFailed'));
  });

  it('what came between two sections is taken back too, not the state from before the first', async () => {
    const { ctx, path, one, file, now } = await prepared();
    await exchange.stage(one, file, 'tag', ctx);
    await exchange.exchange(one, 'tag', fence, ctx);
    await exchange.takeBack(one, 'tag', ctx);
    writeFileSync(path, lines(9));
    await exchange.exchange(one, 'tag', fence, ctx);
    assert.equal(now(), lines(5));
    await exchange.takeBack(one, 'tag', ctx);
    assert.equal(now(), lines(9));
  });

  it('a load that broke off is loaded again, and taken back to what was there before it', async () => {
    const { ctx, path, one, file, now } = await prepared();
    await exchange.stage(one, file, 'tag', ctx);
    const broken = { ...one, load: { argv: ['sh', '-c', 'echo half >"$1"; exit 1', 'sh', path], timeoutMs: 60_000 } };
    await assert.rejects(exchange.exchange(broken, 'tag', fence, ctx), (e) => isFailure(e, 'ToolFailed'));
    await exchange.exchange(one, 'tag', fence, ctx);
    assert.equal(now(), lines(5));
    await exchange.takeBack(one, 'tag', ctx);
    assert.equal(now(), lines(8));
  });

  it('a wreck is replaced all the same, and the report says that there is no way back', async () => {
    const { ctx, path, one, file, now } = await prepared();
    rmSync(path);
    await exchange.stage(one, file, 'tag', ctx);
    await exchange.exchange(one, 'tag', fence, ctx);
    assert.equal(now(), lines(5));
    assert.match(ctx.notes.join(), /no way back/);
    await exchange.takeBack(one, 'tag', ctx);
    assert.equal(now(), lines(5));
  });

  it('without a load command it is kept for its owner, who is told where', async () => {
    const { load: _, ...bare } = spec('');
    const { ctx, path, one, file, now } = await prepared();
    const byHand = { ...bare, dump: one.dump };
    await exchange.stage(byHand, file, 'tag', ctx);
    await exchange.exchange(byHand, 'tag', fence, ctx);
    await exchange.takeBack(byHand, 'tag', ctx);
    assert.equal(now(), lines(8));
    const kept = /by hand from (\S+),/.exec(ctx.notes.join())?.[1] ?? '';
    assert.equal(readFileSync(kept, 'utf8'), lines(5));
    assert.ok(existsSync(path));
    await exchange.drop(byHand, 'tag', ctx);
    assert.ok(!existsSync(kept));
  });
});

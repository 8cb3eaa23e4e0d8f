import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { blobFile } from '../../../activities/tools/varasto-crypto.js';
import { createPipeline, type Damage, eachIsNamed, type Pipeline, planOfApp } from '../../support/pipeline.js';
import { NO_VARASTO_FIXTURES, standIn, unpackFixtures } from '../../support/varasto-site.js';
import { flip } from '../../support/videocms-site.js';

/*
 * Every kind of damage that Varasto's exports, database files and blobs were seen with, and that its own import may take with exit code 0: it makes
 * the restore test of a stored snapshot fail, and its place is named.
 */

const dirs: string[] = [];
const temp = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-varasto-damage-'));
  dirs.push(dir);
  return dir;
};
after(() => Promise.all(dirs.map((dir) => rm(dir, { recursive: true, force: true }))));

async function stored(root: string, options: object): Promise<Pipeline> {
  const pipe = await createPipeline(await planOfApp(await temp(), 'varasto', root, options));
  await pipe.store(await pipe.capture(), 'local');
  return pipe;
}

const fileOf = (tree: string) => join(tree, '.holdfast/databases/varasto/varasto.export');
const textOf = (change: (text: string) => string | Buffer) => (tree: string) =>
  writeFileSync(fileOf(tree), change(readFileSync(fileOf(tree), 'utf8')));
const sectionOf = (text: string, name: string) => new RegExp(`\\n# ${name}\\n(\\{[^\\n]*\\n)*`).exec(text)?.[0] ?? '';
const withoutLast = (lines: string) => lines.slice(0, lines.lastIndexOf('\n', lines.length - 2) + 1);
/** One record less in a section, cut where a line ends: nothing in the text tells. */
const cutIn = (name: string) => textOf((text) => text.replace(sectionOf(text, name), (all) => withoutLast(all)));

const EXPORT: Damage[][] = [
  ['one job less', cutIn('ScheduledJob'), /ScheduledJob: \d, not \d/],
  ['one mount less', cutIn('VolumeMount'), /VolumeMount: \d, not \d/],
  [
    'cut at a line’s end, sections gone',
    textOf((text) => text.slice(0, text.lastIndexOf('\n# ') + 1)),
    /section \w+ is missing after line \d+/,
  ],
  ['cut within a line', textOf((text) => text.slice(0, -9)), /line \d+ is cut/],
  ['a byte', textOf((text) => text.replace('"Label":"V', '"Label":"W')), /varasto\.(db|export).*not the same ones/],
  [
    'no key',
    textOf((text) => text.replace(sectionOf(text, 'KeyEncryptionKey'), '\n# KeyEncryptionKey\n')),
    /KeyEncryptionKey: 0, not 1.*no key-encryption key opens/,
  ],
  [
    'another schema',
    textOf((text) => text.replace('"schema_version":6', '"schema_version":5')),
    /user_version is 5, not 6/,
  ],
  [
    'a section that is unknown',
    textOf((text) => text.replace('\n# Node\n', '\n# Knot\n')),
    /line \d+: a section that is not known/,
  ],
  ['still packed', textOf((text) => gzipSync(text)), /line 1 is not the head of a Varasto export/],
  ['a refusal in its place', textOf(() => 'missing or incorrect Authorization header\n'), /line 1 is not the head/],
  ['empty', textOf(() => ''), /the export is empty/],
  ['gone', (tree: string) => rmSync(fileOf(tree)), /the database is missing.*varasto\.db/],
].map((row) => [row as Damage]);

test('an export that is cut, damaged or another one; blobs that are damaged, short or gone', async () => {
  const server = await standIn(join(await temp(), 'site'), { files: 2, kb: 8 });
  const { site, spec } = server;
  try {
    const { root, volumes, records } = site;
    const leaveOut = ['volumes', 'token', 'tls.crt'];
    const pipe = await stored(root, { url: spec.url, ca: spec.ca, token: spec.token, leaveOut });
    await eachIsNamed(pipe, EXPORT);
    const target = (at: string) => {
      const [file = ''] = execFileSync('find', [at, '-name', 'varasto.export']).toString().split('\n');
      writeFileSync(file, withoutLast(readFileSync(file, 'utf8')));
    };
    await assert.rejects(
      pipe.proveBrought('local', target),
      /database varasto of snapshot \w+ is not what was captured/,
    );
    // Blobs are read where they lie.
    const place = (n: number) => join(volumes[0] ?? '', blobFile(Buffer.from(records.Blob?.[n].Ref, 'base64')));
    flip(place(0), 20);
    truncateSync(place(1), 10);
    rmSync(place(2));
    const told = JSON.stringify((await pipe.prove('local')).filter(({ ok }) => !ok));
    for (const [n, words] of ['another checksum', '10 bytes, not \\d+', 'missing'].entries())
      assert.match(told, RegExp(`${place(n).slice(-49)}: [^"]*${words}`));
  } finally {
    await server.end();
  }
});

test('the database file of a real instance', { skip: NO_VARASTO_FIXTURES }, async () => {
  const fixtures = await unpackFixtures();
  dirs.push(fixtures);
  const root = await temp();
  cpSync(join(fixtures, 'varasto.db'), join(root, 'varasto.db'));
  const pipe = await stored(root, { take: 'stopped' });
  const database = (tree: string) => join(tree, 'varasto.db');
  const wipe = (tree: string, pages: number[]) => {
    const bytes = readFileSync(database(tree));
    for (const page of pages) bytes.fill(0, page * 4096, page * 4096 + 200);
    writeFileSync(database(tree), bytes);
  };
  await eachIsNamed(pipe, [
    [['cut to 8 KB', (t) => truncateSync(database(t), 8192), /varasto\.db/]],
    [['both meta pages', (t) => wipe(t, [0, 1]), /varasto\.db/]],
    [['one meta page, where Varasto starts all the same', (t) => wipe(t, [0]), /varasto\.db/]],
  ]);
});

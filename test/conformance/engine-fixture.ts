import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { chmod, link, lstat, mkdir, mkdtemp, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupRequest } from '../../activities/contracts.js';
import type { Manifest } from '../../src/core/manifest.js';

export const isRoot = process.getuid?.() === 0;

const made: string[] = [];
process.on('exit', () => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** A directory of its own, gone when the test process ends. */
export async function temp(name: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `holdfast-${name}-`));
  made.push(dir);
  return dir;
}

/** A tree with everything that a backup may lose: odd names, modes, owners, xattrs, ACLs, hard and soft links, holes. */
export async function oddTree(root: string): Promise<void> {
  await mkdir(join(root, 'a dir/empty'), { recursive: true });
  await writeFile(join(root, 'plain'), 'plain\n');
  await chmod(join(root, 'plain'), 0o4750);
  await writeFile(join(root, 'a dir/new\nline'), 'n');
  await writeFile(join(root, '-dash'), 'd');
  await writeFile(join(root, 'ünï ✓ "quoted" \\back\t'), 'u');
  await writeFile(join(root, 'a -> b'), 'arrow');
  await writeFile(join(root, 'glob[1]*?'), 'g');
  await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x62, 0xff])]), 'not utf-8');
  await writeFile(join(root, 'zero'), '');
  await link(join(root, 'plain'), join(root, 'a dir/hard'));
  await symlink('plain', join(root, 'soft'));
  await symlink('/no where/-> x', join(root, 'a dir/dangling'));
  execFileSync('sh', ['-c', 'printf start >s && truncate -s 4M s && printf end >>s'], { cwd: root });
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', join(root, 'plain')]);
  execFileSync('setfacl', ['-m', 'u:1234:r', join(root, 's')]);
  if (isRoot) execFileSync('chown', ['-h', '1234:2345', join(root, 'soft'), join(root, 'zero')]);
}

/** One line per entry with all that must come back; equal for two equal trees. */
export async function portrait(root: string): Promise<string[]> {
  const lines: string[] = [];
  const inodes = new Map<number, number>();
  const visit = async (path: Buffer, name: string): Promise<void> => {
    const { mode, uid, gid, size, mtimeMs, ino, nlink } = await lstat(path);
    const isFile = (mode & 0o170000) === 0o100000;
    const isLink = (mode & 0o170000) === 0o120000;
    const isDir = (mode & 0o170000) === 0o040000;
    if (isFile && nlink > 1 && !inodes.has(ino)) inodes.set(ino, inodes.size);
    const content = isFile ? (await readFile(path)).toString('base64') : isLink ? await readlink(path) : '';
    lines.push(
      [
        ...[name, mode.toString(8), uid, gid, isFile ? size : '-', isLink ? '-' : Math.floor(mtimeMs)],
        ...[inodes.get(ino) ?? '-', content],
      ].join(' | '),
    );
    if (!isDir) return;
    const names = (await readdir(path, { encoding: 'buffer' })).sort(Buffer.compare);
    for (const each of names)
      await visit(Buffer.concat([path, Buffer.from('/'), each]), `${name}/${each.toString('latin1')}`);
  };
  await visit(Buffer.from(root), '');
  const shell = (command: string): string => execFileSync('sh', ['-c', command], { cwd: root, encoding: 'utf8' });
  return [...lines, shell('getfattr -hRd -m user .'), shell('getfacl -Rsn .')];
}

export function manifestOf(staging: string, more: Partial<Manifest> = {}): Manifest {
  return {
    ...{ schema: 1, holdfast: '0.1.0', captureId: randomUUID(), runId: randomUUID(), site: 'cms', siteId: 'site-1' },
    ...{ app: 'generic', host: 'local', root: staging, kind: 'regular', capturedAt: new Date().toISOString() },
    ...{ filesAsOf: new Date().toISOString(), consistency: 'stopped', staging, databases: [], fileSets: [] },
    ...{ uncovered: [], tools: {}, notes: [] },
    ...more,
  };
}

export async function requestOf(paths: string[], more: Partial<Manifest> = {}): Promise<BackupRequest> {
  const manifest = manifestOf(paths[0] ?? '/', more);
  return {
    ...{ paths, exclude: [], manifest, runId: manifest.runId, kind: manifest.kind },
    workDir: await temp('work'),
  };
}

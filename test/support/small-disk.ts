import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk in memory, and how to remount it (`ro`) and be rid of it; else why there can be none. */
export function smallDisk(size: string): { dir: string; remount: (how: string) => void; end: () => void } | string {
  if (process.getuid?.() !== 0) return 'mounting a tmpfs needs root';
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir], { stdio: 'pipe' });
  } catch {
    return 'a tmpfs cannot be mounted here';
  }
  return {
    dir,
    remount: (how) => void execFileSync('mount', ['-o', `remount,${how}`, dir]),
    end: () => void execFileSync('umount', ['-l', dir]),
  };
}

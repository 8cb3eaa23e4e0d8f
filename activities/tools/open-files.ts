import { readdir, readFile, readlink } from 'node:fs/promises';

/** Processes that have one of these files open, as far as /proc shows them to us; we are not among them. */
export async function openBy(paths: string[]): Promise<{ pid: number; program: string }[]> {
  const wanted = new Set(paths);
  const found: { pid: number; program: string }[] = [];
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const targets = await Promise.all(open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    if (!targets.some((target) => wanted.has(target))) continue;
    const program = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim();
    found.push({ pid: Number(pid), program });
  }
  return found;
}

import { randomUUID } from 'node:crypto';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { PENDING, putText, removeFiles } from './rclone-mark.js';
import { pathIn, rclone } from './rclone-remote.js';

/**
 * A store may rely on content that only a snapshot has which is just being removed. So each writes down that it is there before it looks
 * for the other: at least one of them sees the other, and gives way.
 */

/** A store that began so long ago is over. */
const LONGEST_STORE = '26h';

const SWEEPING = 'sweeping';
/** A sweep that has not written for so long is dead. */
const LONGEST_SILENCE = '1h';
/** It writes this often, and gives up where it could not for half of the above. */
const [OFTEN_MS, TOO_LATE_MS] = [10 * 60_000, 30 * 60_000];

async function anyIn(repo: RepositorySpec, name: string, age: string, ctx: Context): Promise<boolean> {
  const args = ['lsf', '--files-only', '--max-age', age, pathIn(repo, name, ctx)];
  return (await rclone(repo, args, { ok: [0, 3] }, ctx)).stdout.trim() !== '';
}

export const somebodyStores = (repo: RepositorySpec, ctx: Context): Promise<boolean> =>
  anyIn(repo, PENDING, LONGEST_STORE, ctx);

/** Says that a store is there; returns its name, for the end of it. Throws RepositoryLocked while content is being removed. */
export async function beginStore(repo: RepositorySpec, captureId: string, dir: string, ctx: Context): Promise<string> {
  const pending = `${PENDING}/${captureId}`;
  await putText(repo, pending, `${new Date().toISOString()}\n`, dir, ctx);
  if (!(await anyIn(repo, SWEEPING, LONGEST_SILENCE, ctx))) return pending;
  await removeFiles(repo, [pending], ctx);
  throw ctx.fail('RepositoryLocked', `content that nobody needs is being removed from ${repo.name}`, {
    advice: 'wait for it; one that was killed is over after an hour',
  });
}

/** Content is being removed, as all others can see. */
export class Sweep {
  private writtenAt = 0;

  private constructor(
    private readonly repo: RepositorySpec,
    private readonly name: string,
    private readonly dir: string,
    private readonly ctx: Context,
  ) {}

  static async begin(repo: RepositorySpec, dir: string, ctx: Context): Promise<Sweep> {
    const sweep = new Sweep(repo, `${SWEEPING}/${randomUUID()}`, dir, ctx);
    await sweep.write();
    return sweep;
  }

  /** Called before each part of the work. Throws RepositoryLocked where others may have taken it for dead. */
  async goOn(): Promise<void> {
    const silent = performance.now() - this.writtenAt;
    if (silent > TOO_LATE_MS)
      throw this.ctx.fail('RepositoryLocked', `removing content from ${this.repo.name} took a break for too long`, {
        advice: 'it begins anew',
      });
    if (silent > OFTEN_MS) await this.write();
  }

  async end(): Promise<void> {
    await removeFiles(this.repo, [this.name], this.ctx);
  }

  private async write(): Promise<void> {
    await putText(this.repo, this.name, `${new Date().toISOString()}\n`, this.dir, this.ctx);
    this.writtenAt = performance.now();
  }
}

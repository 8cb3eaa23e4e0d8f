import type { SshSpec } from '../../src/core/plan.js';
import type { Context, RunResult } from '../contracts.js';
import { classifyRsync } from '../tools/rsync.js';

/** What rsync's end means, as a failure; undefined where it did all. `from` is the other machine, where there is one. */
export function rsyncFailure(
  { exitCode, stderrTail }: RunResult,
  name: string,
  from: SshSpec | undefined,
  ctx: Context,
): Error | undefined {
  if (exitCode === 0) return undefined;
  // What vanished is judged by the comparison with the manifest.
  if (exitCode === 24) {
    ctx.note(`files vanished while they were copied for ${name}`);
    return undefined;
  }
  const details = { tool: 'rsync', exitCode, stderrTail };
  const type = classifyRsync(exitCode, stderrTail, from !== undefined);
  const there = from?.address;
  if (type === 'DiskFull') return ctx.fail(type, `a disk filled up while rsync wrote for ${name}`, { details });
  if (type === 'RepositoryDenied')
    return ctx.fail(type, `${there} does not let ${name} in by SSH`, {
      advice: `put the public key into authorized_keys of ${from?.user} there, and its host key into knownHosts`,
      details,
    });
  if (type === 'RepositoryUnreachable')
    return ctx.fail(type, `the SSH connection of ${name} to ${there} fails`, {
      advice: 'look at the network and its SSH server; this waits and goes on',
      details,
    });
  if (type === 'ToolMissing')
    return ctx.fail(type, `there is no rsync on ${there}`, { advice: 'install it there', details });
  if (type === 'SnapshotIncomplete' && /Operation not supported|set_acl|lsetxattr/.test(stderrTail))
    return ctx.fail(type, `the disk of ${name} cannot keep all attributes`, {
      advice: 'use a file system with extended attributes and ACLs',
      details,
    });
  if (type === 'SnapshotIncomplete')
    return ctx.fail(type, `rsync could not read some of the source for ${name}`, { details });
  return ctx.fail('ToolFailed', `rsync ended with exit code ${exitCode} for ${name}`, { details });
}

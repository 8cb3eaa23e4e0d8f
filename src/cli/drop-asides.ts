import { existsSync } from 'node:fs';
import { type Call, CliError } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { onHost } from './on-host.js';
import { localSite } from './sites.js';
import { stateDirOf } from './status.js';

/** Removes what restores and rollbacks have put aside, where a person has repeated the site; else shows what there is. */
export async function dropAsides(call: Call): Promise<ExitCode> {
  const { site } = await localSite(call, call.args[0] ?? '');
  const { dropAside, readAsides } = await import('../../activities/aside.js');
  const { openSite } = await import('../../activities/site/site.js');
  const { openState } = await import('../../activities/site/state.js');
  const state = await openState(stateDirOf(call));
  const all = (await readAsides(state, site)).filter(({ path, databases }) => databases?.length || existsSync(path));
  const { confirm } = call.options;
  if (all.length === 0) call.say(`nothing of ${site} is put aside`);
  if (all.length === 0 || confirm !== site) {
    for (const { path, at } of all) call.say(`${path}, since ${at.slice(0, 16).replace('T', ' ')} UTC`);
    if (all.length > 0) call.say(`gone for good with: holdfast release ${site} --drop-aside --confirm ${site}`);
    const exitCode = all.length === 0 ? EXIT.completed : confirm === undefined ? EXIT.waits : EXIT.usage;
    call.emit({ site, aside: all, dropped: [], exitCode });
    return exitCode;
  }
  if ((await openSite(state, site).read()).undo.length > 0)
    throw new CliError(
      EXIT.failed,
      `the way back of a run of ${site} leads through what is put aside; try again later`,
    );
  const { ctx } = await onHost(call, 'release', site);
  for (const { path } of all) {
    await dropAside(state, site, path, ctx);
    call.say(`removed ${path}`);
  }
  call.emit({ site, aside: [], dropped: all, exitCode: EXIT.completed });
  return EXIT.completed;
}

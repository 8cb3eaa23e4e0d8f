import { CheckInput } from '../src/core/inputs.js';
import { parseAddress } from '../src/core/names.js';
import { parseInput } from './run.js';
import { stepsOn } from './steps.js';

/** Has a host look whether a backup would work there: answered by the worker that would do it, not by whoever asks. */
export async function check(raw: unknown) {
  const { site, host: asked, init } = parseInput(CheckInput, raw);
  const address = site === undefined ? undefined : parseAddress(site);
  const host = asked ?? address?.host ?? 'local';
  const only = address?.site;
  const what = `Look at ${only ?? `all sites of ${host}`}: tools, rights, space, repositories`;
  const { said, findings, unsaved } = await stepsOn(host).check(what, {
    site: only ?? '-',
    host,
    init,
    ...(only ? { only } : {}),
  });
  return { said, findings, unsaved };
}

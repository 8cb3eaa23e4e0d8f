import type { HostChecked, HostCheckInput } from '../api.js';
import type { Deps } from '../deps.js';
import { checkHost } from '../preflight/check-host.js';
import { step } from '../step.js';

/** What `holdfast check` asks of a host: looked at by its worker, with the worker's user, config and environment. */
export const check = (deps: Deps) =>
  step<HostCheckInput, HostChecked>(deps, 'check', async ({ only, init }, { ctx }) => {
    const found = await checkHost(deps.configPath, only, { state: deps.state, host: deps.host, ctx, init });
    const bad = found.findings.filter(({ result }) => result === 'failed').length;
    return { said: `${found.findings.length} looked at, ${bad} failed`, ...found };
  });

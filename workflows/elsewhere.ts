import type { Part, Prepared, StepInput } from '../activities/api.js';
import type { Frame } from './frame.js';
import { always } from './run.js';
import { type Steps, stepsOn } from './steps.js';

type Repository = Prepared['repositories'][number];

/** Where the steps of one repository run. */
export interface Place {
  host: string;
  steps: Steps;
  base: StepInput;
  /** What the other host has frozen; absent on the site's own. */
  part?: Part;
}

/**
 * The place of a repository: the site's own host, or another one, which freezes its own part of the plan first. Nobody there
 * is a failure of this repository after `limits.pickup`: the application has long been up, and the site's next run must not wait for it.
 */
export async function placeOf(frame: Frame, name: string, host: string | undefined, workflow: string): Promise<Place> {
  const { run, prepared, base } = frame;
  if (host === undefined || host === base.host) return { host: base.host, steps: frame.steps, base };
  const steps = stepsOn(host, prepared.limits);
  const { siteId, app } = prepared;
  const part = await run.step(`part (${host})`, () =>
    steps.part(`Ask ${host} for its part: its config, its repository ${name}`, {
      ...{ site: base.site, host, of: { site: base.site, host: base.host } },
      ...{ siteId, app, workflow, repository: name },
    }),
  );
  return { host, steps, part, base: { site: part.site, host, hostId: part.hostId, plan: part.plan } };
}

/** Ends what another host had of this run; where it is away by now, its own worker clears up later. */
export async function leave({ run }: Frame, { part, steps, base, host }: Place): Promise<void> {
  if (!part) return;
  await always(() => run.step(`leave (${host})`, () => steps.leave(`Clear what ${host} fetched`, base))).catch(
    () => void run.report.notes.push(`${host} did not say that it has cleared what it fetched; it does so later`),
  );
}

/** The host of a repository's proofs: the one that has its key, else the one that it is on. */
export function proverOf({ proveOn, host }: Repository): string | undefined {
  return proveOn ?? host;
}

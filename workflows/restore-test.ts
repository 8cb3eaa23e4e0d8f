import { failure } from '../src/core/failures.js';
import { RestoreTestInput } from '../src/core/inputs.js';
import { shortId } from '../src/core/names.js';
import { failedCheck } from '../src/core/proof-text.js';
import type { Check, Proof, Report } from '../src/core/report.js';
import { leave, type Place, placeOf, proverOf } from './elsewhere.js';
import { conduct, type Ending, type Frame } from './frame.js';
import { parseInput, Run } from './run.js';

/** Restores a snapshot into scratch, runs the application's own checks on it, boots it in isolation where it can be, and writes the proof. */
export async function restoreTest(raw: unknown): Promise<Report> {
  const input = parseInput(RestoreTestInput, raw);
  const run = new Run('restoreTest', input.site);
  const ask = {
    workflow: 'restoreTest',
    holds: false,
    reads: true,
    ...(input.repository ? { repositories: [input.repository] } : {}),
  };
  return conduct(run, ask, async (frame) => {
    const since = Date.now();
    const asked = repositoryFor(frame, input.repository);
    const place = await placeOf(frame, asked?.name ?? '', asked && proverOf(asked), 'restoreTest');
    try {
      return await rehearse(frame, place, input, asked, since);
    } finally {
      await leave(frame, place);
    }
  });
}

/**
 * The repository that is rehearsed on another host: the one that was named, or the first where this host can rehearse none.
 * Undefined: this host chooses among its own.
 */
function repositoryFor({ prepared: { repositories } }: Frame, named: string | undefined) {
  const here = repositories.some((each) => proverOf(each) === undefined);
  return named === undefined && here ? undefined : repositories.find(({ name }) => name === (named ?? name));
}

async function rehearse(
  { run, prepared, base: own }: Frame,
  { steps, base, part: other }: Place,
  input: RestoreTestInput,
  asked: Frame['prepared']['repositories'][number] | undefined,
  since: number,
): Promise<Ending> {
  let began = since;
  const fetch = (snapshot: string, from: string | undefined, databases: string | undefined) =>
    run.step('fetch', () =>
      steps.fetch(`Restore ${snapshot} into scratch and compare it with its manifest`, {
        ...base,
        snapshot,
        ...(databases ? { databaseSnapshot: databases } : {}),
        into: 'scratch',
        ...(from ? { repository: from } : {}),
        ...(other && asked?.known ? { known: asked.known } : {}),
      }),
    );
  const { snapshot, repository, databaseSnapshot } = await fetch(
    input.snapshot,
    asked?.name ?? input.repository,
    input.databaseSnapshot,
  );
  const older = databaseSnapshot ? ` with the databases of ${shortId(databaseSnapshot)}` : '';
  const prove = (name: string, summary: string, boot: boolean) =>
    run.step(name, () => steps.prove(summary, { ...base, snapshot: snapshot.id, repository, full: input.full, boot }));
  /** A run that was reset after its fetch has nothing of its own to look at. */
  const proven = async (name: string, summary: string, boot: boolean) => {
    const told = await prove(name, summary, boot);
    if (!told.gone) return told;
    began = Date.now();
    await fetch(snapshot.id, repository, databaseSnapshot?.id);
    const again = await prove(name, summary, boot);
    if (!again.gone) return again;
    throw failure('RestoreFailed', {
      step: name,
      host: base.host,
      what: 'what was fetched is not there',
      advice: 'start the restore test again',
    });
  };
  const told = await proven('check', `Run the checks of ${prepared.app}`, false);
  const rtoSeconds = (Date.now() - began) / 1000;
  const checks: Check[] = [...told.checks];
  if ((other ?? prepared).boots && checks.every((check) => check.ok)) {
    const booted = await proven('boot', `Start ${prepared.app} in isolation and probe it`, true);
    checks.push(...booted.checks);
  }
  if (checks.length === 0)
    checks.push({ name: 'checks', ok: false, evidence: `there is no check for ${prepared.app}` });
  const bad = checks.filter((check) => !check.ok);
  const proof: Proof = {
    schemaVersion: 1,
    site: own.site,
    siteId: prepared.siteId,
    host: own.host,
    repository,
    snapshot: snapshot.id,
    captureId: snapshot.captureId,
    capturedAt: snapshot.capturedAt,
    ...(databaseSnapshot ? { databaseSnapshot: databaseSnapshot.id } : {}),
    provenAt: new Date(Date.now()).toISOString(),
    outcome: bad.length === 0 ? 'proven' : 'failed',
    sample: told.sample,
    checks,
    rtoSeconds,
    workflowId: run.report.workflowId,
  };
  run.report.proof = proof;
  run.report.captureId = snapshot.captureId;
  run.report.capturedAt = snapshot.capturedAt;
  if (bad.length === 0) {
    return {
      outcome: 'completed',
      said: `PROVEN: ${checks.length} checks passed on ${repository} ${shortId(snapshot)}${older}, restored in ${rtoSeconds.toFixed(1)} s`,
    };
  }
  for (const check of bad) {
    run.report.failures.push({
      step: 'check',
      repository,
      type: 'ProofFailed',
      message: `check on ${base.host}: ${failedCheck(check)}; back up again and look at the places named here`,
    });
  }
  run.show();
  return { outcome: 'failed', said: `NOT PROVEN${older}: ${bad.length} of ${checks.length} checks failed` };
}

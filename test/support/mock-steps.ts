import type { HostSteps, Prepared, TransferSteps } from '../../activities/api.js';
import type { Snapshot } from '../../src/core/manifest.js';
import type { StepResult } from '../../src/core/report.js';

export type Steps = HostSteps & TransferSteps;

/** What a mocked step says; tests replace single fields. */
export function said(step: string, more: Partial<StepResult> = {}): StepResult {
  const now = new Date().toISOString();
  return { said: `${step} done`, step, host: 'local', startedAt: now, endedAt: now, tookMs: 1, notes: [], ...more };
}

export const PREPARED: Prepared = {
  ...said('prepare'),
  plan: 'plan',
  hostId: 'host-id',
  siteId: 'cms',
  app: 'videocms',
  repositories: [{ name: 'nas', engine: 'archive', offsite: false, prunes: '7 daily' }],
  services: ['videocms'],
  databases: ['database'],
  stops: true,
  warm: false,
  boots: false,
  hooks: [],
  limits: { startMs: 30 * 60_000, storeMs: 20 * 3_600_000 },
  approval: 'required',
  uncovered: [],
};

export function snapshot(repository = 'nas'): Snapshot {
  return {
    id: 'abcdef0123456789'.padEnd(64, '0'),
    repository,
    captureId: '11111111-2222-3333-4444-555555555555',
    runId: 'backup-cms',
    siteId: 'cms',
    kind: 'regular',
    capturedAt: '2026-11-21T03:00:00.000Z',
    storedAt: '2026-11-21T03:00:05.000Z',
    complete: true,
  };
}

/** Steps that all succeed; `calls` names each in the order in which they began. */
export function mockSteps(
  overrides: Partial<Steps> = {},
  prepared: Partial<Prepared> = {},
): { steps: Steps; calls: string[] } {
  const calls: string[] = [];
  const good: Steps = {
    prepare: async () => ({ ...PREPARED, ...prepared }),
    hook: async () => ({ ...said('hook'), skip: false }),
    stop: async () => ({ ...said('stop'), epoch: 1 }),
    checkpoint: async () => said('checkpoint'),
    dump: async () => ({ ...said('dump'), capturedAt: '2026-11-21T03:00:00.000Z' }),
    start: async () => ({ ...said('start'), up: true, rolledBack: false, downtimeMs: 1340, sections: 1 }),
    swap: async () => said('swap'),
    shelter: async () => said('shelter'),
    operate: async () => ({ ...said('operate'), verdict: 'done' }),
    examine: async () => ({ ...said('examine'), verdict: 'passed' }),
    turn: async () => said('turn'),
    choose: async () => ({ ...said('choose'), sites: ['cms', 'wiki'] }),
    ask: async () => ({ ...said('ask'), changes: ['database: web_pages 4 → 3'] }),
    alarm: async () => said('alarm'),
    finish: async () => said('finish'),
    watch: async () => ({ ...said('watch'), overdue: [] }),
    check: async () => ({ ...said('check'), findings: [], unsaved: [] }),
    part: async ({ of }) => ({
      ...said('part'),
      site: of.site,
      plan: 'part',
      hostId: 'other-id',
      prunes: '',
      boots: false,
    }),
    leave: async () => said('leave'),
    seal: async () => said('seal'),
    push: async () => said('push'),
    confirm: async () => said('confirm'),
    warm: async () => said('warm'),
    store: async ({ repository }) => ({
      ...said('store'),
      snapshot: snapshot(repository),
      addedBytes: 1,
      files: 1,
      bytes: 2,
    }),
    verify: async ({ repository }) => ({ ...said('verify'), snapshot: snapshot(repository), level: 'verified' }),
    repair: async () => ({ ...said('repair'), repaired: 1, left: 0 }),
    prune: async () => ({ ...said('prune'), removed: 0, kept: 1 }),
    fetch: async () => ({
      ...said('fetch'),
      snapshot: snapshot(),
      repository: 'nas',
      capturedAt: '2026-11-21T03:00:00.000Z',
      changes: ['files: 3 → 4 files'],
    }),
    prove: async () => ({
      ...said('prove'),
      checks: [{ name: 'integrity', ok: true, evidence: 'ok' }],
      sample: '1/12',
    }),
  };
  const all = { ...good, ...overrides };
  const steps = Object.fromEntries(
    Object.entries(all).map(([name, call]) => [
      name,
      (input: never) => {
        calls.push(name);
        return call(input);
      },
    ]),
  ) as unknown as Steps;
  return { steps, calls };
}

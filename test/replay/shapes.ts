import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { failure } from '../../src/core/failures.js';
import { mockSteps, type Steps, said } from '../support/mock-steps.js';

/** The shapes that a run may take: each is recorded once per release and replayed ever after. */
export interface Shape {
  workflow: string;
  input: unknown;
  steps: Steps;
  /** What a person does in mid-run. */
  act?: (handle: WorkflowHandle) => Promise<void>;
}

const two = ['nas', 'offsite'].map((name) => ({ name, engine: 'archive', offsite: false, prunes: '7 daily' }));

const fails = (type: Parameters<typeof failure>[0], times = 1) => {
  let left = times;
  return <T>(good: T) =>
    async (): Promise<T> => {
      if (left-- > 0) throw failure(type, { step: 'step', host: 'local', what: 'made to fail' });
      return good;
    };
};

async function hang(): Promise<never> {
  const beat = setInterval(() => Context.current().heartbeat(), 100);
  try {
    return await Context.current().cancelled;
  } finally {
    clearInterval(beat);
  }
}

const captured = { ...said('dump'), capturedAt: '2026-11-21T03:00:00.000Z' };
const approval = (handle: WorkflowHandle) => sent(handle, 'approve', { site: 'cms', snapshot: 'abcdef0123456789' });
const decision = (action: string) => (handle: WorkflowHandle) => sent(handle, 'decide', { site: 'cms', action });

/** Until the run takes it: before it asks, it refuses. */
async function sent(handle: WorkflowHandle, update: string, answer: object): Promise<void> {
  for (;;) {
    const taken = await handle.executeUpdate(update, { args: [answer] }).then(
      () => true,
      () => false,
    );
    if (taken) return;
    await sleep(100);
  }
}

export const SHAPES: Record<string, () => Shape> = {
  'backup-completed': () => ({ workflow: 'backup', input: { site: 'cms' }, steps: mockSteps().steps }),
  'backup-two-repositories-partial': () => ({
    workflow: 'backup',
    input: { site: 'cms', reason: 'recorded' },
    steps: mockSteps(
      {
        verify: async ({ repository, snapshot }) => {
          if (repository === 'offsite')
            throw failure('RepositoryDamaged', { step: 'verify', host: 'local', what: 'bad' });
          return {
            ...said('verify'),
            level: 'verified',
            snapshot: { ...(await mockSteps().steps.verify({ repository } as never)).snapshot, id: snapshot ?? '' },
          };
        },
      },
      { repositories: two },
    ).steps,
  }),
  'backup-online-with-hooks': () => ({
    workflow: 'backup',
    input: { site: 'cms' },
    steps: mockSteps({}, { stops: false, hooks: ['condition', 'before', 'after'] }).steps,
  }),
  'backup-warm': () => ({ workflow: 'backup', input: { site: 'cms' }, steps: mockSteps({}, { warm: true }).steps }),
  'backup-skipped': () => ({
    workflow: 'backup',
    input: { site: 'cms' },
    steps: mockSteps({}, { heldBy: 'other' }).steps,
  }),
  'backup-failed-in-section': () => ({
    workflow: 'backup',
    input: { site: 'cms' },
    steps: mockSteps({ dump: fails('DatabaseCorrupt')(captured) }).steps,
  }),
  'backup-section-repeated': () => ({
    workflow: 'backup',
    input: { site: 'cms' },
    steps: mockSteps({ dump: fails('SectionRevoked')(captured) }).steps,
  }),
  'backup-late-start': () => {
    let left = 2;
    return {
      workflow: 'backup',
      input: { site: 'cms' },
      steps: mockSteps({
        start: async () => ({ ...said('start'), up: left-- <= 0, rolledBack: false, downtimeMs: 30_000, sections: 1 }),
      }).steps,
    };
  },
  'backup-cancelled-in-section': () => ({
    workflow: 'backup',
    input: { site: 'cms' },
    steps: mockSteps({ dump: hang }).steps,
    act: async (handle) => {
      await sleep(2_000);
      await handle.cancel();
    },
  }),
  'restore-approved': () => ({ workflow: 'restore', input: { site: 'cms' }, steps: mockSteps().steps, act: approval }),
  'restore-to-target': () => ({
    workflow: 'restore',
    input: { site: 'cms', target: 'look' },
    steps: mockSteps().steps,
  }),
  'restore-rolled-back': () => ({
    workflow: 'restore',
    input: { site: 'cms' },
    steps: mockSteps({ swap: fails('RestoreRefused')(said('swap')) }).steps,
    act: approval,
  }),
  'restore-test-proven': () => ({
    workflow: 'restoreTest',
    input: { site: 'cms' },
    steps: mockSteps({}, { boots: true }).steps,
  }),
  verify: () => ({ workflow: 'verify', input: { site: 'cms' }, steps: mockSteps({}, { repositories: two }).steps }),
  prune: () => ({
    workflow: 'prune',
    input: { site: 'cms', dryRun: true },
    steps: mockSteps({}, { repositories: two }).steps,
  }),
  repair: () => ({ workflow: 'repair', input: { site: 'cms' }, steps: mockSteps().steps }),
  'guarded-change-made': () => ({
    workflow: 'guardedChange',
    input: { site: 'cms', operation: 'update' },
    steps: mockSteps({}, { repositories: two, operation: { writes: 'held' } }).steps,
  }),
  'guarded-change-rolled-back': () => ({
    workflow: 'guardedChange',
    input: { site: 'cms', operation: 'update' },
    steps: mockSteps(
      { operate: async () => ({ ...said('operate'), verdict: 'failed' }) },
      { operation: { writes: 'held' } },
    ).steps,
  }),
  'guarded-change-unknown-kept': () => ({
    workflow: 'guardedChange',
    input: { site: 'cms', operation: 'update' },
    steps: mockSteps(
      { operate: async () => ({ ...said('operate'), verdict: 'unknown' }) },
      { operation: { writes: 'held' } },
    ).steps,
    act: decision('keep'),
  }),
  'guarded-change-open-rolled-back': () => ({
    workflow: 'guardedChange',
    input: { site: 'cms', operation: 'update' },
    steps: mockSteps(
      { operate: async () => ({ ...said('operate'), verdict: 'failed' }) },
      { operation: { writes: 'open' } },
    ).steps,
    act: decision('rollBack'),
  }),
  'guarded-change-repeated': () => ({
    workflow: 'guardedChange',
    input: { site: 'cms', operation: 'update' },
    steps: mockSteps({ dump: fails('SectionRevoked')(captured) }, { operation: { writes: 'held' } }).steps,
  }),
  fleet: () => ({ workflow: 'fleet', input: { workflow: 'verify', all: true, perHost: 2 }, steps: mockSteps().steps }),
  watch: () => ({ workflow: 'watch', input: { site: 'cms' }, steps: mockSteps().steps }),
};

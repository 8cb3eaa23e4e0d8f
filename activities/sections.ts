import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { SiteRecord, StateDir } from './site/api.js';
import { writeDurable } from './site/durable.js';
import { bootClock, bootId } from './site/marks.js';

/**
 * The stopped sections of one run, on its host: how many there were (at most two a run) and how long each kept the
 * application down. A workflow cannot count them: a section may end and begin again inside the retries of one step.
 */
const Sections = z.object({
  runId: z.string(),
  sections: z.array(
    z.object({
      epoch: z.int(),
      downAt: z.string(),
      upAt: z.string().optional(),
      /** By the boot clock, because the wall clock may be set meanwhile. */
      boot: z.object({ id: z.string(), downMs: z.number() }).optional(),
      downtimeMs: z.number().optional(),
    }),
  ),
});
type Sections = z.infer<typeof Sections>;
type Section = Sections['sections'][number];

/** The clocks are read one after the other. */
const CLOCKS_DIFFER_MS = 1_000;

export const MAX_SECTIONS = 2;

export async function sectionsOf(state: StateDir, site: string, runId: string): Promise<Sections['sections']> {
  const text = await readFile(pathOf(state, site), 'utf8').catch(() => undefined);
  const read = text === undefined ? undefined : Sections.safeParse(JSON.parse(text)).data;
  return read?.runId === runId ? read.sections : [];
}

/** Notes that a section of this epoch began; the one before it ended when the record says so. */
export async function beginSection(
  state: StateDir,
  site: string,
  runId: string,
  epoch: number,
  downAt: string,
  before: SiteRecord,
): Promise<void> {
  const sections = await sectionsOf(state, site, runId);
  if (sections.some((section) => section.epoch === epoch)) return;
  await write(state, site, runId, [
    ...closed(sections, before.upAt ?? downAt),
    { epoch, downAt, boot: { id: bootId(), downMs: bootClock() } },
  ]);
}

/** Notes that the application is up; returns the number of sections and the time down in all of them. */
export async function endSections(
  state: StateDir,
  site: string,
  runId: string,
  upAt: string | undefined,
): Promise<{ sections: number; downtimeMs: number }> {
  const sections = await sectionsOf(state, site, runId);
  const ended = upAt === undefined ? sections : closed(sections, upAt);
  // Numbers of a report: a disk that takes them no more is no reason to call the application down.
  if (upAt !== undefined) await write(state, site, runId, ended).catch(() => {});
  const now = new Date().toISOString();
  const downtimeMs = ended.reduce((ms, section) => ms + (section.downtimeMs ?? downtimeOf(section, now)), 0);
  return { sections: ended.length, downtimeMs };
}

function closed(sections: Sections['sections'], upAt: string): Sections['sections'] {
  return sections.map((section) =>
    section.upAt === undefined ? { ...section, upAt, downtimeMs: downtimeOf(section, upAt) } : section,
  );
}

/** What the wall clock says, unless it was set meanwhile: then what has passed since, which is a little more. */
function downtimeOf({ downAt, upAt, boot }: Section, until: string): number {
  const wall = Date.parse(upAt ?? until) - Date.parse(downAt);
  const passed = boot?.id === bootId() ? bootClock() - boot.downMs : undefined;
  if (passed !== undefined && (wall < 0 || wall > passed + CLOCKS_DIFFER_MS)) return Math.round(passed);
  return Math.max(0, wall);
}

async function write(state: StateDir, site: string, runId: string, sections: Sections['sections']): Promise<void> {
  await writeDurable(pathOf(state, site), JSON.stringify({ runId, sections }));
}

function pathOf(state: StateDir, site: string): string {
  return join(state.site(site).dir, 'sections.json');
}

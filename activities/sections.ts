import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { SiteRecord, StateDir } from './site/api.js';
import { writeDurable } from './site/durable.js';

/**
 * The stopped sections of one run, on its host: how many there were (at most two a run) and how long each kept the
 * application down. A workflow cannot count them: a section may end and begin again inside the retries of one step.
 */
const Sections = z.object({
  runId: z.string(),
  sections: z.array(z.object({ epoch: z.int(), downAt: z.string(), upAt: z.string().optional() })),
});
type Sections = z.infer<typeof Sections>;

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
  await write(state, site, runId, [...closed(sections, before.upAt ?? downAt), { epoch, downAt }]);
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
  if (upAt !== undefined) await write(state, site, runId, ended);
  const now = new Date().toISOString();
  const downtimeMs = ended.reduce(
    (ms, { downAt, upAt: up }) => ms + Math.max(0, Date.parse(up ?? now) - Date.parse(downAt)),
    0,
  );
  return { sections: ended.length, downtimeMs };
}

function closed(sections: Sections['sections'], upAt: string): Sections['sections'] {
  return sections.map((section) => ({ ...section, upAt: section.upAt ?? upAt }));
}

async function write(state: StateDir, site: string, runId: string, sections: Sections['sections']): Promise<void> {
  await writeDurable(pathOf(state, site), JSON.stringify({ runId, sections }));
}

function pathOf(state: StateDir, site: string): string {
  return join(state.site(site).dir, 'sections.json');
}

import { literal } from '../../src/apps/coverage.js';
import type { Manifest } from '../../src/core/manifest.js';
import type { Plan } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { databases } from '../databases/index.js';
import { walk } from './walk.js';

/** What a restore would change, for the person who approves it: rows per table and files per set, now → then. */
export async function changesSince(
  manifest: Manifest,
  plan: Plan,
  only: readonly string[] | undefined,
  ctx: Context,
): Promise<string[]> {
  const changes: string[] = [];
  const wanted = ({ name }: { name: string }) => only?.includes(name) ?? true;
  for (const entry of manifest.databases.filter(wanted)) {
    const then = entry.fingerprint.tables;
    let now: Record<string, number> | undefined;
    try {
      const live = plan.databases.find(({ name }) => name === entry.name);
      now = live && (await databases[live.kind].live(live, ctx)).tables;
    } catch {
      // The live state may be a wreck: that is why it is restored.
      ctx.signal.throwIfAborted();
      changes.push(
        `${entry.name}: the live one cannot be read → ${total(then)} rows in ${Object.keys(then).length} tables`,
      );
      continue;
    }
    const names = [...new Set([...Object.keys(now ?? {}), ...Object.keys(then)])].sort();
    const different = names.filter((name) => now?.[name] !== then[name]);
    changes.push(
      different.length === 0
        ? `${entry.name}: the same rows in all ${names.length} tables`
        : `${entry.name}: ${different.map((name) => `${name} ${now?.[name] ?? 'none'} → ${then[name] ?? 'none'}`).join(', ')}`,
    );
  }
  for (const entry of manifest.fileSets.filter(wanted)) {
    const spec = plan.fileSets.find(({ name }) => name === entry.name);
    if (!spec) {
      changes.push(`${entry.name}: ${entry.files} files`);
      continue;
    }
    let files = 0;
    const set = entry.parts ? { ...spec, include: entry.parts.flatMap((part) => below(part, spec.include)) } : spec;
    for await (const line of walk(set, () => {})) {
      if (line.t === 'f' && ++files % 1000 === 0) ctx.beat();
    }
    const name = entry.parts?.join(', ') ?? entry.name;
    changes.push(`${name}: ${files} → ${entry.files} files`);
  }
  return changes;
}

/** The patterns of a set, for one directory below its root. */
function below(part: string, include: readonly string[]): string[] {
  if (include.length === 0) return [literal(part)];
  return include.map((pattern) => [literal(part), ...pattern.split('/').slice(1)].join('/'));
}

function total(tables: Record<string, number>): number {
  return Object.values(tables).reduce((sum, rows) => sum + rows, 0);
}

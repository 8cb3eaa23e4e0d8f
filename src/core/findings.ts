/** One thing that `check` looked at. */
export interface Finding {
  /** `failed`: a run would fail. `warn`: a run would do, and a person should know. */
  result: 'ok' | 'warn' | 'failed';
  /** What was looked at: `cms: repository nas`. */
  about: string;
  said: string;
  /** The command that helps, where one does. */
  next?: string;
}

/** What a host has looked at of its own. */
export interface HostFindings {
  findings: Finding[];
  /** Sites of this host that have no backup yet. */
  unsaved: string[];
}

export const ok = (about: string, said: string): Finding => ({ result: 'ok', about, said });

export const warn = (about: string, said: string, next?: string): Finding => ({
  result: 'warn',
  about,
  said,
  ...(next ? { next } : {}),
});

export const failed = (about: string, said: string, next?: string): Finding => ({
  result: 'failed',
  about,
  said,
  ...(next ? { next } : {}),
});

/** What `look` says, or what it failed with. */
export async function tried(about: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return ok(about, await look());
  } catch (error) {
    return failed(about, error instanceof Error ? error.message : String(error));
  }
}

/** What a person must keep elsewhere to get everything back from an empty machine: never a secret itself. */
export interface Kit {
  madeAt: string;
  host: string;
  /** Absolute path of the config that it describes. */
  config: string;
  /** Program → version. */
  versions: Record<string, string>;
  repositories: KitRepository[];
  sites: { name: string; id: string; app: string; root: string; repositories: string[] }[];
}

export interface KitRepository {
  name: string;
  engine: string;
  location: string;
  offsite: boolean;
  recipients: string[];
  /** What opens or reaches it. */
  keys: KitKey[];
  /** The command that makes a config of it again. */
  adopt: string;
  /** What restores a snapshot of it with the engine's own tools. */
  byHand: string[];
}

export interface KitKey {
  /** `password`, `identity`, or the name of a variable of the engine. */
  what: string;
  /** Where this machine finds it: a reference, as in the config. */
  from: string;
  /** The first 8 hex digits of the secret's SHA-256: enough to know it again, too little to look for it. */
  fingerprint?: string;
  /** Why there is no fingerprint. */
  unreadable?: string;
}

/** The kit as Markdown, to be printed. */
export function kitText(kit: Kit): string {
  const lines = [
    `# Recovery kit of ${kit.host}, ${kit.madeAt.slice(0, 10)}`,
    '',
    'Print this and keep it where a fire, a thief or a locked account cannot take it together with the machine.',
    'It holds no secret. **Keep the secrets themselves too**: without them nobody can open the backups, you included.',
    '',
    '## What to keep',
    ...kit.repositories.flatMap(repositoryLines),
    '## What lies where',
    ...kit.sites.map(
      ({ name, id, app, root, repositories }) =>
        `- ${name} (${app}${id === name ? '' : `, id ${id}`}), ${root}: in ${repositories.join(', ')}`,
    ),
    '',
    '## On an empty machine',
    `1. Install Node.js, Holdfast ${kit.versions.holdfast ?? ''} and the tools: ${toolsOf(kit)}.`,
    '2. Put the secrets back where the list above says, `chmod 600`, and mount the disks.',
    '3. Rebuild the config; it is written to `./holdfast.yaml`:',
    ...kit.repositories.slice(0, 1).map(({ adopt }) => `   \`${adopt}\``),
    '4. `holdfast config validate`, then `holdfast dev` (it brings a Temporal server), then for each site:',
    ...kit.sites.map(({ name }) => `   \`holdfast restore ${name}\``),
    '',
    '## Without Holdfast',
    'Each snapshot holds `RESTORE.md` with its exact commands; the same text lies in clear beside a repository on a disk.',
    ...kit.repositories.flatMap(({ name, byHand }) => ['', `${name}:`, '```', ...byHand, '```']),
  ];
  return `${lines.join('\n')}\n`;
}

function repositoryLines(repository: KitRepository): string[] {
  const { name, engine, location, offsite, recipients, keys } = repository;
  return [
    `- **${name}**: ${engine} at \`${location}\`${offsite ? ', in another building' : ''}`,
    ...keys.map(keyLine),
    ...recipients.map((recipient) => `  - encrypted to \`${recipient}\`: keep the identity that reads it`),
    ...(keys.length + recipients.length === 0 ? ['  - not encrypted: whoever has the disk can read it'] : []),
    '',
  ];
}

function keyLine({ what, from, fingerprint, unreadable }: KitKey): string {
  const mark = fingerprint ? `fingerprint \`${fingerprint}\`` : `not read here (${unreadable})`;
  return `  - ${what}: ${from}; ${mark}`;
}

function toolsOf({ versions }: Kit): string {
  const tools = Object.entries(versions).filter(([name]) => name !== 'holdfast' && name !== 'node');
  return tools.map(([name, version]) => `${name} ${version}`).join(', ') || 'none';
}

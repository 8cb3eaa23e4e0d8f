import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { failure } from '../core/failures.js';
import { checkConfig } from './checks.js';
import { readSource } from './document.js';
import { type Path, toFindings } from './findings.js';
import { checkMachine, type Machine } from './machine.js';
import { withoutWrong } from './partly.js';
import { resolvePaths } from './resolve.js';
import { type Config, ConfigFile } from './schema.js';

/** One thing to correct in holdfast.yaml. */
export interface ConfigMistake {
  file: string;
  line: number;
  column: number;
  /** `sites.cms.schedule.backup`; empty for the file as a whole. */
  key: string;
  message: string;
}

export interface LoadOptions extends Partial<Omit<Machine, 'look'>> {
  /** How closely the machine is looked at (see Machine); `nothing` for whoever only wants to know what is written. Default `trust`. */
  look?: Machine['look'] | 'nothing';
  /** What the failure names as its step; default `config`. */
  step?: string;
}

/** Reads a config. Throws InvalidConfig, whose details list every mistake (`mistakes: string[]`). */
export async function loadConfig(path: string, options: LoadOptions = {}): Promise<Config> {
  const { config, mistakes } = await readConfig(path, options);
  if (config) return config;
  const lines = mistakes.map(formatMistake);
  const what =
    lines.length === 1
      ? `${basename(path)}:${lines[0]!.slice(mistakes[0]!.file.length + 1)}`
      : `${basename(path)} has ${lines.length} mistakes`;
  throw failure('InvalidConfig', {
    step: options.step ?? 'config',
    host: options.host ?? 'local',
    what,
    details: { mistakes: lines },
  });
}

/** Reads a config and lists what is wrong with it; it is there only where nothing is. */
export async function readConfig(
  path: string,
  options: LoadOptions = {},
): Promise<{ config?: Config; mistakes: ConfigMistake[] }> {
  const file = resolve(path);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'there is no such file'
        : `it cannot be read (${(error as NodeJS.ErrnoException).code})`;
    return { mistakes: [{ file: path, line: 1, column: 1, key: '', message: why }] };
  }
  const { look = 'trust', step: _, ...machine } = options;
  return parseConfig(text, path, look === 'nothing' ? undefined : { ...machine, look });
}

/** As readConfig, of a text. `file` names it in mistakes, and relative paths start at its directory; without `machine` nothing on disk is looked at. */
export async function parseConfig(
  text: string,
  file: string,
  machine?: Machine,
): Promise<{ config?: Config; mistakes: ConfigMistake[] }> {
  const source = readSource(text);
  if (source.errors.length > 0) return { mistakes: source.errors.map((error) => ({ file, key: '', ...error })) };
  const parsed = ConfigFile.safeParse(source.raw);
  const wrong = parsed.success ? [] : toFindings(parsed.error.issues, source.raw);
  // What is right is looked at further, so that one pass shows every mistake.
  const rest = withoutWrong(source.raw, wrong);
  const path = resolve(file);
  resolvePaths(rest, path);
  const findings = [...source.duplicates, ...wrong, ...checkConfig(rest)];
  if (machine) findings.push(...(await checkMachine(rest, path, machine)));
  if (findings.length === 0) return { config: { ...(rest as ConfigFile), path }, mistakes: [] };
  return {
    mistakes: inOrder(
      findings.map((finding) => ({
        file,
        key: keyText(finding.path),
        message: finding.message,
        ...source.locate(finding),
      })),
    ),
  };
}

/** `/etc/holdfast/holdfast.yaml:12:5 sites.cms.rot: unknown key; did you mean "root"?` */
export function formatMistake({ file, line, column, key, message }: ConfigMistake): string {
  return `${file}:${line}:${column} ${key ? `${key}: ` : ''}${message}`;
}

function keyText(path: Path): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${part}` : part),
    '',
  );
}

/**
 * By place, each once: the same directories are compared as written and as they are on disk, and what is wrong was taken
 * out before the rest was looked at, so that it seems to be missing.
 */
function inOrder(mistakes: ConfigMistake[]): ConfigMistake[] {
  const wrong = new Set(mistakes.filter(({ message }) => !isMissing(message)).map(({ key }) => key));
  const real = mistakes.filter(({ key, message }) => !(isMissing(message) && wrong.has(key)));
  const once = new Map(real.map((mistake) => [formatMistake(mistake), mistake]));
  return [...once.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

const isMissing = (message: string) => message.startsWith('is missing');

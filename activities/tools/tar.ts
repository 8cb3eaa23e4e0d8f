/** GNU tar as a tool: argv, listing. Member names are absolute paths without their first slash. */

export type Compression = 'zstd' | 'gzip';

/** Attributes are kept where tar and the file system can; tar itself says so where it was built without. */
const ATTRIBUTES = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];

/** `none`: whoever takes the stream compresses it. */
export type Packing = Compression | 'none';

const PACK: Record<Packing, string[]> = {
  zstd: ['--use-compress-program=zstd -q -3 -T0'],
  gzip: ['--gzip'],
  none: [],
};
const UNPACK: Record<Packing, string[]> = { zstd: ['--use-compress-program=zstd -q'], gzip: ['--gzip'], none: [] };

/** Writes to standard output what a NUL-separated list on standard input names, and nothing below it. */
export function packArgs(compression: Packing, sparse: boolean): string[] {
  return [
    ...['--create', '--file=-', '--format=posix', '--pax-option=delete=atime,delete=ctime', ...ATTRIBUTES],
    ...(sparse ? ['--sparse'] : []),
    // The order counts: --null and --verbatim-files-from speak of the list that follows them.
    ...[...PACK[compression], '--no-recursion', '--null', '--verbatim-files-from', '--files-from=-'],
  ];
}

/** Reads an archive from standard input into `target`; `list` is a file of NUL-separated member names. */
export function unpackArgs(compression: Packing, target: string, list?: string): string[] {
  return [
    ...['--extract', '--file=-', `--directory=${target}`, '--preserve-permissions', '--delay-directory-restore'],
    ...[...ATTRIBUTES, ...UNPACK[compression]],
    ...(list === undefined ? [] : ['--null', '--verbatim-files-from', `--files-from=${list}`]),
  ];
}

export function listArgs(compression: Packing): string[] {
  return [
    ...['--list', '--verbose', '--file=-', '--quoting-style=c', '--full-time', '--numeric-owner', '--utc'],
    ...UNPACK[compression],
  ];
}

/** Exit code 2 means that members are missing; these are the words for what could not be read of the source. */
export const UNREADABLE = /Cannot (stat|open|read|readlink|savedir)|Read error|File removed before/;

/** What a line of an archiving tar's standard error means: a file of a live set that was only deleted before it was read, or another failure. */
export function judgeLine(line: string, live: readonly string[]): 'gone' | 'others' | undefined {
  if (/: (file changed as we read it|File removed before we read it|File shrank by )/.test(line)) return undefined;
  if (/^tar: (Exiting with failure status|Removing leading)/.test(line) || line === '') return undefined;
  const gone = /^tar: (.+): Cannot (?:stat|open): No such file or directory$/.exec(line)?.[1];
  return gone !== undefined && live.some((root) => gone.startsWith(`${root}/`)) ? 'gone' : 'others';
}

export const NO_SPACE = /No space left on device|Disk quota exceeded/;
export const NOT_IN_ARCHIVE = /Not found in archive/;

export interface Member {
  /** `h` is a further name of `target`, which came before it. */
  type: 'f' | 'd' | 'l' | 'o' | 'h';
  path: string;
  size: number;
  mtimeMs: number;
  target?: string;
}

const LINE =
  /^(.)\S{9,10}\s+\d+\/\d+\s+(\d+|\d+,\d+)\s+(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)\s+"((?:[^"\\]|\\.)*)"(?: (?:->|link to) "((?:[^"\\]|\\.)*)")?$/s;

/** One line of `listArgs`' output. Undefined where tar wrote something else. */
export function parseMember(line: string): Member | undefined {
  const [, kind = '', size = '', day, time, name = '', target] = LINE.exec(line) ?? [];
  if (!kind) return undefined;
  const type = kind === '-' ? 'f' : kind === 'd' || kind === 'l' || kind === 'h' ? kind : 'o';
  return {
    type,
    path: absolute(unquote(name)),
    size: type === 'f' ? Number(size) : 0,
    mtimeMs: Date.parse(`${day}T${String(time).slice(0, 12)}Z`),
    ...(type === 'h' ? { target: absolute(unquote(target ?? '')) } : {}),
  };
}

/** Restores `/srv/x` from the member `srv/x/`. */
function absolute(member: string): string {
  const path = member.length > 1 ? member.replace(/\/+$/, '') : member;
  return path.startsWith('/') ? path : `/${path}`;
}

const ESCAPES: Record<string, number> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, '"': 34, '?': 63 };

/** C quoting, by bytes: one character may be several octal escapes. */
function unquote(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes: Buffer[] = [];
  for (const [, octal, escaped, plain] of text.matchAll(/\\([0-7]{3})|\\(.)|([^\\]+)/gs)) {
    if (octal !== undefined) bytes.push(Buffer.from([Number.parseInt(octal, 8)]));
    else if (escaped !== undefined) bytes.push(Buffer.from([ESCAPES[escaped] ?? escaped.charCodeAt(0)]));
    else bytes.push(Buffer.from(plain ?? ''));
  }
  return Buffer.concat(bytes).toString('utf8');
}

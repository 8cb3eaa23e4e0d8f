export interface Dirent {
  name: string;
  id: string;
  dir: boolean;
  size?: number;
}
export interface CommitFields {
  root: string;
  ctime: number;
  creatorName?: string | null;
  description?: string | null;
  parent?: string | null;
  secondParent?: string | null;
  encrypted?: boolean;
}
/** One library's objects; each call writes one and returns its id. */
export class Library {
  constructor(storage: string, id: string, store?: string);
  readonly storage: string;
  readonly id: string;
  readonly store: string;
  block(bytes: Buffer | string): string;
  file(...pieces: (Buffer | string)[]): string;
  dir(...entries: Dirent[]): string;
  commit(fields: CommitFields): string;
}

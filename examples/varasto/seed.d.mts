// biome-ignore lint/suspicious/noExplicitAny: records as Varasto has them
type Records = Record<string, any[]>;

export interface SeededVarasto {
  root: string;
  node: string;
  token: string;
  records: Records;
  /** Directories of the volumes. */
  volumes: string[];
}
export function seed(options: { dir: string; collections?: number; files?: number; kb?: number }): SeededVarasto;

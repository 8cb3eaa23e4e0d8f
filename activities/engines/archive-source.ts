import { createReadStream } from 'node:fs';
import { walk } from './walk.js';

/** The list that tar reads, and what it sums up to. */
export class Source {
  files = 0;
  bytes = 0;
  error: unknown;

  constructor(
    private readonly roots: string[],
    private readonly exclude: string[],
    readonly sparse: boolean,
  ) {}

  async *list(): AsyncGenerator<Buffer> {
    try {
      for (const root of this.roots)
        for await (const entry of walk(root, this.exclude)) {
          if (this.sparse && entry.hollow && !(await isHole(entry.path))) throw HOLES_LIE;
          if (entry.type !== 'd') this.files++;
          this.bytes += entry.size;
          yield Buffer.concat([entry.path, END]);
        }
    } catch (error) {
      // A list that breaks off would look to tar like its end.
      this.error = error;
      throw error;
    }
  }
}

const END = Buffer.from([0]);

/**
 * `tar --sparse` takes a file without blocks for one hole and stores zeros, unread. Some file systems count no blocks for
 * files that hold data (network and FUSE ones, sysfs): there everything is read, and holes are lost instead of data.
 */
export const HOLES_LIE = new Error('a file has data and no blocks');

async function isHole(path: Buffer): Promise<boolean> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
      if ((chunk as Buffer).some((byte) => byte !== 0)) return false;
    return true;
  } catch {
    return false; // tar will say why it cannot be read
  }
}

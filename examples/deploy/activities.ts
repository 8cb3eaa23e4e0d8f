import { appendFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const schema = fileURLToPath(new URL('./data/shop/schema.txt', import.meta.url));

/** Stands for your migration: what cannot be taken back without a backup. */
export async function migrate(version: string): Promise<string> {
  await appendFile(schema, `${version}\n`);
  return `the schema is at ${version}`;
}

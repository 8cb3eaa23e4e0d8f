export interface Seeded {
  files: number;
  bytes: number;
  rows: number;
}
export function seed(options: { dir: string; videos?: number; mb?: number }): Promise<Seeded>;

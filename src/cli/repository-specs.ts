import type { Config } from '../config/schema.js';
import { RepositorySpec } from '../core/plan.js';

/** The repositories of a config as engines take them, apart from any site: without `keep` and limits. */
export function repositorySpecs(config: Config): RepositorySpec[] {
  return Object.entries(config.repositories).map(([name, { limits: _, keep: __, ...lines }]) =>
    RepositorySpec.parse({ name, ...lines }),
  );
}

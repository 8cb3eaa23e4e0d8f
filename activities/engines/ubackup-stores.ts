import { isAbsolute } from 'node:path';
import type { RepositorySpec } from '../../src/core/plan.js';
import { directoryStore } from './ubackup-directory.js';
import { s3Store } from './ubackup-s3.js';
import type { Store } from './ubackup-store.js';

export function storeOf(repo: RepositorySpec): Store {
  return isAbsolute(repo.location) ? directoryStore(repo) : s3Store(repo);
}

import type { AppChecks } from '../contracts.js';
import { databasesAgainstManifest } from './databases-against-manifest.js';
import { filesAgainstList } from './files-against-list.js';

/** What holds for any application: databases and files are what the manifest says. */
export const genericChecks: AppChecks = {
  async checks(restored, ctx) {
    return [...(await databasesAgainstManifest(restored, ctx)), ...(await filesAgainstList(restored, ctx))];
  },
};

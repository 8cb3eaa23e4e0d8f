import type { AppChecks } from '../contracts.js';
import { apiscpChecks } from './apiscp.js';
import { genericChecks } from './generic.js';
import { mediagitChecks } from './mediagit.js';
import { seafileChecks } from './seafile.js';
import { varastoChecks } from './varasto.js';
import { videocmsChecks } from './videocms.js';

/** What is checked of each application, by its name in the config. */
export const checks: Record<string, AppChecks> = {
  videocms: videocmsChecks,
  apiscp: apiscpChecks,
  mediagit: mediagitChecks,
  seafile: seafileChecks,
  varasto: varastoChecks,
  generic: genericChecks,
};

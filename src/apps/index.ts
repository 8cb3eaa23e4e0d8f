import { apiscp } from './apiscp.js';
import type { App } from './contract.js';
import { generic } from './generic.js';
import { mediagit } from './mediagit.js';
import { seafile } from './seafile.js';
import { varasto } from './varasto.js';
import { videocms } from './videocms.js';

/** Every application that Holdfast knows, by its name in the config. */
export const apps: Record<string, App> = { videocms, seafile, apiscp, mediagit, varasto, generic };

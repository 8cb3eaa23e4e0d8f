import { apiscpApp } from './app-lab-apiscp.js';
import { genericApp } from './app-lab-generic.js';
import { mediagitApp } from './app-lab-mediagit.js';
import { mysqlApp } from './app-lab-mysql.js';
import { seafileApp } from './app-lab-seafile.js';
import { varastoApp } from './app-lab-varasto.js';
import type { AppSite } from './app-site.js';
import { createLab, type Lab } from './lab.js';

export interface AppLab {
  name: AppName;
  lab: Lab;
  app: AppSite;
}

export type Open = (lab: Lab) => Promise<AppSite | string>;

const APPS = {
  seafile: seafileApp,
  apiscp: apiscpApp,
  mediagit: mediagitApp,
  varasto: varastoApp,
  generic: genericApp,
  mysql: mysqlApp,
} satisfies Record<string, Open>;
export type AppName = keyof typeof APPS;
export const APP_NAMES = Object.keys(APPS) as AppName[];

/** A lab with this application as its only site, or the reason why there can be none. */
export async function openAppLab(name: AppName, built: string, ownServer: boolean): Promise<AppLab | string> {
  const lab = await createLab({ built, ownServer, videos: 1, mb: 1 });
  if (typeof lab === 'string') return lab;
  const app = await APPS[name](lab);
  if (typeof app === 'string') {
    await lab.end();
    return app;
  }
  return { name, lab, app };
}

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import type { Context } from '../../activities/contracts.js';
import type { Kit, KitKey } from '../core/kit.js';
import type { RepositorySpec, SecretRef } from '../core/plan.js';
import type { Cli } from './context.js';
import { version } from './version.js';

export function register(program: Command, cli: Cli): void {
  cli.command(program, 'kit', 'print what a person must keep elsewhere to get everything back').action(
    cli.action(async (call) => {
      const { loadConfig } = await import('../config/load.js');
      const { repositorySpecs } = await import('./repository-specs.js');
      const { kitText } = await import('../core/kit.js');
      const { localContext } = await import('../../activities/local-context.js');
      const { defaultStateDir } = await import('../../activities/site/state.js');
      const ctx = await localContext('kit', { stateDir: defaultStateDir(cli.env) });
      const config = await loadConfig(call.configFile(), { look: 'nothing' });
      const specs = repositorySpecs(config);
      const kit: Kit = {
        madeAt: cli.now().toISOString(),
        host: hostname(),
        config: config.path,
        versions: { holdfast: version(), node: process.version, ...(await toolVersions(specs, ctx)) },
        repositories: await Promise.all(specs.map((spec) => describe(spec, ctx))),
        sites: Object.entries(config.sites).map(([name, site]) => ({
          name,
          id: site.id ?? name,
          app: site.app,
          root: site.root,
          repositories: site.repositories.map((use) => (typeof use === 'string' ? use : use.use)),
        })),
      };
      call.say(kitText(kit).trimEnd());
      call.emit({ kit });
      return 0;
    }),
  );
}

async function describe(spec: RepositorySpec, ctx: Context): Promise<Kit['repositories'][number]> {
  const { engines } = await import('../../activities/engines/index.js');
  const { adoptCommand } = await import('./adopt-command.js');
  const { name, engine, location, offsite, recipients, password, identity, credentials } = spec;
  const refs = Object.entries({ ...(password ? { password } : {}), ...(identity ? { identity } : {}), ...credentials });
  return {
    ...{ name, engine, location, offsite, recipients },
    keys: await Promise.all(refs.map(([what, ref]) => keyOf(what, ref, ctx))),
    adopt: adoptCommand(spec),
    byHand: engines[engine].restoreCommands(spec, { captureId: 'CAPTURE', siteId: 'SITE' }),
  };
}

async function keyOf(what: string, ref: SecretRef, ctx: Context): Promise<KitKey> {
  const { describeSecret } = await import('../config/secrets.js');
  const from = describeSecret(ref);
  try {
    return { what, from, fingerprint: fingerprint(await ctx.secret(ref)) };
  } catch {
    return { what, from, unreadable: 'it is not there, or not for this user' };
  }
}

/** By hand: `printf %s "$(cat FILE)" | sha256sum | cut -c1-8`. */
export function fingerprint(secret: string): string {
  return createHash('sha256').update(secret).digest('hex').slice(0, 8);
}

async function toolVersions(specs: RepositorySpec[], ctx: Context): Promise<Record<string, string>> {
  const { engines } = await import('../../activities/engines/index.js');
  const first = new Map(specs.map((spec) => [spec.engine, spec]));
  // A kit is worth printing on a machine that lacks a tool, too.
  const all = await Promise.all([...first].map(([name, spec]) => engines[name].preflight(spec, ctx).catch(() => ({}))));
  return Object.assign({}, ...all);
}

import type { Context } from '../contracts.js';

const ADVICE =
  'correct the name in the config; what was lost with the site is put back first, or restore with --target and move that into place';

/** For a restore: a compose file or a script below the root is lost with the site, and the config that names it is right. */
export function forLostSite(ctx: Context): Context {
  return {
    ...ctx,
    fail: (type, what, more) =>
      ctx.fail(type, what, type === 'ServiceUnknown' ? { ...more, advice: more?.advice ?? ADVICE } : more),
  };
}

import { testContext } from './context.js';

/** A worker to be killed: one ordinary program, and one that is to outlive it. */
const ctx = await testContext({ dir: process.argv[2] as string, step: 'child' });
const file = `${ctx.state.work}/started`;
await ctx.run('setsid', ['--fork', 'sh', '-c', `echo $$ >${file}.new; mv ${file}.new ${file}; exec sleep 60`], {
  outlives: true,
});
await ctx.run('sleep', ['60']);

import { WatchInput } from '../src/core/inputs.js';
import { parseAddress } from '../src/core/names.js';
import { parseInput } from './run.js';
import { stepsOn } from './steps.js';

/** Short, on a schedule: compares what is stored and proven with the objectives, and tells people also when nothing ran. */
export async function watch(raw: unknown): Promise<{ said: string; overdue: string[] }> {
  const input = parseInput(WatchInput, raw);
  const { site, host } = parseAddress(input.site);
  const { said, overdue } = await stepsOn(host).watch(`Compare ${input.site} with its objectives`, { site, host });
  return { said, overdue };
}

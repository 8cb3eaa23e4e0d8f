#!/usr/bin/env node
import { runWithTemporal } from './testing/with-temporal.mjs';

/** `npm run crash -- --seed N --cases N`: random cases of the crash matrix. */
await runWithTemporal('test/crash/run.ts');

#!/usr/bin/env node
import { runWithTemporal } from './testing/with-temporal.mjs';

/** `npm run bench`: what Holdfast costs. */
await runWithTemporal('scripts/bench/main.ts');

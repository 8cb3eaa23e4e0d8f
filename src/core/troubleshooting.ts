import { FAILURES } from './failures.js';

const RETRY = {
  never: 'ends the step at once',
  soon: 'is tried again within minutes',
  wait: 'is tried again for hours',
} as const;

/** docs/troubleshooting.md, made of the failure catalogue. */
export function troubleshootingText(): string {
  const rows = Object.entries(FAILURES)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([type, { when, advice, retry }]) => `| \`${type}\` | ${cell(when)} | ${cell(advice)} | ${RETRY[retry]} |`);
  return [
    '# Troubleshooting',
    '',
    'Made from `src/core/failures.ts`; change it there, then run `node --import tsx test/src/core/troubleshooting.test.ts --write`.',
    '',
    'Every failure reads `<step> on <host>: <what happened>; <what to do>`. Its type is in the Temporal UI, in the report and in',
    '`--json`. What a program printed is in the log that the details name: `holdfast logs SITE`.',
    '',
    'Whatever failed: `holdfast status` says whether an application is down, and `holdfast release SITE` brings it back now.',
    '',
    '| type | what it means | what to do | the step |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|');

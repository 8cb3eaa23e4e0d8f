import { stringify } from 'yaml';
import { presetOf } from '../apps/presets.js';
import type { Found } from './init-discover.js';

export interface Choices extends Found {
  engine: 'restic' | 'archive';
  location: string;
  key: string | undefined;
  restored: string;
  timezone: string;
}

/** A first config, with a word on each choice that its owner may want to make differently. */
export function initText(choices: Choices): string {
  const { name, app, root, service, databases, engine, location, key, restored, timezone } = choices;
  const password = key ? `, password: { file: ${scalar(key)} }` : '';
  const options = databases.length > 0 ? { databases: databases.map((path) => ({ kind: 'sqlite', path })) } : undefined;
  const { why, schedule, objectives } = presetOf(app);
  return `# yaml-language-server: $schema=./holdfast.schema.json
# (for editors: holdfast config schema > holdfast.schema.json; every key: docs/configuration.md)
version: 1
defaults:
  timezone: ${scalar(timezone)}
  # What is kept in each repository. Without it, everything is.
  keep: { daily: 7, weekly: 4, monthly: 12 }
  # notify: [ops]
# Who is told. The address is a secret: put it into a file of mode 0600.
# notify:
#   ops: { webhook: { file: /etc/holdfast/hook }, on: [failed, partial, down, recovered] }
# Below it: holdfast restore ${name} --target look
restore: { root: ${scalar(restored)} }

repositories:
  # A copy on the same disk is lost with it: give it another one (requireMount: true), and add one elsewhere (offsite: true).
  main: { engine: ${engine}, location: ${scalar(location)}${password} }

sites:
  ${name}:
    app: ${app}
    root: ${scalar(root)}
    service: ${flow(service)}
${app === 'generic' ? '    # How to see that it is up again:\n    # health: { http: "http://127.0.0.1:8080/" }\n' : ''}${options ? `    options: ${flow(options)}\n` : ''}    repositories: [main]
${why.map((line) => `    # ${line}\n`).join('')}    schedule: ${flow(schedule)}
    # What you ask of it: breaking one raises an alarm.
    objectives: ${flow(objectives)}
`;
}

function flow(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim();
}

const scalar = (text: string) => flow(text);

import assert from 'node:assert/strict';

/** Line by line, so that a mistake's place can be read off. */
export const GOOD = `version: 1
repositories:
  nas: { engine: restic, location: repo, password: { file: key } }
sites:
  cms:
    app: generic
    root: cms
    service: none
    repositories: [nas]
`;

/** The good config with one place changed. */
export const withText = (from: string, to: string) => {
  assert.ok(GOOD.includes(from), from);
  return GOOD.replace(from, to);
};

/** What is wrong, the text, and what is said of it; `…` stands for the directory of the config. */
export const BAD_CONFIGS: [string, string, string[]][] = [
  [
    'unknown key',
    withText('    root: cms\n', '    root: cms\n    shedule: { backup: daily }\n'),
    ['…/holdfast.yaml:8:5 sites.cms.shedule: unknown key; did you mean "schedule"?'],
  ],
  [
    'unknown key like no other',
    withText('version: 1', 'version: 1\nbananas: 3'),
    ['…/holdfast.yaml:2:1 bananas: unknown key; there is: version, defaults, notify, restore, repositories, sites'],
  ],
  [
    'unknown key in one form of several',
    withText('service: none', 'service: { compose: c.yaml, naems: [web] }'),
    [
      '…/holdfast.yaml:8:5 sites.cms.service.names: is missing',
      '…/holdfast.yaml:8:33 sites.cms.service.naems: unknown key; did you mean "names"?',
    ],
  ],
  [
    'no form at all',
    withText('service: none', 'service: { docker: web }'),
    [
      '…/holdfast.yaml:8:5 sites.cms.service: must be { compose, names }, { systemd }, { process }, { command } or none',
    ],
  ],
  [
    'wrong type',
    withText('root: cms', 'root: [cms]'),
    ['…/holdfast.yaml:7:5 sites.cms.root: must be a path; write it in full, "~" is not expanded'],
  ],
  [
    'wrong type of a flag',
    withText('engine: restic', 'offsite: maybe, engine: restic'),
    ['…/holdfast.yaml:3:19 repositories.nas.offsite: must be true or false, not a text'],
  ],
  ['no value', withText('    app: generic', '    app:'), ['…/holdfast.yaml:6:5 sites.cms.app: has no value']],
  ['a key that is missing', withText('    root: cms\n', ''), ['…/holdfast.yaml:5:3 sites.cms.root: is missing']],
  [
    'no service',
    withText('    service: none\n', ''),
    ['…/holdfast.yaml:5:3 sites.cms.service: is missing; write `service: none` for a site that is never stopped'],
  ],
  [
    'a home directory',
    withText('root: cms', 'root: ~/cms'),
    ['…/holdfast.yaml:7:11 sites.cms.root: must be a path; write it in full, "~" is not expanded'],
  ],
  [
    'a duration without unit',
    withText('app: generic', 'app: generic\n    objectives: { maxAge: 26 }'),
    [
      '…/holdfast.yaml:7:27 sites.cms.objectives.maxAge: must be a duration such as 30s, 26h or 1h30m (units: ms, s, m, h, d, w)',
    ],
  ],
  [
    'duplicate site',
    `${GOOD}  cms:\n    app: generic\n    root: cms\n    service: none\n    repositories: [nas]\n`,
    ['…/holdfast.yaml:10:3 sites.cms: stands here twice; keep one'],
  ],
  [
    'two sites with one id',
    `${GOOD}  wiki:\n    id: cms\n    app: generic\n    root: wiki\n    service: none\n    repositories: [nas]\n`,
    ['…/holdfast.yaml:11:9 sites.wiki.id: has the id "cms" of site cms; give each site its own'],
  ],
  [
    'bad name',
    GOOD.replace('  cms:', '  My_CMS:'),
    [
      '…/holdfast.yaml:5:3 sites.My_CMS: must be a name of lower-case letters, digits and dashes, at most 40 characters',
    ],
  ],
  [
    'bad cron',
    withText('app: generic', 'app: generic\n    schedule: { backup: "0 25 * * *" }'),
    [
      '…/holdfast.yaml:7:25 sites.cms.schedule.backup: is no cron line (Invalid value for hour: 25); write five fields, as "0 3 * * *", or hourly, daily, weekly, monthly',
    ],
  ],
  [
    'bad cron word',
    withText('app: generic', 'app: generic\n    schedule: { verify: wekly }'),
    ['…/holdfast.yaml:7:25 sites.cms.schedule.verify: is no cron line; did you mean "weekly"?'],
  ],
  [
    'a cron line that never comes',
    withText('app: generic', 'app: generic\n    schedule: { verify: 0 0 31 2 * }'),
    [
      '…/holdfast.yaml:7:25 sites.cms.schedule.verify: never comes; write five fields, as "0 3 * * *", or hourly, daily, weekly, monthly',
    ],
  ],
  [
    'a cron line that YAML takes for an alias',
    withText('app: generic', 'app: generic\n    schedule:\n      backup: */5 * * * *'),
    ['…/holdfast.yaml:8:15 is no YAML: a text that begins with * must be quoted, as "*/15 * * * *"'],
  ],
  [
    'bad time zone',
    withText('version: 1', 'version: 1\ndefaults: { timezone: Europe/Zurich2 }'),
    ['…/holdfast.yaml:2:23 defaults.timezone: no such time zone; did you mean "Europe/Zurich"?'],
  ],
  [
    'missing secret file',
    withText('file: key', 'file: kye'),
    ['…/holdfast.yaml:3:60 repositories.nas.password.file: there is no secret file …/kye; create it with mode 0600'],
  ],
  [
    'a secret in the config',
    withText('{ file: key }', 'hunter2'),
    [
      '…/holdfast.yaml:3:52 repositories.nas.password: must be a reference: { file: … }, { env: … } or { command: […] }; a secret never stands in the config',
    ],
  ],
  [
    'secret inside a URL',
    withText('location: repo', 'location: "rest:https://joe:hunter2@backup.example/x"'),
    [
      '…/holdfast.yaml:3:36 repositories.nas.location: a password stands in the address; take it out and give it as a reference',
    ],
  ],
  [
    'secret in a query',
    withText('location: repo', 'location: "s3:https://s3.example/b?X-Amz-Signature=abc"'),
    [
      '…/holdfast.yaml:3:36 repositories.nas.location: a key stands in the address; take it out and give it as a reference',
    ],
  ],
  [
    'secret as a variable',
    withText(
      'app: generic',
      'app: generic\n    hooks: { before: { argv: [/bin/true], env: { DB_PASSWORD: hunter2 } } }',
    ),
    [
      '…/holdfast.yaml:7:63 sites.cms.hooks.before.env.DB_PASSWORD: looks like a secret; write { file: … } or { env: … } instead of its value',
    ],
  ],
  [
    'two sites in one directory',
    `${GOOD}  wiki:\n    app: generic\n    root: ./cms/\n    service: none\n    repositories: [nas]\n`,
    ['…/holdfast.yaml:12:11 sites.wiki.root: is the directory of site cms too; give each site its own'],
  ],
  [
    'a site inside another',
    `${GOOD}  wiki:\n    app: generic\n    root: .\n    service: none\n    repositories: []\n`,
    [
      '…/holdfast.yaml:3:36 repositories.nas.location: the repository lies inside site wiki, and would be backed up with it; move it',
      '…/holdfast.yaml:12:11 sites.wiki.root: holds site cms; make them one site or move one',
      '…/holdfast.yaml:14:5 sites.wiki.repositories: must name at least one repository',
    ],
  ],
  [
    'repository inside the source',
    withText('location: repo', 'location: cms/repo'),
    [
      '…/holdfast.yaml:3:36 repositories.nas.location: the repository lies inside site cms, and would be backed up with it; move it',
    ],
  ],
  [
    'restores inside the source',
    withText('version: 1', 'version: 1\nrestore: { root: cms/restored }'),
    ['…/holdfast.yaml:2:18 restore.root: restore.root lies inside site cms, and would be backed up with it; move it'],
  ],
  [
    'unknown repository',
    withText('[nas]', '[nsa]'),
    ['…/holdfast.yaml:9:20 sites.cms.repositories[0]: no such repository; did you mean "nas"?'],
  ],
  [
    'a repository twice',
    withText('[nas]', '[nas, { use: nas }]'),
    ['…/holdfast.yaml:9:32 sites.cms.repositories[1].use: stands here twice; keep one'],
  ],
  [
    'unknown application',
    withText('generic', 'genric'),
    ['…/holdfast.yaml:6:10 sites.cms.app: no such application; did you mean "generic"?'],
  ],
  [
    'unknown option of an application',
    withText('app: generic', 'app: generic\n    options: { databses: [] }'),
    ['…/holdfast.yaml:7:16 sites.cms.options.databses: unknown key; did you mean "databases"?'],
  ],
  [
    'nobody to tell',
    withText('app: generic', 'app: generic\n    notify: [ops]'),
    ['…/holdfast.yaml:7:14 sites.cms.notify[0]: nobody of that name in notify; there is none'],
  ],
  [
    'restic without password',
    withText(', password: { file: key }', ''),
    ['…/holdfast.yaml:3:3 repositories.nas.password: is missing: restic encrypts with it; write { file: … }'],
  ],
  [
    'archive with password',
    withText('restic', 'archive'),
    ['…/holdfast.yaml:3:43 repositories.nas.password: means nothing to archive; it encrypts to age `recipients`'],
  ],
  [
    'no age recipient',
    withText(
      'engine: restic, location: repo, password: { file: key }',
      'engine: archive, location: repo, recipients: [age1x]',
    ),
    [
      '…/holdfast.yaml:3:56 repositories.nas.recipients[0]: is no age recipient; it begins with age1 and has 62 characters (age-keygen -y prints it)',
    ],
  ],
  [
    'no key of ubackup',
    withText(
      'engine: restic, location: repo, password: { file: key }',
      'engine: ubackup, location: "sftp:host:/repo", recipients: [age1x]',
    ),
    [
      '…/holdfast.yaml:3:37 repositories.nas.location: must be a directory, or s3:https://<endpoint>/<bucket>',
      '…/holdfast.yaml:3:69 repositories.nas.recipients[0]: is no RSA public key; its text begins with -----BEGIN RSA PUBLIC KEY-----',
    ],
  ],
  [
    'missing directory',
    withText('root: cms', 'root: gone'),
    ['…/holdfast.yaml:7:11 sites.cms.root: there is no directory …/gone; create or mount it, or correct the path'],
  ],
  [
    'missing command',
    withText('app: generic', 'app: generic\n    hooks: { before: [/nowhere/x] }'),
    [
      '…/holdfast.yaml:7:14 sites.cms.hooks.before: there is no program /nowhere/x that can be run; install it or correct the path',
    ],
  ],
  [
    'no YAML',
    `${GOOD}  - x\n`,
    ['…/holdfast.yaml:10:1 is no YAML: A block sequence may not be used as an implicit map key'],
  ],
  ['empty', '', ['…/holdfast.yaml:1:1 has no value']],
];

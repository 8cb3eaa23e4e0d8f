import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Kit, kitText } from '../../../src/core/kit.js';

const kit: Kit = {
  madeAt: '2026-11-21T09:00:00Z',
  host: 'box',
  config: '/etc/holdfast/holdfast.yaml',
  versions: { holdfast: '0.1.0', node: 'v20', restic: '0.14.0' },
  repositories: [
    {
      name: 'nas',
      engine: 'restic',
      location: '/mnt/nas/restic',
      offsite: true,
      recipients: [],
      keys: [
        { what: 'password', from: 'the secret file /etc/holdfast/restic.key', fingerprint: '0a1b2c3d' },
        { what: 'AWS_KEY', from: 'the variable S3', unreadable: 'it is not there' },
      ],
      adopt: 'holdfast adopt /mnt/nas/restic --engine restic',
      byHand: ['restic -r /mnt/nas/restic restore latest'],
    },
    {
      ...{ name: 'disk', engine: 'archive', location: '/mnt/disk', offsite: false, recipients: [], keys: [] },
      ...{ adopt: 'holdfast adopt /mnt/disk --engine archive', byHand: ['tar -x'] },
    },
  ],
  sites: [{ name: 'cms', id: 'c-1', app: 'videocms', root: '/srv/cms', repositories: ['nas', 'disk'] }],
};

test('a kit names locations, fingerprints, versions and commands', () => {
  const text = kitText(kit);
  for (const line of [
    '# Recovery kit of box, 2026-11-21',
    '- **nas**: restic at `/mnt/nas/restic`, in another building',
    '  - password: the secret file /etc/holdfast/restic.key; fingerprint `0a1b2c3d`',
    '  - AWS_KEY: the variable S3; not read here (it is not there)',
    '  - not encrypted: whoever has the disk can read it',
    '- cms (videocms, id c-1), /srv/cms: in nas, disk',
    '1. Install Node.js, Holdfast 0.1.0 and the tools: restic 0.14.0.',
    '   `holdfast adopt /mnt/nas/restic --engine restic`',
    '   `holdfast restore cms`',
    'restic -r /mnt/nas/restic restore latest',
  ])
    assert.ok(text.split('\n').includes(line), `${line}\nis not in\n${text}`);
});

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { projectName } from '../../../activities/services/compose-project.js';
import { services } from '../../../activities/services/index.js';
import { isFailure } from '../../../src/core/failures.js';
import { ServiceSpec } from '../../../src/core/plan.js';
import { serviceSuite } from '../../conformance/service-suite.js';
import { testContext } from '../../support/context.js';
import { eventually } from '../../support/toy.js';
import { project, versions } from './support/compose.js';
import { type Dockerd, openDockerd } from './support/dockerd.js';

/** It has set its traps by then. */
const works = (beat: string) => eventually('it works', 60_000, () => readFile(beat, 'utf8').catch(() => ''));

let daemon: Dockerd | string;
before(async () => {
  daemon = await openDockerd();
  if (typeof daemon !== 'string') Object.assign(process.env, daemon.env);
});
after(async () => {
  if (typeof daemon !== 'string') await daemon.close();
});

for (const version of versions)
  describe(`compose ${version.name}`, () => {
    before(() => {
      process.env.DOCKER_CONFIG = version.config;
    });
    after(() => {
      delete process.env.DOCKER_CONFIG;
    });

    const opened = () => (typeof daemon === 'string' ? daemon : version.lacks());
    const rootOf = () => join((daemon as Dockerd).root, version.name);
    const docker = (...args: string[]) => (daemon as Dockerd).docker(...args);
    const idOf = (name: string, service: string) =>
      docker(
        'ps',
        '-aq',
        '-f',
        `label=com.docker.compose.project=${name}`,
        '-f',
        `label=com.docker.compose.service=${service}`,
      ).trim();
    const check = (name: string, body: () => Promise<void>) =>
      test(name, { timeout: 300_000 }, async (t) => {
        const lacks = opened();
        if (lacks) t.skip(lacks);
        else await body();
      });

    serviceSuite(`compose ${version.name}`, async () => {
      const lacks = opened();
      if (lacks) return lacks;
      const main = await project(version, rootOf(), `main${version.name}`, {
        app: {},
        bystander: {},
        deaf: { stubborn: true },
      });
      docker('start', idOf(`main${version.name}`, 'bystander'));
      // A shell that is told to end before its trap is set hears nothing, as the first process of a container.
      const spec = main.spec(['app', 'bystander'], { stopTimeoutMs: 10_000 });
      return {
        app: { spec, units: ['app'], beat: main.beat('app') },
        bystander: { beat: main.beat('bystander') },
        unknown: main.spec(['api']),
        stubborn: {
          spec: main.spec(['deaf'], { stopTimeoutMs: 1000 }),
          units: ['deaf'],
          beat: main.beat('deaf'),
          ends: 'killed',
        },
        kill: async () => void docker('kill', '-s', 'KILL', idOf(`main${version.name}`, 'app')),
        close: async () => {},
      };
    });

    check('a container that was removed is made anew, without its neighbours', async () => {
      const ctx = await testContext();
      const name = `gone${version.name}`;
      const { spec, beat } = await project(version, rootOf(), name, {
        app: { more: ['depends_on: [db]'] },
        db: {},
      });
      const both = spec(['app', 'db']);
      await services.compose.start(both, ['app', 'db'], ctx);
      const before = idOf(name, 'db');
      await services.compose.stop(both, ['app', 'db'], ctx);
      docker('rm', idOf(name, 'app'));
      assert.deepEqual(
        (await services.compose.status(both, ctx)).units.map(({ running }) => running),
        [false, false],
      );
      await services.compose.start(both, ['app'], ctx);
      const { units } = await services.compose.status(both, ctx);
      assert.deepEqual(
        units.map(({ name, running }) => [name, running]),
        [
          ['app', true],
          ['db', false],
        ],
      );
      assert.equal(idOf(name, 'db'), before);
      await works(beat('app'));
      await services.compose.stop(both, ['app'], ctx);
    });

    check('a paused container is stopped', async () => {
      const ctx = await testContext();
      const name = `paused${version.name}`;
      const { spec, beat } = await project(version, rootOf(), name, { app: {} });
      await services.compose.start(spec(['app']), ['app'], ctx);
      await works(beat('app'));
      docker('pause', idOf(name, 'app'));
      assert.equal((await services.compose.status(spec(['app']), ctx)).units[0]?.running, true);
      await services.compose.stop(spec(['app']), ['app'], ctx);
      assert.equal((await services.compose.status(spec(['app']), ctx)).units[0]?.running, false);
      assert.equal(docker('inspect', '-f', '{{.State.ExitCode}}', idOf(name, 'app')).trim(), '0');
    });

    check('a start by somebody else shows in the mark, also when it has been stopped again', async () => {
      const ctx = await testContext();
      const name = `mark${version.name}`;
      const { spec } = await project(version, rootOf(), name, { app: {} });
      await services.compose.start(spec(['app']), ['app'], ctx);
      await services.compose.stop(spec(['app']), ['app'], ctx);
      const before = (await services.compose.status(spec(['app']), ctx)).units[0];
      docker('start', idOf(name, 'app'));
      docker('stop', '-t', '1', idOf(name, 'app'));
      const after = (await services.compose.status(spec(['app']), ctx)).units[0];
      assert.equal(after?.running, false);
      assert.notEqual(after?.startedAt, before?.startedAt);
    });

    check('a program that ends at once is a failed start', async () => {
      const ctx = await testContext();
      const { spec, dir } = await project(version, rootOf(), `ends${version.name}`, { app: {} });
      await rm(join(dir, 'app/app.sh'));
      // At once, also where the machine is too busy to end it before the next look.
      const soon: typeof ctx = {
        ...ctx,
        run: async (program, args, options) => {
          const done = await ctx.run(program, args, options);
          if (args[0] === 'start') docker('wait', ...args.slice(1));
          return done;
        },
      };
      await assert.rejects(services.compose.start(spec(['app']), ['app'], soon), (error) =>
        isFailure(error, 'StartFailed'),
      );
    });

    check('volumes: binds, named, external and anonymous ones, with their places', async () => {
      const ctx = await testContext();
      const name = `vol${version.name}`;
      const dir = join(rootOf(), name);
      await mkdir(dir, { recursive: true });
      const file = join(dir, 'docker-compose.yaml');
      docker('volume', 'create', `outer${version.name}`);
      await writeFile(
        file,
        `version: "2.4"
services:
  app:
    image: bb:1
    network_mode: host
    command: [sleep, "1000"]
    volumes: ["./data:/data", "state:/state", "outer:/outer:ro", "/anonymous", "/dev/null:/null"]
volumes:
  state: {}
  outer: { external: { name: outer${version.name} } }
`.replace('external: { name: outerv2 }', 'external: true, name: outerv2'),
      );
      version.run('-f', file, 'up', '--no-start');
      const spec = ServiceSpec.parse({ kind: 'compose', name, file, services: ['app'] });
      const found = (await services.compose.volumes?.(spec, ctx)) ?? [];
      const data = join((daemon as Dockerd).root, 'data/volumes');
      const by = Object.fromEntries(found.map(({ name, path }) => [name, path]));
      assert.deepEqual(Object.keys(by).sort(), [join(dir, 'data'), 'app:/anonymous', 'outer', 'state'].sort());
      assert.equal(by[join(dir, 'data')], join(dir, 'data'));
      assert.equal(by.state, join(data, `${name}_state/_data`));
      assert.equal(by.outer, join(data, `outer${version.name}/_data`));
      assert.match(by['app:/anonymous'] ?? '', new RegExp(`^${data}/[0-9a-f]{64}/_data$`));
    });

    check('the project is named as compose names it', async () => {
      const ctx = await testContext();
      const root = rootOf();
      const dir = join(root, `_My.App ${version.name}`);
      await mkdir(dir, { recursive: true });
      const file = join(dir, 'docker-compose.yaml');
      const services = `services: { app: { image: "bb:1", network_mode: host, command: [sleep, "9"] } }\n`;
      // What the newest container says.
      const truth = () => {
        version.run('-f', file, 'up', '--no-start');
        return docker('ps', '-n', '1', '--format', '{{.Label "com.docker.compose.project"}}').trim();
      };
      if (version.name === 'v2') {
        await writeFile(file, services);
        assert.equal(await projectName(file, ctx), truth());
        await writeFile(file, `name: 'named' # by hand\n${services}`);
        assert.equal(await projectName(file, ctx), truth());
        await writeFile(file, `name: "\${WHO:-some}body"\n${services}`);
        assert.equal(await projectName(file, ctx), 'somebody');
      } else await writeFile(file, `version: "2.4"\n${services}`);
      await writeFile(join(dir, '.env'), '# x\nCOMPOSE_PROJECT_NAME="fromenv"\n');
      assert.equal(await projectName(file, ctx), truth());
      assert.equal(await projectName(file, ctx), 'fromenv');
    });

    check('restart: always and a restarted daemon: what was stopped shows as started', async () => {
      const ctx = await testContext();
      const name = `always${version.name}`;
      const { spec } = await project(version, rootOf(), name, { app: { more: ['restart: always'] } });
      await services.compose.start(spec(['app']), ['app'], ctx);
      await services.compose.stop(spec(['app']), ['app'], ctx);
      await (daemon as Dockerd).restart();
      await eventually('docker has started it again by its policy', 60_000, async () => {
        const [unit] = (await services.compose.status(spec(['app']), ctx)).units;
        return unit?.running;
      });
      await services.compose.stop(spec(['app']), ['app'], ctx);
      docker('rm', '-f', idOf(name, 'app'));
    });

    if (version.name === 'v2')
      check('a dependency that must be healthy is waited for', async () => {
        const ctx = await testContext();
        const health = 'healthcheck: { test: [CMD-SHELL, "cat /data/ready"], interval: 300ms, start_period: 200s }';
        const { spec, dir } = await project(version, rootOf(), 'healthyv2', {
          app: { more: ['depends_on: { db: { condition: service_healthy } }'] },
          db: { more: [health] },
        });
        const both = spec(['app', 'db']);
        const ready = join(dir, 'db/ready');
        setTimeout(() => writeFile(ready, ''), 2_000);
        await services.compose.start(both, ['app', 'db'], ctx);
        assert.ok(existsSync(ready));
        await services.compose.stop(both, ['app', 'db'], ctx);
      });

    check('an override beside the file belongs to it', async () => {
      const ctx = await testContext();
      const name = `over${version.name}`;
      const { spec, dir } = await project(version, rootOf(), name, { app: {} });
      const override = 'version: "2.4"\nservices: { app: { volumes: ["./extra:/extra"] } }\n';
      await writeFile(join(dir, 'docker-compose.override.yaml'), override);
      const found = (await services.compose.volumes?.(spec(['app']), ctx)) ?? [];
      assert.ok(found.some(({ path }) => path === join(dir, 'extra')));
      docker('rm', idOf(name, 'app'));
      await services.compose.start(spec(['app']), ['app'], ctx);
      assert.ok(docker('inspect', '-f', '{{json .Mounts}}', idOf(name, 'app')).includes('/extra'));
      await services.compose.stop(spec(['app']), ['app'], ctx);
    });

    check('without a daemon preflight says so', async () => {
      const ctx = await testContext();
      const { spec } = await project(version, rootOf(), `nodaemon${version.name}`, { app: {} });
      const host = process.env.DOCKER_HOST;
      process.env.DOCKER_HOST = 'unix:///nonexistent/docker.sock';
      try {
        await assert.rejects(services.compose.preflight(spec(['app']), ctx), /the docker daemon does not answer/);
      } finally {
        process.env.DOCKER_HOST = host;
      }
    });
  });

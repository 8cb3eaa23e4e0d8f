import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './packages.mjs';

const VERSION = '1.32.0';
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>holdfast</groupId><artifactId>test-server</artifactId><version>1</version>
<dependencies><dependency><groupId>io.temporal</groupId><artifactId>temporal-test-server</artifactId>
<version>${VERSION}</version></dependency></dependencies></project>
`;

/** Path of Temporal's time-skipping test server (Java, from Maven), got once into our cache; undefined where it cannot be had. */
export function getTestServer(say) {
  if (process.env.TEMPORAL_TEST_SERVER_PATH) return process.env.TEMPORAL_TEST_SERVER_PATH;
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holdfast');
  const home = join(cache, `test-server-${VERSION}`);
  const wrapper = join(home, 'temporal-test-server');
  if (existsSync(wrapper)) return wrapper;
  if (!findProgram('mvn') || !findProgram('java')) {
    say('setup: without the time-skipping test server: it needs java and mvn');
    return undefined;
  }
  say(`setup: io.temporal:temporal-test-server:${VERSION} by Maven`);
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(`${home}.partial-`);
  try {
    writeFileSync(join(work, 'pom.xml'), POM);
    const args = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(work, 'jars')}`];
    execFileSync('mvn', args, { cwd: work, stdio: ['ignore', 'ignore', 'pipe'], timeout: 300_000 });
    // exec keeps the pid that the SDK ends.
    const script = '#!/bin/sh\nexec java -cp "$(dirname "$0")/jars/*" io.temporal.testserver.TestServer "$@"\n';
    writeFileSync(join(work, 'temporal-test-server'), script, { mode: 0o755 });
    renameSync(work, home);
    return wrapper;
  } catch (error) {
    say(`setup: without the time-skipping test server: Maven failed (${String(error.message).split('\n')[0]})`);
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Programs that Holdfast and its tests call, and the Debian package of each. `need`: without it nothing useful runs;
 * the others each carry one ability, and whoever lacks them is told so.
 */
const PROGRAMS = [
  { program: 'sqlite3', package: 'sqlite3', purpose: 'runtime', need: true, why: 'reads and copies SQLite databases' },
  { program: 'flock', package: 'util-linux', purpose: 'runtime', need: true, why: 'fences the stopped section' },
  { program: 'setpriv', package: 'util-linux', purpose: 'runtime', need: true, why: 'ends tools with their worker' },
  { program: 'tar', package: 'tar', purpose: 'runtime', need: true, why: 'the archive engine' },
  { program: 'restic', package: 'restic', purpose: 'runtime', why: 'the restic engine' },
  { program: 'zstd', package: 'zstd', purpose: 'runtime', why: 'the archive engine’s compression (else gzip)' },
  { program: 'rsync', package: 'rsync', purpose: 'runtime', why: 'warm copies of files that change, and dated trees' },
  { program: 'ssh', package: 'openssh-client', purpose: 'runtime', why: 'a backup machine that pulls' },
  { program: 'rclone', package: 'rclone', purpose: 'runtime', why: 'the rclone engine, and ubackup in a bucket' },
  { program: 'getfacl', package: 'acl', purpose: 'runtime', why: 'keeps access control lists' },
  { program: 'getfattr', package: 'attr', purpose: 'runtime', why: 'keeps extended attributes' },
  { program: 'unzip', package: 'unzip', purpose: 'runtime', why: 'reads the dumps of ApisCP’s accounts' },
  { program: 'zip', package: 'zip', purpose: 'test', why: 'makes such dumps' },
  { program: 'age', package: 'age', purpose: 'test', why: 'reads archives encrypted to a public key' },
  {
    program: 'openssl',
    package: 'openssl',
    purpose: 'test',
    why: 'certificates, and reading encrypted backups by hand',
  },
  { program: 'dockerd', package: 'docker.io', purpose: 'test', why: 'a throw-away Docker for compose sites' },
  { program: 'docker-compose', package: 'docker-compose', purpose: 'test', why: 'compose v1' },
  { program: 'busybox', package: 'busybox-static', purpose: 'test', why: 'the image of the compose tests' },
  { program: '/lib/systemd/systemd', package: 'systemd', purpose: 'test', why: 'a throw-away systemd' },
  { program: 'sshd', package: 'openssh-server', purpose: 'test', why: 'a host that is pulled from' },
  { program: 'ip', package: 'iproute2', purpose: 'test', why: 'network namespaces' },
  { program: 'ps', package: 'procps', purpose: 'test', why: 'finds stray processes' },
  { program: 'mkfs.ext4', package: 'e2fsprogs', purpose: 'test', why: 'file systems that fill up' },
  { program: 'mariadbd', package: 'mariadb-server', purpose: 'test', why: 'throw-away MariaDB servers' },
  { program: 'pg_ctlcluster', package: 'postgresql', purpose: 'test', why: 'throw-away PostgreSQL servers' },
  { program: 'git', package: 'git', purpose: 'test', why: 'clones the checkout to test the package' },
  { program: 'java', package: 'default-jre-headless', purpose: 'test', why: 'Temporal’s time-skipping test server' },
  { program: 'mvn', package: 'maven', purpose: 'test', why: 'gets that server’s jars' },
];

/** The path of a program, also where PATH lacks the system directories. */
export function findProgram(program) {
  const dirs = program.startsWith('/') ? ['/'] : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return dirs
    .map((dir) => join(dir, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const isDebian = () => {
  try {
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
};

function aptInstall(packages) {
  const options = { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  execFileSync('apt-get', ['update', '-qq'], options);
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
}

/** Installs what lacks as root on Debian; elsewhere says what lacks and how to get it, and throws where it is needed. */
export function installPackages(purpose, say, { programs = PROGRAMS, find = findProgram, root = isRoot() } = {}) {
  const lacking = () => programs.filter((p) => (p.purpose === 'runtime' || purpose === 'test') && !find(p.program));
  let missing = lacking();
  const packages = [...new Set(missing.map((p) => p.package))];
  if (packages.length === 0) return;
  const byHand = `apt-get install --no-install-recommends ${packages.join(' ')}`;
  if (root && isDebian()) {
    say(`setup: ${byHand}`);
    try {
      aptInstall(packages);
    } catch (error) {
      say(
        `setup: apt-get failed: ${String(error.stderr ?? error.message)
          .trim()
          .split('\n')
          .at(-1)}`,
      );
    }
    missing = lacking();
  }
  for (const p of missing)
    say(`setup: ${p.need ? 'MISSING' : 'without'} ${p.program} (package ${p.package}): ${p.why}`);
  if (missing.length > 0)
    say(
      `setup: to get ${missing.length === 1 ? 'it' : 'them'}: ${isDebian() ? `sudo ${byHand}` : `install ${packages.join(', ')} with your package manager`}`,
    );
  const needed = missing.filter((p) => p.need).map((p) => p.program);
  if (needed.length > 0) throw new Error(`${needed.join(', ')} missing; install as said above and run this again`);
}

function isRoot() {
  return process.getuid?.() === 0;
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../activities/tools/programs.js';
import { eventually, freePort } from './toy.js';

/** An S3 server on loopback that keeps its objects as files. */
export interface S3Server {
  endpoint: string;
  /** Where the objects lie. */
  dir: string;
  env: { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string };
  end: () => Promise<void>;
}

const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
const versitygw = findProgram('versitygw') ?? findProgram(join(cache, 'holdfast/bin/versitygw'));

/** Why there can be no S3 server here; false where there can. */
export const NO_S3 = !versitygw
  ? 'no S3 server: the setup builds one where Go is installed'
  : !findProgram('rclone') && 'rclone is not installed';

export async function startS3(
  env = { AWS_ACCESS_KEY_ID: 'holdfast', AWS_SECRET_ACCESS_KEY: 'a-secret-of-the-tests' },
): Promise<S3Server> {
  const [dir, port] = [await mkdtemp(join(tmpdir(), 'holdfast-s3-')), await freePort()];
  const child: ChildProcess = spawn(versitygw ?? '', ['--port', `127.0.0.1:${port}`, 'posix', dir], {
    env: { PATH: process.env.PATH, ROOT_ACCESS_KEY: env.AWS_ACCESS_KEY_ID, ROOT_SECRET_KEY: env.AWS_SECRET_ACCESS_KEY },
    stdio: 'ignore',
  });
  const endpoint = `http://127.0.0.1:${port}`;
  await eventually('the S3 server answers', 60_000, () =>
    fetch(endpoint).then(
      () => true,
      () => false,
    ),
  );
  return {
    ...{ endpoint, dir, env },
    end: async () => {
      const ended = once(child, 'exit');
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await ended;
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
}

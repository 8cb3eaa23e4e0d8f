import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * One long-lived sqlite3 as a program's connection: WAL, synchronous NORMAL, 5 s busy timeout. The write-ahead log is
 * not folded in at the end, as VideoCMS never closes its database.
 */
export function openDatabase(path, { create = false } = {}) {
  const uri = `file:${path.split('/').map(encodeURIComponent).join('/')}?mode=${create ? 'rwc' : 'rw'}`;
  const child = spawn('sqlite3', ['-batch', '-init', '/dev/null', uri], {
    stdio: ['pipe', 'pipe', 'ignore'],
    // A terminal's Ctrl-C goes to the whole group, and would close the connection.
    detached: true,
  });
  const waiting = [];
  let lines = [];
  let ended = false;
  const finish = () => {
    ended = true;
    for (const { no } of waiting.splice(0)) no(new Error('the database is gone'));
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line !== '#end') return void lines.push(line);
    const answer = lines.join('\n');
    lines = [];
    waiting.shift()?.yes(answer === '' ? [] : JSON.parse(answer));
  });
  child.on('error', finish).on('exit', finish);
  child.stdin.on('error', finish);
  const settings = ['journal_mode=WAL', 'synchronous=NORMAL', 'busy_timeout=5000'].map((one) => `PRAGMA ${one};`);
  child.stdin.write(
    ['.output /dev/null', '.dbconfig no_ckpt_on_close on', ...settings, '.output', '.mode json', ''].join('\n'),
  );
  return {
    /** Rows of the statements; none where they fail, so a write asks for `RETURNING id`. */
    query: (sql) =>
      new Promise((yes, no) => {
        if (ended) return no(new Error('the database is gone'));
        waiting.push({ yes, no });
        child.stdin.write(`${sql};\n.print #end\n`);
      }),
    kill: () => child.kill('SIGKILL'),
  };
}

/** SQL text of a value. */
export const sql = (value) =>
  value === null ? 'NULL' : typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`;

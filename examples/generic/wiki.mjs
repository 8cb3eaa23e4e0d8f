// The smallest application that a backup can be shown on: it serves the uploads, and says that it is up.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

if (!existsSync('wiki.json')) throw new Error('run me in the directory of the site');
const server = createServer((_, answer) => answer.end(`${readdirSync('uploads').join('\n')}\n`));
server.listen(8085, '127.0.0.1', () => writeFileSync('wiki.pid', `${process.pid}\n`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));

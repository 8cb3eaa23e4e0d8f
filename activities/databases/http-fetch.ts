import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';

export type HttpSpec = Extract<DatabaseSpec, { kind: 'http' }>;

/** How long the other side may be silent: an export reads its whole database first where it must. */
const SILENT_MS = 10 * 60_000;

/** What Node calls a certificate that it does not trust. */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|CRL/;

/**
 * Asks for an export and answers when its head is there, with status 200. A redirect is not followed: the token would go to
 * somebody else. Throws DatabaseMissing (404), DatabaseDenied, DatabaseUnreachable, InvalidConfig (certificate).
 */
export async function ask(spec: HttpSpec, url: string, ctx: Context): Promise<IncomingMessage> {
  const token = spec.token && (await ctx.secret(spec.token));
  const ca = spec.ca === undefined ? undefined : await authority(spec, ctx);
  const headers = { accept: 'text/plain', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const send = new URL(url).protocol === 'https:' ? tlsRequest : plainRequest;
    const asked = send(url, { headers, signal: ctx.signal, ...(ca ? { ca } : {}), agent: false }, resolve);
    asked.setTimeout(SILENT_MS, () => asked.destroy(Object.assign(new Error('silent'), { code: 'ETIMEDOUT' })));
    asked.on('error', reject);
    asked.end();
  }).catch((error: NodeJS.ErrnoException) => {
    throw unanswered(spec, error, ctx);
  });
  if (answer.statusCode === 200) return answer;
  answer.destroy();
  throw refused(spec, answer.statusCode ?? 0, ctx);
}

async function authority({ name, ca = '' }: HttpSpec, ctx: Context): Promise<Buffer> {
  return readFile(ca).catch((cause) => {
    throw ctx.fail('InvalidConfig', `the certificate for ${name} cannot be read: ${ca}`, {
      advice: 'correct `ca`',
      details: { places: [ca] },
      cause,
    });
  });
}

function unanswered({ name }: HttpSpec, error: NodeJS.ErrnoException, ctx: Context): Error {
  ctx.signal.throwIfAborted();
  const code = error.code ?? '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return ctx.fail('InvalidConfig', `the certificate of ${name}'s server is for another name than its address`, {
      advice: "write the name that the certificate has as the address; Varasto's own is for localhost",
    });
  if (code === 'ERR_INVALID_CHAR')
    return ctx.fail('InvalidConfig', `the token of ${name} cannot be sent: it has more than one line`, {
      advice: 'write the key alone where `token` says',
    });
  if (UNTRUSTED.test(code))
    return ctx.fail('InvalidConfig', `the server of ${name} shows a certificate that is not trusted (${code})`, {
      advice: 'give its certificate, or that of its authority, as `ca`',
    });
  if (code === 'EPROTO' || code.startsWith('HPE_'))
    return ctx.fail('DatabaseUnreachable', `what answers for ${name} does not speak as its address says (${code})`, {
      advice: 'correct http:// or https:// and the port',
    });
  return ctx.fail('DatabaseUnreachable', `the export of ${name} does not answer (${code})`);
}

function refused({ name }: HttpSpec, status: number, ctx: Context): Error {
  const said = `the export of ${name} answered ${status}`;
  if (status === 401 || status === 403)
    return ctx.fail('DatabaseDenied', said, { advice: 'make a new API key, and put it where `token` says' });
  if (status >= 500) return ctx.fail('DatabaseUnreachable', said, { advice: "look at the application's own log" });
  return ctx.fail('DatabaseMissing', said, { advice: 'correct its address in the config' });
}

export interface Written {
  bytes: number;
  sha256: string;
}

/** Writes an answer to a file of mode 0600, durable on return. Throws DumpIncomplete where it broke off, DiskFull. */
export async function write(spec: HttpSpec, answer: IncomingMessage, target: string, ctx: Context): Promise<Written> {
  const hash = createHash('sha256');
  let bytes = 0;
  const watch = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      bytes += chunk.length;
      ctx.beat({ bytes });
      done(null, chunk);
    },
  });
  try {
    await pipeline(answer, watch, createWriteStream(target, { flags: 'wx', mode: 0o600, flush: true }));
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw ctx.fail('DiskFull', 'the disk is full', { cause: error });
    throw ctx.fail('DumpIncomplete', `the export of ${spec.name} broke off after ${bytes} bytes`, { cause: error });
  }
  const told = Number(answer.headers['content-length'] ?? bytes);
  if (told !== bytes)
    throw ctx.fail('DumpIncomplete', `the export of ${spec.name} has ${bytes} bytes, and said ${told}`);
  return { bytes, sha256: hash.digest('hex') };
}

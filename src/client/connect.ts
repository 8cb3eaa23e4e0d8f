import { readFileSync } from 'node:fs';
import { Client, Connection, type TLSConfig } from '@temporalio/client';
import { failure } from '../core/failures.js';
import { DEFAULT_HOST } from '../core/names.js';

export const DEFAULT_ADDRESS = '127.0.0.1:7233';

/** Where Temporal is. What is absent comes from the environment, as the `temporal` command reads it. */
export interface Where {
  address?: string;
  namespace?: string;
  apiKey?: string;
  tls?: TLSConfig | boolean;
}

export interface Resolved {
  address: string;
  namespace: string;
  apiKey?: string;
  tls?: TLSConfig | boolean;
}

/** TEMPORAL_ADDRESS, _NAMESPACE, _API_KEY, _TLS and _TLS_*; defaults 127.0.0.1:7233 and `default`. A worker's native connection takes the same. */
export function resolveWhere(where: Where = {}, env: NodeJS.ProcessEnv = process.env): Resolved {
  const apiKey = where.apiKey ?? env.TEMPORAL_API_KEY;
  const tls = where.tls ?? tlsFrom(env) ?? (apiKey ? true : undefined);
  return {
    address: where.address ?? (env.TEMPORAL_ADDRESS || DEFAULT_ADDRESS),
    namespace: where.namespace ?? (env.TEMPORAL_NAMESPACE || 'default'),
    ...(apiKey ? { apiKey } : {}),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** A client of ours on a connection of its own: close it with `client.connection.close()`. Fails within 5 s where nothing answers. */
export async function connect(where: Where = {}): Promise<Client> {
  const { namespace, ...options } = resolveWhere(where);
  const connection = await Connection.connect({ ...options, connectTimeout: 5000 });
  return new Client({ connection, namespace });
}

function tlsFrom(env: NodeJS.ProcessEnv): TLSConfig | boolean | undefined {
  const on = env.TEMPORAL_TLS?.toLowerCase();
  if (on === 'false' || on === '0') return false;
  const ca = pem(env, 'SERVER_CA_CERT');
  const crt = pem(env, 'CLIENT_CERT');
  const key = pem(env, 'CLIENT_KEY');
  const serverName = env.TEMPORAL_TLS_SERVER_NAME;
  if (Boolean(crt) !== Boolean(key))
    throw refused('TEMPORAL_TLS_CLIENT_CERT and _CLIENT_KEY come together or not at all');
  if (/^(true|1)$/i.test(env.TEMPORAL_TLS_DISABLE_HOST_VERIFICATION ?? ''))
    throw refused(
      'TEMPORAL_TLS_DISABLE_HOST_VERIFICATION cannot be had here',
      'name the authority instead: TEMPORAL_TLS_SERVER_CA_CERT_PATH',
    );
  const config: TLSConfig = {
    ...(serverName ? { serverNameOverride: serverName } : {}),
    ...(ca ? { serverRootCACertificate: ca } : {}),
    ...(crt && key ? { clientCertPair: { crt, key } } : {}),
  };
  return Object.keys(config).length > 0 ? config : on ? true : undefined;
}

/** `TEMPORAL_TLS_<name>_PATH` or `TEMPORAL_TLS_<name>_DATA`. */
function pem(env: NodeJS.ProcessEnv, name: string): Uint8Array | undefined {
  const data = env[`TEMPORAL_TLS_${name}_DATA`];
  if (data) return Buffer.from(data);
  const path = env[`TEMPORAL_TLS_${name}_PATH`];
  if (!path) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw refused(`TEMPORAL_TLS_${name}_PATH names a file that cannot be read`, 'correct it', cause);
  }
}

function refused(what: string, advice = 'correct the environment', cause?: unknown): Error {
  return failure('InvalidInput', { step: 'connect', host: DEFAULT_HOST, what, advice, cause });
}

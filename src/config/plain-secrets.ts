import type { Finding, Path } from './findings.js';
import type { PartlyConfig } from './partly.js';

const USERINFO = /:\/\/[^/\s@:]*:[^/\s@]+@/;
const QUERY = /[?&](?:[\w-]*(?:token|secret|passw|signature|api-?key)[\w-]*|sig|key|auth)=[^&\s]/i;
const VARIABLE = /PASSW|PASSPHRASE|(?:^|_)PASS(?:_|$)|SECRET|TOKEN|(?:^|_)KEY$|_PWD$/i;
/** Where a secret is, or how it is asked for, and no secret: `POSTGRES_PASSWORD_FILE`, `RESTIC_PASSWORD_COMMAND`. */
const WHERE = /_(?:FILE|PATH|DIR|COMMAND|CMD)$/i;
/** `--password=…`, but no `--password=/run/key` and no `--password-file=…`. */
const OPTION =
  /^--?(?:[\w-]*[-_])?(?:password|passwd|passphrase|secret|token|(?:api|secret|access)[-_]?key)=(?!(?:file|env|fd):)[^\s/.@$-]/i;
const HEADER = /^(?:authorization:\s*(?!(?:bearer|basic|token)(?:\s*$|\s+[@$]))|x-api-key:\s*|cookie:\s*)[^\s@$]/i;
/** A remote of rclone's that is described where it is named: `rclone::s3,secret_access_key=…:bucket`. */
const REMOTE = /^rclone:.*[:,](?![\w-]*_file=)[\w-]*(?:pass|secret|token|_key)[\w-]*=/i;

/** Secrets that stand in the text: in an address, an argument, or as the value of a variable that is called after one. The config travels with each snapshot. */
export function secretsInTexts(config: PartlyConfig): Finding[] {
  const findings: Finding[] = [];
  walk(config, [], (text, path) => {
    const secretFile = path.at(-1) === 'file' || path.at(-2) === 'command';
    if (USERINFO.test(text))
      findings.push({ path, message: 'a password stands in the address; take it out and give it as a reference' });
    else if (text.includes('://') && QUERY.test(text))
      findings.push({ path, message: 'a key stands in the address; take it out and give it as a reference' });
    else if (path.at(-2) === 'env' && !secretFile && holdsSecret(String(path.at(-1))))
      findings.push({ path, message: 'looks like a secret; write { file: … } or { env: … } instead of its value' });
    else if (path.at(-1) === 'location' && REMOTE.test(text))
      findings.push({ path, message: 'a key stands in the location; take it out and give it among `credentials`' });
    else if (typeof path.at(-1) === 'number' && (OPTION.test(text) || HEADER.test(text)))
      findings.push({
        path,
        message:
          'looks like a secret, and everybody sees arguments; give it as a variable: { argv, env: { NAME: { file: … } } }',
      });
  });
  return findings;
}

const holdsSecret = (name: string) => VARIABLE.test(name) && !WHERE.test(name);

function walk(value: unknown, path: Path, leaf: (text: string, path: Path) => void): void {
  if (typeof value === 'string') leaf(value, path);
  else if (Array.isArray(value)) value.forEach((item, i) => void walk(item, [...path, i], leaf));
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) walk(item, [...path, key], leaf);
}

import type { Finding, Path } from './findings.js';
import type { PartlyConfig } from './partly.js';

const USERINFO = /:\/\/[^/\s@:]*:[^/\s@]+@/;
const QUERY = /[?&](?:[\w-]*(?:token|secret|passw|signature|api-?key)[\w-]*|sig|key|auth)=[^&\s]/i;
const VARIABLE = /PASSW|PASSPHRASE|SECRET|TOKEN|(?:^|_)KEY$/i;

/** Secrets that stand in the text: in an address, or as the value of a variable that is called after one. The config travels with each snapshot. */
export function secretsInTexts(config: PartlyConfig): Finding[] {
  const findings: Finding[] = [];
  walk(config, [], (text, path) => {
    const secretFile = path.at(-1) === 'file' || path.at(-2) === 'command';
    if (USERINFO.test(text))
      findings.push({ path, message: 'a password stands in the address; take it out and give it as a reference' });
    else if (text.includes('://') && QUERY.test(text))
      findings.push({ path, message: 'a key stands in the address; take it out and give it as a reference' });
    else if (path.at(-2) === 'env' && !secretFile && VARIABLE.test(String(path.at(-1))))
      findings.push({ path, message: 'looks like a secret; write { file: … } or { env: … } instead of its value' });
  });
  return findings;
}

function walk(value: unknown, path: Path, leaf: (text: string, path: Path) => void): void {
  if (typeof value === 'string') leaf(value, path);
  else if (Array.isArray(value)) value.forEach((item, i) => void walk(item, [...path, i], leaf));
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) walk(item, [...path, key], leaf);
}

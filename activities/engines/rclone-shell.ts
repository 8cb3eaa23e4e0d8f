import { isAbsolute } from 'node:path';
import type { RepositorySpec } from '../../src/core/plan.js';
import { parseS3, REMOTE, remoteEnv } from '../tools/rclone.js';
import { quote, resticEnvironment } from './shell.js';

/** Shell lines that restore a snapshot with rclone, gzip and coreutils: its list is text, paths in base64. */
export function byHand(repo: RepositorySpec, { captureId, siteId }: { captureId: string; siteId: string }): string[] {
  const s3 = parseS3(repo.location);
  const at = isAbsolute(repo.location)
    ? repo.location
    : s3
      ? `${REMOTE}:${s3.path}`
      : repo.location.replace(/^rclone:/, '');
  const settings = s3 ? Object.entries(remoteEnv(s3)).map(([name, value]) => `export ${name}=${quote(value)}`) : [];
  // The first line is restic's own; what follows are the credentials as a shell gets at them.
  const credentials = resticEnvironment(repo).slice(1);
  return [
    ...settings,
    ...credentials,
    `rclone copy ${quote(`${at}/sites/${siteId}`)} ./list --include ${quote(`*-${captureId}.*`)}`,
    `gzip -dc ./list/*-${captureId}.list.gz > ./list/all`,
    "cut -f8 ./list/all | grep -v '^-$' | sort -u | sed 's|^\\(..\\)|\\1/\\1|' > ./list/names",
    `rclone copy ${quote(`${at}/content`)} ./content --files-from ./list/names --no-traverse`,
    '(cd content && sed "s|^../\\(.*\\)|\\1  &|" ../list/names | sha256sum --check --quiet)',
    `tab=$(printf '\\t')`,
    `at() { printf %s "$1" | base64 -d; printf x; }`,
    'mkdir -p ./restored',
    'while IFS="$tab" read -r path type mode uid gid time size hash same sparse target; do',
    `  p=$(at "$path"); p="./restored\${p%x}"; mkdir -p "\${p%/*}"`,
    `  case $type$same in d-) mkdir -p "$p";; l-) t=$(at "$target"); ln -s "\${t%x}" "$p";;`,
    '    o-) [ "$target" = - ] || mknod "$p" $(printf %s "$target" | base64 -d);;',
    '    f-) if [ "$hash" = - ]; then : > "$p"; else cp --sparse=auto "./content/$(printf %.2s "$hash")/$hash" "$p"; fi;; esac',
    'done < ./list/all',
    'while IFS="$tab" read -r path type mode uid gid time size hash same sparse target; do',
    `  [ "$same" = - ] || { p=$(at "$path"); s=$(at "$same"); ln "./restored\${s%x}" "./restored\${p%x}"; }`,
    'done < ./list/all',
    `gzip -dc ./list/*-${captureId}.xattr.gz > ./list/xattr; [ ! -s ./list/xattr ] || (cd restored && setfattr -h --restore=../list/xattr)`,
    'while IFS="$tab" read -r path type mode uid gid time size hash same sparse target; do',
    `  [ "$type$target" != o- ] || continue; p=$(at "$path"); p="./restored\${p%x}"; [ "$(id -u)" != 0 ] || chown -h "$uid:$gid" "$p"`,
    `  s=\${time%?????????}; touch -h -d "@$s.\${time#"$s"}" "$p"; [ "$type" = l ] || chmod "$mode" "$p"`,
    'done < ./list/all',
  ];
}

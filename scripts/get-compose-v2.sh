#!/bin/sh
# Builds the Compose v2 plugin into a cache directory, for tests on machines whose distribution has v1 alone (Debian 12).
# Needs Go >= 1.24.9. Prints the directory to use as DOCKER_CONFIG. Does nothing where it is built already.
set -eu
version=${COMPOSE_VERSION:-v2.40.3}
config=${HOLDFAST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/holdfast/tools}/compose-$version
plugin=$config/cli-plugins/docker-compose
if [ ! -x "$plugin" ]; then
  module=github.com/docker/compose/v2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT INT TERM
  (cd "$work" && GOFLAGS=-mod=mod go mod download "$module@$version")
  cp -r "$(go env GOMODCACHE)/$module@$version" "$work/src"
  chmod -R u+w "$work/src"
  mkdir -p "$config/cli-plugins"
  (cd "$work/src" && go build -trimpath -ldflags "-s -w -X $module/internal.Version=$version" -o "$plugin.partial" ./cmd)
  mv "$plugin.partial" "$plugin"
fi
echo "$config"

#!/bin/sh
# Makes a site to try things on, and a PostgreSQL of its own with its database: ./site.sh start, ./site.sh stop
set -eu
cd "$(dirname "$0")"
data=/tmp/holdfast-example
bin=$(for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do [ -x "$dir/initdb" ] && echo "$dir"; done | sort -V | tail -1)
[ -n "$bin" ] || bin=$(dirname "$(command -v initdb)")
# PostgreSQL refuses root.
user() { if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"); else "$@"; fi; }
case ${1-} in
  start)
    mkdir -p site/uploads
    [ -e site/wiki.json ] || echo '{ "title": "Wiki" }' >site/wiki.json
    for n in 1 2 3; do echo "picture $n" >"site/uploads/$n.txt"; done
    if [ ! -e "$data/PG_VERSION" ]; then
      user "$bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C >/dev/null
    fi
    user "$bin/pg_ctl" -D "$data" -l "$data/log" -w -o "-c listen_addresses= -c unix_socket_directories=$data" start >/dev/null
    if ! "$bin/psql" -qAt -h "$data" -U postgres -d wiki -c 'SELECT 1' >/dev/null 2>&1; then
      "$bin/createdb" -h "$data" -U postgres wiki
      "$bin/psql" -q -h "$data" -U postgres -d wiki -c "CREATE TABLE pages (id serial PRIMARY KEY, title text, body text); INSERT INTO pages (title, body) SELECT 'Page ' || i, repeat('text ', 100) FROM generate_series(1, 200) i"
    fi
    echo "site/ is ready, and the database wiki with $("$bin/psql" -qAt -h "$data" -U postgres -d wiki -c 'SELECT count(*) FROM pages') pages" ;;
  stop) user "$bin/pg_ctl" -D "$data" -m fast stop >/dev/null ;;
  *) echo "site.sh start | stop" >&2; exit 2 ;;
esac

#!/bin/sh
# A small application: app.sh DIR [stubborn]. Writes its pid to DIR/main.pid and DIR/beat 20 times a second; stubborn
# ignores what asks it to end.
trap 'exit 0' TERM INT
[ "${2:-}" = stubborn ] && trap '' TERM INT
echo $$ >"$1/main.pid"
n=0
while :; do
  n=$((n + 1))
  echo "$$ $n" >"$1/beat"
  sleep 0.05
done

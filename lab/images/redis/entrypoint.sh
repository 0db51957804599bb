#!/bin/bash
# Runs as the user redis, in /data, reachable from other containers: what the official image does.
set -euo pipefail

main() {
  if [[ $1 == -* || $1 == *.conf ]]; then
    set -- redis-server "$@"
  fi
  if [[ $1 == redis-server && $(id -u) == 0 ]]; then
    chown -R redis:redis /data
    exec setpriv --reuid=redis --regid=redis --init-groups "$0" "$@"
  fi
  # Redis refuses clients of other containers as long as no password is set, unless it is told not to.
  if [[ $1 == redis-server ]]; then
    set -- "$@" --bind 0.0.0.0 --protected-mode no
  fi
  exec "$@"
}

main "${@:-redis-server}"

#!/bin/bash
# Initialises an empty data directory from POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and
# /docker-entrypoint-initdb.d, then becomes the server: what the official image does.
set -euo pipefail

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

fail() {
  echo "postgres: $*" >&2
  exit 1
}

# VAR_FILE names a file that holds the value of VAR (docker secrets).
password() {
  if [[ -n ${POSTGRES_PASSWORD_FILE:-} ]]; then
    cat "$POSTGRES_PASSWORD_FILE"
  else
    printf '%s' "${POSTGRES_PASSWORD:-}"
  fi
}

own_data_directory() {
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA"
  chmod 0700 "$PGDATA"
}

initialise() {
  local secret auth=scram-sha-256
  secret=$(password)
  if [[ ${POSTGRES_HOST_AUTH_METHOD:-} == trust ]]; then
    auth=trust
  elif [[ -z $secret ]]; then
    fail 'the database is empty and POSTGRES_PASSWORD is not set'
  fi
  initdb --pgdata="$PGDATA" --username="$user" --pwfile=<(printf '%s\n' "${secret:-unused}") \
    --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8
  printf '\nhost all all all %s\n' "$auth" >>"$PGDATA/pg_hba.conf"
}

# On the socket only, so that no client meets a half-made database.
with_private_server() {
  pg_ctl --pgdata="$PGDATA" --wait --silent --options="-c listen_addresses=''" start
  "$@"
  pg_ctl --pgdata="$PGDATA" --wait --silent --mode=fast stop
}

sql() {
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$user" "$@"
}

create_database() {
  if [[ $database != postgres ]]; then
    sql --dbname=postgres --set=name="$database" <<<'create database :"name"'
  fi
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh) bash "$script" ;;
      *.sql) sql --dbname="$database" --file="$script" ;;
    esac
  done
}

main() {
  if [[ $1 == -* ]]; then
    set -- postgres "$@"
  fi
  if [[ $1 != postgres ]]; then
    exec "$@"
  fi
  if [[ $(id -u) == 0 ]]; then
    own_data_directory
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  if [[ ! -s $PGDATA/PG_VERSION ]]; then
    initialise
    with_private_server create_database
  fi
  shift
  exec postgres -c listen_addresses='*' "$@"
}

main "${@:-postgres}"

#!/bin/bash
# What every verb starts with: a known environment, a log on the host, the report as the last line whatever happens.
# `arguments` is set above this text by the runner: base64 of gzip of records, name and value. Nothing of it is ever
# evaluated, and no JSON reader is needed, which Amazon Linux and Ubuntu do not promise.
set -Eeuo pipefail
# The agent gives no HOME, and a PATH without /snap/bin; LC_ALL=C makes lengths bytes, as the service cuts them.
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin LC_ALL=C
umask 077

declare -A arg=()
while IFS= read -r -d $'\x1e' record; do
  arg[${record%%$'\x1f'*}]=${record#*$'\x1f'}
done < <(base64 -d <<<"$arguments" | gzip -dc)

readonly app=${arg[app]} environment=${arg[environment]} project=${arg[project]} verb=${arg[verb]}
readonly slot=${arg[slot]-} release=${arg[release]-}
readonly base=/opt/ec2-compose-deploy/$app/$environment
# The service's merged output keeps 2,500 bytes of both streams; the report, `@@report ` included, stays below 2,000.
readonly report_bytes=1985 stderr_bytes=4000

problems=() containers=() pinned=()
declare -A facts=()
child='' failed_at='' scratch='' told=0
compose=()

# problem CODE MESSAGE [CAUSE] [FIX] [WHERE]
problem() {
  local field text=''
  for field in "$1" "${2-}" "${3-}" "${4-}" "${5-}"; do
    field=${field//[$'\n\r\t']/ }
    text+=${field//[^ -~]/?}$'\x1f'
  done
  problems+=("$text")
  echo "problem: $*"
}

fact() { facts[$1]=$2; }

# tell TEXT: for the reader of the job's log, on stderr, within a budget for the whole run.
tell() {
  local text=${1:0:$((stderr_bytes - told))}
  told=$((told + ${#text}))
  [[ -z $text ]] || printf '%s\n' "$text" >&4
}

# json TEXT [LIMIT]: a JSON string in ASCII, cut before it is escaped.
json() {
  local text=${1//[$'\n\r\t']/ }
  text=${text//[^ -~]/?}
  text=${text:0:${2-200}}
  text=${text//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

join() {
  local IFS=,
  printf '%s' "$*"
}

# render_problem ROW LIMIT
render_problem() {
  local code message cause fix where
  IFS=$'\x1f' read -r code message cause fix where <<<"$1"
  printf '{"code":%s,"message":%s' "$(json "$code")" "$(json "$message" "$2")"
  [[ -z $cause ]] || printf ',"cause":%s' "$(json "$cause" "$2")"
  [[ -z $fix ]] || printf ',"fix":%s' "$(json "$fix" "$2")"
  [[ -z ${where%$'\x1f'} ]] || printf ',"where":%s' "$(json "${where%$'\x1f'}" 60)"
  printf '}'
}

render_facts() {
  local name rows=()
  for name in "${!facts[@]}"; do
    if [[ ${facts[$name]} =~ ^(0|-?[1-9][0-9]{0,14}|true|false)$ ]]; then
      rows+=("$(json "$name" 40):${facts[$name]}")
    else
      rows+=("$(json "$name" 40):$(json "${facts[$name]}" 80)")
    fi
  done
  join "${rows[@]}"
}

# render LIMIT COUNT: texts of at most LIMIT characters, lists of at most COUNT entries.
render() {
  local limit=$1 count=$2 ok=true row rows=() current=''
  local shown=$((count > 0 ? count : 1))
  ((${#problems[@]} == 0)) || ok=false
  for row in "${problems[@]:0:shown}"; do rows+=("$(render_problem "$row" "$limit")"); done
  [[ ! -L $base/current ]] || current=$(basename "$(readlink "$base/current")")
  local omitted=$((${#problems[@]} - ${#rows[@]}))
  ((${#containers[@]} <= count)) || omitted=$((omitted + ${#containers[@]} - count))
  ((${#pinned[@]} <= count)) || omitted=$((omitted + ${#pinned[@]} - count))
  ((omitted == 0)) || facts[omitted]=$omitted
  printf '{"v":1,"verb":%s,"ok":%s,"release":%s,"at":%s,"current":%s,' \
    "$(json "$verb")" "$ok" "$(json "$release" 80)" "$(date +%s)" "$(json "$current" 80)"
  printf '"problems":[%s],"containers":[%s],"pinned":[%s],"facts":{%s}}' "$(join "${rows[@]}")" \
    "$(join "${containers[@]:0:count}")" "$(join "${pinned[@]:0:count}")" "$(render_facts)"
}

report() {
  local step text
  for step in '600 99' '300 99' '150 12' '100 8' '80 6' '60 4' '60 2' '40 0'; do
    text=$(render "${step% *}" "${step#* }")
    ((${#text} > report_bytes)) || break
  done
  printf '@@report %s\n' "$text"
}

# 0 or 1 and nothing else: to the agent 137 means a timeout, 168 a success, 169 a failure that skips, 194 a reboot.
finish() {
  local status=$?
  trap '' TERM INT HUP
  set +e
  if ((status != 0 && ${#problems[@]} == 0)); then
    problem HOST_SCRIPT_FAILED "The $verb script ended with status $status." "$failed_at" \
      "Read the newest file in $base/log on the host."
  fi
  local line
  line=$(report)
  echo "$line"
  printf '%s\n' "$line" >&3
  [[ -z $scratch ]] || rm -rf "$scratch"
  ((${#problems[@]} == 0)) || exit 1
  exit 0
}

stopped() {
  problem HOST_INTERRUPTED "The $verb script was stopped by SIG$1 before its end." '' 'Run the deploy again: it repairs what was left half done.'
  [[ -z $child ]] || kill "$child" 2>/dev/null || true
  exit 1
}

# try SECONDS COMMAND...: the command's whole output goes to the log and to $scratch/out. It runs in the background
# because bash answers a signal only between foreground commands. 0 seconds: the command bounds itself.
try() {
  local seconds=$1 status=0
  shift
  echo "+ $*"
  if ((seconds > 0)); then set -- timeout --foreground --kill-after=10 "$seconds" "$@"; fi
  "$@" </dev/null >"$scratch/out" 2>&1 3>&- 4>&- &
  child=$!
  wait "$child" || status=$?
  child=''
  cat "$scratch/out" || true
  ((status != 124)) || echo "timed out after $seconds s" >>"$scratch/out"
  return "$status"
}

pause() {
  sleep "$1" &
  child=$!
  wait "$child" || true
  child=''
}

stop_if_problems() { ((${#problems[@]} == 0)) || exit 1; }

open_log() {
  local file
  file=$base/log/$(date -u +%Y%m%dT%H%M%SZ)-$verb-${release:-none}.log
  exec 3>&1 4>&2
  if mkdir -p "$base/log" 2>/dev/null && { : >>"$file"; } 2>/dev/null; then exec >>"$file" 2>&1; else exec >/dev/null 2>&1; fi
}

# A client configuration that goes away with the run: the registry's password is never kept on the host. Root's own
# one is its start, for the credentials of other registries and for plugins.
use_scratch_docker_config() {
  export DOCKER_CONFIG=$scratch/docker
  mkdir "$DOCKER_CONFIG"
  [[ ! -f /root/.docker/config.json ]] || cp /root/.docker/config.json "$DOCKER_CONFIG/config.json"
  [[ ! -d /root/.docker/cli-plugins ]] || ln -s /root/.docker/cli-plugins "$DOCKER_CONFIG/cli-plugins"
}

# One changing verb at a time for an app and environment: the agent runs five commands at once. Children keep the
# lock, so that what a killed script left running still holds it.
lock() {
  mkdir -p "$base/releases" "$base/slots"
  exec 9>>"$base/lock"
  if ! try 0 flock --wait "${arg[lockSeconds]}" 9; then
    problem HOST_BUSY "Another deploy of $app/$environment works on this host." "$(head -c 200 "$base/lock")" 'Wait for it to end, or stop it.'
    exit 1
  fi
  echo "$verb ${release:-none} since $(date -u +%FT%TZ)" >"$base/lock"
}

# table NAME: an argument with a row a line; an empty one has no rows.
table() { [[ -z ${arg[$1]} ]] || printf '%s\n' "${arg[$1]}"; }

# write_file PATH: stdin, whole or not at all.
write_file() {
  cat >"$1.tmp"
  mv -f "$1.tmp" "$1"
}

# container_ids PROJECT [FILTER...]
container_ids() {
  local filters=() filter
  for filter in "com.docker.compose.project=$1" com.docker.compose.oneoff=False "${@:2}"; do filters+=(--filter "label=$filter"); done
  docker ps --all --quiet --no-trunc "${filters[@]}"
}

# compose_for RELEASE PROJECT MODEL: sets `compose`, the command line that all calls of this model share.
compose_for() {
  local directory=$base/releases/$1 file
  compose=(env "DEPLOY_RELEASE=$1" "DEPLOY_COMMIT=$(cat "$directory/host/commit")" "DEPLOY_ENVIRONMENT=$environment"
    "DEPLOY_SLOT=$slot" docker compose --ansi never -p "$2" --project-directory "$directory/files")
  local files=()
  while read -r file; do files+=(--env-file "$directory/files/$file"); done <"$directory/host/env-files"
  # Without any, compose would read a .env that happens to lie there.
  ((${#files[@]} > 0)) || files=(--env-file /dev/null)
  compose+=("${files[@]}" -f "$directory/$3")
}

need_release() {
  [[ -f $base/releases/$1/host/services ]] && return
  problem HOST_RELEASE_MISSING "The host does not have release $1." '' 'Prepare it on this host first.'
  exit 1
}

begin() {
  trap finish EXIT
  trap 'failed_at="${FUNCNAME[0]-main}: $BASH_COMMAND"' ERR
  trap 'stopped TERM' TERM
  trap 'stopped INT' INT
  trap 'stopped HUP' HUP
  open_log
  # In memory: a full disk must not take the report away.
  scratch=$(mktemp -d -p /run 2>/dev/null || mktemp -d)
  use_scratch_docker_config
}

begin

#!/bin/bash
# prepare: everything that can fail before anything changes. All findings at once.

readonly config_seconds=60

check_ports() {
  command -v docker >/dev/null || return 0
  local service port holder holder_fix
  while IFS='|' read -r service port; do
    if port_holder "$port"; then
      problem HOST_PORT_TAKEN "Port $port, which $service needs in slot $slot, is held by $holder." '' "Free the port ($holder_fix), or choose another one." "$service"
    fi
  done < <(table ports)
}

# Without a look at its architecture: it holds files, and nothing of it ever runs.
pull_bundle() {
  if [[ -d $base/releases/$release ]] || has_image "${arg[bundle]}"; then return 0; fi
  if login; then pull "${arg[bundle]}" || true; fi
  stop_if_problems
}

# Under a name of its own first: a directory in releases/ is whole.
extract_bundle() {
  local target=$base/releases/$release part=$base/releases/.part-$release id
  [[ ! -d $target ]] || return 0
  rm -rf "$part"
  mkdir -p "$part"
  # Nothing runs in it; an image without a command wants one to be created.
  if ! try 60 docker create --pull never "${arg[bundle]}" none; then
    docker_problem HOST_BUNDLE_FAILED 'The bundle cannot be unpacked'
    return 1
  fi
  id=$(tail -n 1 "$scratch/out")
  if ! try 300 docker cp "$id:/release/." "$part"; then docker_problem HOST_BUNDLE_FAILED 'The bundle cannot be unpacked'; fi
  docker rm "$id" || true
  stop_if_problems
  mkdir -p "$part/files"
  mv -T "$part" "$target"
}

# What the later verbs need to know of this release, in files that need no JSON reader.
write_tables() {
  local directory=$base/releases/$release/host name
  mkdir -p "$directory"
  for name in env-files resources commit bundle services; do table "$name" | write_file "$directory/$name"; done
}

# provided NAME: does one of the env files have a line for it?
provided() {
  local file
  while read -r file; do
    grep -Eqs "^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*[=:]" "$base/releases/$release/files/$file" && return 0
  done <"$base/releases/$release/host/env-files"
  return 1
}

check_variables() {
  local name missing=()
  while read -r name; do
    case $name in DEPLOY_RELEASE | DEPLOY_COMMIT | DEPLOY_ENVIRONMENT | DEPLOY_SLOT) continue ;; esac
    provided "$name" || missing+=("$name")
  done < <(table variables)
  ((${#missing[@]} > 0)) || return 0
  problem HOST_VARIABLE_MISSING "The compose file needs ${missing[*]}, which neither the bundle nor the host provides." '' 'Give them in an env-file.'
  return 1
}

check_models() {
  compose_for "$release" "$project" shared.json
  try "$config_seconds" "${compose[@]}" config -q || docker_problem HOST_COMPOSE_FAILED 'docker compose on this host refuses the shared model'
  compose_for "$release" "$project-$slot" "slot-$slot.json"
  try "$config_seconds" "${compose[@]}" config -q || docker_problem HOST_COMPOSE_FAILED "docker compose on this host refuses the model of slot $slot"
}

report_pinned() {
  local name
  compare_pinned "$release"
  pinned_facts missing "${pinned_missing[@]}"
  pinned_facts changed "${pinned_changed[@]}" "${pinned_refused[@]}"
  for name in "${pinned_refused[@]}"; do
    problem PINNED_SERVICE_CHANGED "The pinned service $name runs with another definition and keeps data: a deploy does not recreate it." \
      '' "Change it by hand at a quiet time, or say x-ec2-compose-deploy: {recreate: true} on it." "$name"
  done
}

# Rolled images, and those of pinned services that will have to start.
images_to_pull() {
  local name role image _rest
  while IFS='|' read -r name role image _rest; do
    if [[ $role == rolled || " ${pinned_missing[*]} ${pinned_changed[*]} " == *" $name "* ]]; then printf '%s\n' "$image"; fi
  done <"$base/releases/$release/host/services"
}

# What a release consists of, its own name aside.
fingerprint() {
  (cd "$1" && find . -path ./host -prune -o -type f ! -path ./release.json -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}

report_sameness() {
  local current=$base/current
  if [[ -d $current && $(fingerprint "$current/") == "$(fingerprint "$base/releases/$release")" ]]; then fact sameAsCurrent true; fi
}

check_requirements
check_ports
stop_if_problems
lock
mapfile -t in_slot < <(container_ids "$project-$slot")
fact slotContainers "${#in_slot[@]}"
pull_bundle
extract_bundle
write_tables
if check_variables; then check_models; fi
report_pinned
report_sameness
images_to_pull >"$scratch/images"
pull_missing <"$scratch/images"

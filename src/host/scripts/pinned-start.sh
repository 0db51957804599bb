#!/bin/bash
# Starting pinned services, and the networks and volumes that the slots share with them.

# A database recovers its journal before it answers; two minutes is what compose's own examples allow at most.
readonly pinned_health_seconds=120 pinned_up_seconds=300

# ensure_resources RELEASE: the slots take the shared networks and volumes as external, so they have to exist. Compose
# creates them for a service that uses them and is never started. What exists is not looked at again: newer compose
# would take running containers off a network whose definition changed.
ensure_resources() {
  local kind key name image networks=() volumes=()
  while IFS='|' read -r kind key name; do
    docker "$kind" inspect "$name" >/dev/null 2>&1 && continue
    if [[ $kind == network ]]; then networks+=("$(json "$key")"); else volumes+=("$(json "$key:/resources/$key")"); fi
  done <"$base/releases/$1/host/resources"
  ((${#networks[@]} + ${#volumes[@]} > 0)) || return 0
  image=$(awk -F'|' '$2 == "rolled" { print $3; exit }' "$base/releases/$1/host/services")
  printf '{"services":{"deploy-resources":{"image":%s,"command":["true"],"volumes":[%s]%s}}}' "$(json "$image" 300)" "$(join "${volumes[@]}")" \
    "${networks[0]+,\"networks\":[$(join "${networks[@]}")]}" >"$scratch/resources.json"
  compose_for "$1" "$project" shared.json
  if ! try "$pinned_up_seconds" "${compose[@]}" -f "$scratch/resources.json" create --pull never --no-build deploy-resources; then
    docker_problem HOST_COMPOSE_FAILED "Creating the shared networks and volumes of $project failed"
  fi
  container_ids "$project" com.docker.compose.service=deploy-resources | xargs -r docker rm -f || true
  stop_if_problems
}

# start_pinned RELEASE: missing ones are started, changed ones recreated, the rest is not touched.
start_pinned() {
  compare_pinned "$1"
  compose_for "$1" "$project" shared.json
  if ((${#pinned_missing[@]} > 0)); then
    up_pinned --no-recreate "${pinned_missing[@]}"
    pinned_facts started "${pinned_missing[@]}"
  fi
  if ((${#pinned_changed[@]} > 0)); then
    up_pinned --force-recreate "${pinned_changed[@]}"
    pinned_facts recreated "${pinned_changed[@]}"
  fi
  pinned_facts changed "${pinned_refused[@]}"
  wait_for_pinned "${pinned_missing[@]}" "${pinned_changed[@]}"
}

# up_pinned OPTION SERVICE...
up_pinned() {
  try "$pinned_up_seconds" "${compose[@]}" up -d --no-deps --no-build --pull never "$1" "${@:2}" && return
  docker_problem HOST_COMPOSE_FAILED "Starting the pinned services ${*:2} failed"
  exit 1
}

wait_for_pinned() {
  local name id deadline=$((SECONDS + pinned_health_seconds)) health
  for name in "$@"; do
    for id in $(container_ids "$project" "com.docker.compose.service=$name"); do
      while health=$(docker inspect --format '{{with .State.Health}}{{.Status}}{{end}}' "$id") && [[ $health == starting || $health == unhealthy ]]; do
        if ((SECONDS >= deadline)); then
          problem HOST_PINNED_UNHEALTHY "The pinned service $name did not become healthy within $pinned_health_seconds s." \
            "$(docker logs --tail 2 "$id" 2>&1 | tail -c 300)" "Look at docker logs ${id:0:12} on the host." "$name"
          break
        fi
        pause 1
      done
    done
  done
  stop_if_problems
}

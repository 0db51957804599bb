#!/bin/bash
# Pinned services: databases and the like, which a deploy starts where they are missing and otherwise leaves alone.

pinned_missing=() pinned_changed=() pinned_refused=()

pinned_fact() { pinned+=("{\"service\":$(json "$1" 63),\"state\":\"$2\"}"); }

# pinned_state SERVICE DEFINITION: missing, same or changed.
pinned_state() {
  local id running found state=missing
  for id in $(container_ids "$project" "com.docker.compose.service=$1"); do
    IFS='|' read -r running found < <(docker inspect --format '{{.State.Running}}|{{index .Config.Labels "ec2-compose-deploy.definition"}}' "$id")
    if [[ $found != "$2" ]]; then echo changed && return; fi
    if [[ $running == true ]]; then state=same; else echo missing && return; fi
  done
  echo "$state"
}

# compare_pinned RELEASE: sets pinned_missing, pinned_changed (may be recreated) and pinned_refused.
compare_pinned() {
  local name role _image definition stateful recreate _rest state
  pinned_missing=() pinned_changed=() pinned_refused=()
  while IFS='|' read -r name role _image definition stateful recreate _rest; do
    [[ $role == pinned ]] || continue
    state=$(pinned_state "$name" "$definition")
    case $state in
      missing) pinned_missing+=("$name") ;;
      changed) if [[ $stateful == false || $recreate == true ]]; then pinned_changed+=("$name"); else pinned_refused+=("$name"); fi ;;
      *) pinned_fact "$name" same ;;
    esac
  done <"$base/releases/$1/host/services"
}

# pinned_facts STATE SERVICE...
pinned_facts() {
  local name
  for name in "${@:2}"; do pinned_fact "$name" "$1"; done
}

#!/bin/bash
# Putting a release into a slot.

# up_slot RELEASE: the slot runs this release and nothing else. Run twice, the second changes nothing.
up_slot() {
  local before after
  need_release "$1"
  lock
  awk -F'|' '$2 == "rolled" { print $3 }' "$base/releases/$1/host/services" >"$scratch/images"
  pull_missing <"$scratch/images"
  stop_if_problems
  ensure_resources "$1"
  start_pinned "$1"
  before=$(container_ids "$project-$slot" | sort)
  # Before the change: what is half done must name the release that it may run.
  echo "$1" | write_file "$base/slots/$slot"
  compose_for "$1" "$project-$slot" "slot-$slot.json"
  if ! try "${arg[upSeconds]}" "${compose[@]}" up -d --no-build --pull never --remove-orphans; then
    docker_problem HOST_COMPOSE_FAILED "docker compose up failed for release $1 in slot $slot"
  fi
  after=$(container_ids "$project-$slot" | sort)
  if [[ $before == "$after" ]]; then fact changed false; else fact changed true; fi
  fact swappedAt "$(date +%s)"
  report_slot "$slot" "$1"
}

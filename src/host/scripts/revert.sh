#!/bin/bash
# revert: the slot runs the release it is given; given none, there was nothing before and the slot is emptied.

readonly down_seconds=300

empty_slot() {
  lock
  fact nothingToGoBackTo true
  # By name alone: the model may be the very thing that is broken. Volumes stay.
  if ! try "$down_seconds" docker compose --ansi never -p "$project-$slot" down --remove-orphans; then
    docker_problem HOST_COMPOSE_FAILED "docker compose down failed for slot $slot"
  fi
  rm -f "$base/slots/$slot"
  report_slot "$slot" none
}

if [[ -n $release ]]; then up_slot "$release"; else empty_slot; fi

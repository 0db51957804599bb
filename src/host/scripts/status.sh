#!/bin/bash
# status: what is here. Changes nothing.

report_disk() {
  local directory
  directory=$(docker info --format '{{.DockerRootDir}}')
  fact diskFreeMegabytes "$(free_megabytes "$directory")"
  fact diskMegabytes "$(df -Pm "$directory" | awk 'NR == 2 { print $2 }')"
}

report_status() {
  local name runs current
  for name in blue green; do
    runs=$(slot_release "$name")
    [[ -z $runs ]] || fact "slot-$name" "$runs"
    report_slot "$name" "${runs:-none}"
  done
  current=$(readlink "$base/current" || true)
  current=${current#releases/}
  [[ -n $current && -f $base/releases/$current/host/services ]] || return 0
  compare_pinned "$current"
  for name in "${pinned_missing[@]}"; do pinned_fact "$name" missing; done
  for name in "${pinned_changed[@]}" "${pinned_refused[@]}"; do pinned_fact "$name" changed; done
}

if try 30 docker version --format '{{.Server.Version}}'; then
  fact docker "$(tail -n 1 "$scratch/out")"
  report_disk
  report_status
else
  docker_problem HOST_DOCKER_DOWN 'The Docker daemon does not answer'
fi

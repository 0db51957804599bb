#!/bin/bash
# status: what is here. Changes nothing.

report_disk() {
  local directory
  directory=$(docker info --format '{{.DockerRootDir}}')
  fact diskFreeMegabytes "$(df -Pm "$directory" | awk 'NR == 2 { print $4 }')"
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
  pinned_facts missing "${pinned_missing[@]}"
  pinned_facts changed "${pinned_changed[@]}" "${pinned_refused[@]}"
}

if try 30 docker version --format '{{.Server.Version}}'; then
  fact docker "$(tail -n 1 "$scratch/out")"
  report_disk
  report_status
else
  problem HOST_DOCKER_DOWN 'The Docker daemon does not answer.' "$(tail -n 2 "$scratch/out")" 'systemctl enable --now docker'
fi

#!/bin/bash
# commit: the release is the current one; what no release needs any more is removed. Best effort: a failed prune never
# turns a good deploy red.

readonly log_files=50

move_current() {
  [[ -d $base/releases/$release ]] || return 1
  ln -sfn "releases/$release" "$base/current.tmp" && mv -fT "$base/current.tmp" "$base/current"
}

mount_sources() {
  local ids
  mapfile -t ids < <(docker ps --all --quiet)
  ((${#ids[@]} == 0)) || docker inspect --format '{{range .Mounts}}{{println .Source}}{{end}}' "${ids[@]}" || true
}

# kept RELEASE: does something still point to it?
kept() {
  [[ $(readlink "$base/current") == "releases/$1" ]] && return 0
  grep -qxsF "$1" "$base"/slots/* && return 0
  grep -qF "$base/releases/$1/" "$scratch/mounts"
}

prune_releases() {
  local name pruned=0
  mount_sources >"$scratch/mounts"
  while read -r name; do
    if kept "$name"; then continue; fi
    if rm -rf "${base:?}/releases/$name"; then pruned=$((pruned + 1)); fi
  done < <(find "$base/releases" -mindepth 1 -maxdepth 1 -type d ! -name '.*' -printf '%f\n' | sort -r | tail -n "+$((arg[keep] + 1))")
  find "$base/releases" -mindepth 1 -maxdepth 1 -name '.part-*' -exec rm -rf {} + || true
  fact prunedReleases "$pruned"
}

# References that a release of any app on this host still names; repositories may be shared.
referenced() { cat /opt/ec2-compose-deploy/*/*/releases/*/host/{services,bundle} 2>/dev/null || true; }

prune_images() {
  local repository digest pruned=0
  referenced >"$scratch/referenced"
  while read -r repository; do
    while read -r digest; do
      if [[ $digest != sha256:* ]] || grep -qF "$repository@$digest" "$scratch/referenced"; then continue; fi
      # Never by force: Docker refuses where a container uses it.
      if docker rmi "$repository@$digest"; then pruned=$((pruned + 1)); fi
    done < <(docker image ls --digests --format '{{.Digest}}' "$repository" | sort -u)
  done < <(table repositories)
  fact prunedImages "$pruned"
}

prune_logs() {
  find "$base/log" -type f -name '*.log' -printf '%f\n' | sort -r | tail -n "+$((log_files + 1))" | while read -r name; do rm -f "$base/log/$name"; done
}

lock
move_current || fact warning 'current was not moved'
prune_releases || fact warning 'old releases were not removed'
prune_images || fact warning 'old images were not removed'
prune_logs || true

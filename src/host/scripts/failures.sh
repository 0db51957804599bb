#!/bin/bash
# What Docker and compose say when they fail, and what it means.

# decisive_lines: of $scratch/out, the lines that say why; its last lines where none does.
decisive_lines() {
  local lines
  lines=$(grep -iE 'error|fail|denied|unhealthy|exited|invalid|cannot|no such|not found|unknown|required|timed out' "$scratch/out" | tail -n 3) || true
  [[ -n $lines ]] || lines=$(tail -n 3 "$scratch/out")
  printf '%s' "${lines:0:500}"
}

output_has() { grep -qiE "$1" "$scratch/out"; }

# port_holder PORT: sets `holder` and `holder_fix`; fails where nothing but the slot $1's own project has the port.
port_holder() {
  local port=$1 name owner process
  while IFS='|' read -r name owner; do
    [[ $owner != "$project-$slot" || -z $slot ]] || return 1
    holder="the container $name${owner:+ of the compose project $owner}"
    holder_fix="docker rm -f $name"
    [[ -z $owner ]] || holder_fix="docker compose -p $owner stop"
    return 0
  done < <(docker ps --filter "publish=$port/tcp" --format '{{.Names}}|{{.Label "com.docker.compose.project"}}')
  # 0A is LISTEN.
  awk -v port="$(printf ':%04X' "$port")" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null || return 1
  process=$(ss -Hltnp "sport = :$port" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (pid \2)/p' | head -n 1) || true
  holder="the process ${process:-of another program}"
  holder_fix="stop ${process:-it}, see ss -ltnp 'sport = :$port'"
}

port_problem() {
  local holder='something else' holder_fix="see ss -ltnp 'sport = :$1'"
  port_holder "$1" || true
  problem HOST_PORT_TAKEN "Port $1 of the host is held by $holder." "${2-}" "Free the port ($holder_fix), or choose another one."
}

disk_problem() {
  local directory
  directory=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || directory=/var/lib/docker
  problem HOST_DISK_FULL "No space left on device: $directory has $(free_megabytes "$directory") MB free." "${1-}" \
    'Remove what is not used (docker system prune -a), or enlarge the volume.'
}

free_megabytes() { df -Pm "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }

# docker_problem CODE WHAT: names the failure whose output is in $scratch/out; CODE and WHAT where no rule fits.
docker_problem() {
  local cause port
  cause=$(decisive_lines)
  if output_has 'no space left on device'; then disk_problem "$cause"
  elif output_has 'port is already allocated|address already in use'; then
    port=$(sed -nE 's/.*:([0-9]+)(\/tcp)?( failed)?: .*(port is already allocated|address already in use).*/\1/p' "$scratch/out" | head -n 1)
    port_problem "${port:-0}" "$cause"
  elif output_has 'cannot connect to the docker daemon|is the docker daemon running'; then
    problem HOST_DOCKER_DOWN 'The Docker daemon does not answer.' "$cause" 'systemctl restart docker'
  elif output_has 'exec format error|no matching manifest for|does not match the detected host platform'; then
    problem HOST_ARCHITECTURE "$2: the image is not for this host's architecture, $(uname -m)." "$cause" 'Build for the platform of the hosts (input platforms).'
  elif output_has 'required variable .* is missing'; then
    problem HOST_VARIABLE_MISSING "$2: a required variable has no value." "$cause" 'Give it in an env-file.'
  else
    problem "$1" "$2." "$cause"
  fi
}

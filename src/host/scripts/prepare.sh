#!/bin/bash
# prepare: everything that can fail before anything changes. All findings at once.

readonly config_seconds=60 minimum_compose=2.20

os_id() { sed -n 's/^ID="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release 2>/dev/null || true; }

# install_hint docker|compose|aws
install_hint() {
  local plugins=/usr/local/lib/docker/cli-plugins
  case $1:$(os_id) in
    docker:amzn) echo 'dnf install -y docker && systemctl enable --now docker' ;;
    docker:ubuntu | docker:debian) echo 'apt-get update && apt-get install -y docker.io' ;;
    docker:*) echo 'Install Docker Engine: https://docs.docker.com/engine/install/' ;;
    compose:ubuntu) echo 'apt-get update && apt-get install -y docker-compose-v2' ;;
    compose:debian) echo 'apt-get update && apt-get install -y docker-compose (Debian 13), or docker-compose-plugin from the repository of Docker' ;;
    compose:*) echo "mkdir -p $plugins && curl -fsSL https://github.com/docker/compose/releases/latest/download/docker-compose-linux-$(uname -m) -o $plugins/docker-compose && chmod +x $plugins/docker-compose" ;;
    aws:amzn) echo 'dnf install -y awscli-2' ;;
    aws:ubuntu) echo 'snap install aws-cli --classic, or apt-get install -y amazon-ecr-credential-helper' ;;
    aws:debian) echo 'apt-get update && apt-get install -y awscli' ;;
    *) echo 'Install the AWS CLI v2 or the Amazon ECR credential helper.' ;;
  esac
}

check_docker() {
  if ! command -v docker >/dev/null; then
    problem HOST_DOCKER_MISSING 'Docker is not installed on the host.' '' "$(install_hint docker)"
    return 1
  fi
  if ! try 30 docker version --format '{{.Server.Version}}'; then
    problem HOST_DOCKER_DOWN 'The Docker daemon does not answer.' "$(decisive_lines)" 'systemctl enable --now docker'
    return 1
  fi
  fact docker "$(tail -n 1 "$scratch/out")"
}

check_compose() {
  local version
  if ! try 30 docker compose version --short; then
    problem HOST_COMPOSE_MISSING 'The compose plugin (docker compose, version 2) is not installed for root.' '' "$(install_hint compose)"
    return 0
  fi
  version=$(tail -n 1 "$scratch/out")
  version=${version#v}
  fact compose "$version"
  if [[ $(printf '%s\n' "$minimum_compose" "$version" | sort -V | head -n 1) != "$minimum_compose" ]]; then
    problem HOST_COMPOSE_MISSING "The compose plugin is $version; $minimum_compose or newer is needed." '' "$(install_hint compose)"
  fi
}

check_registry_client() {
  [[ -n ${arg[registryHost]} ]] || return 0
  command -v aws >/dev/null || command -v docker-credential-ecr-login >/dev/null ||
    problem HOST_AWS_CLI_MISSING 'The host has neither the AWS CLI nor the ECR credential helper.' '' "$(install_hint aws)"
}

check_architecture() {
  local host
  host=$(uname -m)
  fact architecture "$host"
  [[ -z ${arg[architecture]} || ${arg[architecture]} == "$host" ]] ||
    problem HOST_ARCHITECTURE "The images are built for ${arg[architecture]}, this host is $host." '' 'Build for the platform of the hosts (input platforms).'
}

# Docker's own disk, and /opt where the release is extracted to.
check_disk() {
  local docker_root directory free wanted
  docker_root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || docker_root=/var/lib/docker
  for directory in "$docker_root" /opt; do
    wanted=${arg[minimumFreeMegabytes]}
    [[ $directory == "$docker_root" ]] || wanted=$((wanted < 100 ? wanted : 100))
    free=$(free_megabytes "$directory")
    [[ $directory != "$docker_root" ]] || fact diskFreeMegabytes "${free:-0}"
    if [[ -n $free ]] && ((free < wanted)); then
      problem HOST_DISK_FULL "$directory has $free MB free; a deploy wants $wanted MB." '' 'Remove what is not used (docker system prune -a), or enlarge the volume.'
    fi
  done
}

check_ports() {
  local service port holder holder_fix
  while IFS='|' read -r service port; do
    if port_holder "$port"; then
      problem HOST_PORT_TAKEN "Port $port, which $service needs in slot $slot, is held by $holder." '' "Free the port ($holder_fix), or choose another one." "$service"
    fi
  done < <(table ports)
}

preflight() {
  ((EUID == 0)) || problem HOST_NOT_ROOT 'The script does not run as root.' '' 'Run the SSM agent as root.'
  check_architecture
  check_registry_client
  if check_docker; then
    check_compose
    check_ports
  fi
  check_disk
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
  problem HOST_VARIABLE_MISSING "The compose file needs ${missing[*]}, which neither the bundle nor the host provides." '' 'Give them through env-file or env-from.'
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

preflight
lock
[[ -d $base/releases/$release ]] || pull_missing <<<"${arg[bundle]}"
stop_if_problems
extract_bundle
write_tables
if check_variables; then check_models; fi
report_pinned
images_to_pull >"$scratch/images"
pull_missing <"$scratch/images"

#!/bin/bash
# What a host has to have, and how it is installed where it is missing.

# The first with everything that is used here (several --env-file, up --pull never) and without known trouble in them.
readonly minimum_compose=2.20

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
  [[ -n ${arg[needsRegistryClient]} ]] || return 0
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

# Docker's own disk, and the one that releases are extracted to.
check_disk() {
  local docker_root directory free wanted here=/opt
  [[ ! -d $base ]] || here=$base
  docker_root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || docker_root=/var/lib/docker
  for directory in "$docker_root" "$here"; do
    wanted=${arg[minimumFreeMegabytes]}
    [[ $directory == "$docker_root" ]] || wanted=$((wanted < 100 ? wanted : 100))
    free=$(free_megabytes "$directory")
    [[ $directory != "$docker_root" ]] || fact diskFreeMegabytes "${free:-0}"
    if [[ -n $free ]] && ((free < wanted)); then
      problem HOST_DISK_FULL "$directory has $free MB free; a deploy wants $wanted MB." '' 'Remove what is not used (docker system prune -a), or enlarge the volume.'
    fi
  done
}

# check_requirements: what every deploy needs, whatever the release.
check_requirements() {
  ((EUID == 0)) || problem HOST_NOT_ROOT 'The script does not run as root.' '' 'Run the SSM agent as root.'
  check_architecture
  check_registry_client
  if check_docker; then check_compose; fi
  check_disk
}

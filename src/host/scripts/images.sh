#!/bin/bash
# Login and pulls.

# ECR throttles per account and a fleet pulls at the same moment: 2, 4, 8 seconds and up to 2 more by chance.
readonly pull_attempts=4 pull_seconds=900 login_seconds=60

transient() { output_has 'toomanyrequests|too many requests|rate exceeded|throttl|timeout|timed out|connection re(set|fused)|unexpected eof|temporary failure|no such host|(500|502|503|504) (internal|bad gateway|service|gateway)' && ! output_has 'no space left'; }

with_retries() {
  local attempt
  for ((attempt = 1; ; attempt++)); do
    if try "$@"; then return 0; fi
    if ((attempt == pull_attempts)) || ! transient; then return 1; fi
    pause "$((2 ** attempt + RANDOM % 2)).$((RANDOM % 10))"
  done
}

uses_credential_helper() {
  grep -qs ecr-login "$DOCKER_CONFIG/config.json" && return 0
  ! command -v aws >/dev/null && command -v docker-credential-ecr-login >/dev/null
}

# The password is only ever in a variable and a pipe.
aws_login() {
  local password
  password=$(timeout --foreground "$login_seconds" aws ecr get-login-password --region "${arg[registryRegion]}") || return 1
  printf '%s' "$password" | timeout --foreground "$login_seconds" docker login --username AWS --password-stdin "${arg[registryHost]}"
}

logged_in=''

login() {
  if [[ -z ${arg[registryHost]} || -n $logged_in ]]; then return 0; fi
  if uses_credential_helper; then
    grep -qs ecr-login "$DOCKER_CONFIG/config.json" ||
      printf '{"credHelpers":{"%s":"ecr-login"}}' "${arg[registryHost]}" >"$DOCKER_CONFIG/config.json"
    return 0
  fi
  if with_retries 0 aws_login; then logged_in=true && return 0; fi
  problem HOST_REGISTRY_DENIED "The host cannot log in to ${arg[registryHost]}." "$(decisive_lines)" \
    'Give the instance a role with ecr:GetAuthorizationToken and the pull actions on the repository.'
  return 1
}

pull_problem() {
  local cause
  cause=$(decisive_lines)
  if output_has 'no basic auth credentials|denied|unauthorized|forbidden|authorization token has expired'; then
    problem HOST_REGISTRY_DENIED "The registry does not let this host pull $1." "$cause" \
      "Allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository in the instance's role."
  elif output_has 'manifest unknown|name unknown|not found|does not exist'; then
    problem HOST_IMAGE_NOT_FOUND "The registry does not have $1." "$cause" \
      'Check region and repository; a lifecycle policy may have removed or archived the image: build again.'
  else
    docker_problem HOST_PULL_FAILED "Pulling $1 failed"
  fi
}

architecture_problem() {
  local image host
  image=$(docker image inspect --format '{{.Architecture}}' "$1" 2>/dev/null) || return 0
  host=$(uname -m)
  case $host:$image in
    x86_64:arm64 | aarch64:amd64)
      problem HOST_ARCHITECTURE "$1 is built for $image, this host is $host." '' 'Build for the platform of the hosts (input platforms).'
      ;;
  esac
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

pull() {
  has_image "$1" && return 0
  with_retries "$pull_seconds" docker pull --quiet "$1" && return 0
  pull_problem "$1"
  return 1
}

# pull_missing: reads references, a line each, from stdin; logs in only where something has to be pulled.
pull_missing() {
  local reference wanted=()
  while read -r reference; do has_image "$reference" || wanted+=("$reference"); done < <(sort -u)
  ((${#wanted[@]} > 0)) || return 0
  login || return 0
  for reference in "${wanted[@]}"; do
    if pull "$reference"; then architecture_problem "$reference"; fi
  done
}

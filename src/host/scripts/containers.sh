#!/bin/bash
# The containers of a slot as they are now.

readonly container_format='{{.Id}}|{{.Image}}|{{.State.Status}}|{{with .State.Health}}{{.Status}}{{end}}|{{.State.StartedAt}}|{{.RestartCount}}|{{.State.ExitCode}}|{{.State.OOMKilled}}|{{.HostConfig.RestartPolicy.Name}}|{{index .Config.Labels "ec2-compose-deploy.service"}}|{{index .Config.Labels "com.docker.compose.service"}}'

# container_ids PROJECT [FILTER...]
container_ids() {
  local filters=() filter
  for filter in "com.docker.compose.project=$1" com.docker.compose.oneoff=False "${@:2}"; do filters+=(--filter "label=$filter"); done
  docker ps --all --quiet --no-trunc "${filters[@]}"
}

# wanted_image RELEASE SERVICE
wanted_image() { awk -F'|' -v name="$2" '$1 == name { print $3; exit }' "$base/releases/$1/host/services" 2>/dev/null || true; }

# image_digest IMAGE_ID REFERENCE: the reference's digest where the image has it, else its first one, else the id.
image_digest() {
  local digest first=''
  for digest in $(docker image inspect --format '{{range .RepoDigests}}{{.}} {{end}}' "$1" 2>/dev/null); do
    digest=${digest#*@}
    if [[ $2 == *@"$digest" ]]; then printf '%s' "$digest" && return; fi
    first=${first:-$digest}
  done
  printf '%s' "${first:-$1}"
}

# report_slot SLOT RELEASE: adds the containers of the slot to the report, those behind the load balancer first.
report_slot() {
  local id image state health started restarts code oom policy service name row web others=()
  while IFS='|' read -r id image state health started restarts code oom policy service name; do
    service=${service:-$name}
    row=$(printf '{"service":%s,"id":"%s","digest":%s,"state":"%s","health":"%s","startedAt":%s,"restarts":%s,"exitCode":%s}' \
      "$(json "$service" 63)" "${id:0:12}" "$(json "$(image_digest "$image" "$(wanted_image "$2" "$service")")")" \
      "$state" "$health" "$(date -d "$started" +%s 2>/dev/null || echo 0)" "$restarts" "$code")
    echo "container $service: $state $health, restart policy ${policy:-no}, out of memory: $oom"
    web=$(awk -F'|' -v name="$service" '$1 == name { print $8; exit }' "$base/releases/$2/host/services" 2>/dev/null) || true
    if [[ $web == true ]]; then containers+=("$row"); else others+=("$row"); fi
  done < <(inspect_slot "$1")
  containers+=("${others[@]}")
}

inspect_slot() {
  local ids
  ids=$(container_ids "$project-$1") || return 0
  # shellcheck disable=SC2086 # a list of ids
  [[ -z $ids ]] || docker inspect --format "$container_format" $ids || true
}

slot_release() { cat "$base/slots/$1" 2>/dev/null || true; }

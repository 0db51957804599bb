#!/bin/bash
# The containers of a slot as they are now.

# ID, not Id: a name that the typed answer lacks makes Docker fall back to the raw one, where Health may be missing.
readonly container_format='{{.ID}}|{{.Image}}|{{.State.Status}}|{{with .State.Health}}{{.Status}}{{end}}|{{.State.StartedAt}}|{{.RestartCount}}|{{.State.ExitCode}}|{{.State.OOMKilled}}|{{.HostConfig.RestartPolicy.Name}}|{{index .Config.Labels "ec2-compose-deploy.service"}}|{{index .Config.Labels "com.docker.compose.service"}}'

# wanted_image RELEASE SERVICE
wanted_image() { awk -F'|' -v name="$2" '$1 == name { print $3; exit }' "$base/releases/$1/host/services" 2>/dev/null || true; }

# image_digest IMAGE_ID REFERENCE: the reference's digest where the image has it, else its first one, else the id.
image_digest() {
  local digest first=''
  for digest in $(docker image inspect --format '{{range .RepoDigests}}{{.}} {{end}}' "$1" 2>/dev/null); do
    digest=${digest#*@}
    if [[ $2 == *@"$digest" ]]; then first=$digest && break; fi
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
      "$state" "$health" "$(seconds_of "$started")" "$restarts" "$code")
    echo "container $service: $state $health, restart policy ${policy:-no}, out of memory: $oom"
    web=$(awk -F'|' -v name="$service" '$1 == name { print $8; exit }' "$base/releases/$2/host/services" 2>/dev/null) || true
    if [[ $web == true ]]; then containers+=("$row"); else others+=("$row"); fi
  done < <(inspect_slot "$1")
  containers+=("${others[@]}")
}

inspect_slot() {
  local ids
  mapfile -t ids < <(container_ids "$project-$1")
  ((${#ids[@]} == 0)) || docker inspect --format "$container_format" "${ids[@]}" || true
}

# seconds_of TIMESTAMP: Docker's year 1, never started, is 0.
seconds_of() {
  local seconds
  seconds=$(date -d "$1" +%s 2>/dev/null) || seconds=0
  echo $((seconds > 0 ? seconds : 0))
}

slot_release() { cat "$base/slots/$1" 2>/dev/null || true; }

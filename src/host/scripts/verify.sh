#!/bin/bash
# verify: are the containers of the slot the ones that were deployed, and do they run?

readonly log_lines=15 log_bytes=1200

show_log() { tell "$2: $(docker logs --tail "$log_lines" "$1" 2>&1 | tail -c "$log_bytes")"; }

last_words() { docker logs --tail 3 "$1" 2>&1 | tail -c 300 || true; }

# A service that did its work and is not to be started again has not failed; one behind the load balancer has.
finished_work() { [[ $1 == exited && $2 == 0 && $3 != always && $3 != unless-stopped && $4 != true ]]; }

check_container() {
  local service=$1 reference=$2 web=$3 id image state code oom policy found cause=''
  IFS='|' read -r id image state _ _ _ code oom policy _ <<<"$4"
  found=$(image_digest "$image" "$reference")
  if [[ $reference == *@* && $found != "${reference#*@}" ]]; then
    problem WRONG_DIGEST "$service runs $found, not ${reference#*@}." '' 'Run the deploy again; something else changed the container.' "$service"
  elif [[ $reference != *@* && $image != "$(docker image inspect --format '{{.Id}}' "$reference" 2>/dev/null)" ]]; then
    problem WRONG_DIGEST "$service runs another image than $reference." '' 'Run the deploy again; something else changed the container.' "$service"
  fi
  if [[ $state == running ]] || finished_work "$state" "$code" "$policy" "$web"; then return 0; fi
  [[ $oom != true ]] || cause='It ran out of memory. '
  cause+=$(last_words "$id")
  show_log "$id" "$service"
  if [[ $state == restarting ]]; then
    problem CONTAINER_RESTARTING "$service restarts in a loop; it exited with $code." "$cause" 'Fix what its last log lines say.' "$service"
  else
    problem CONTAINER_EXITED "$service is $state with exit code $code." "$cause" 'Fix what its last log lines say.' "$service"
  fi
}

inspect_slot "$slot" >"$scratch/containers"
while IFS='|' read -r service reference web; do
  mapfile -t rows < <(awk -F'|' -v name="$service" '$10 == name' "$scratch/containers")
  ((${#rows[@]} > 0)) || problem CONTAINER_MISSING "$service has no container in slot $slot." '' 'Run the deploy again; something removed the container.' "$service"
  for row in "${rows[@]}"; do check_container "$service" "$reference" "$web" "$row"; done
done < <(table images)
report_slot "$slot" "$release"

#!/bin/bash
# verify: are the containers of the slot the ones that were deployed, and do they run?

readonly log_lines=15 log_bytes=1200
# Docker takes a container that stays up for 10 s as started; until then each new start waits twice as long.
readonly settled_seconds=10 loop_restarts=3

show_log() { tell "$2: $(docker logs --tail "$log_lines" "$1" 2>&1 | tail -c "$log_bytes")"; }

last_words() { docker logs --tail 3 "$1" 2>&1 | tail -c 300 || true; }

# A service that did its work and is not to be started again has not failed; one behind the load balancer has.
finished_work() { [[ $1 == exited && $2 == 0 && $3 != always && $3 != unless-stopped && $4 != true ]]; }

# Between two crashes a loop looks like a running container.
loops() { [[ $1 == restarting ]] || { [[ $1 == running ]] && (($2 >= loop_restarts && $(date +%s) - $(seconds_of "$3") < settled_seconds)); }; }

check_container() {
  local service=$1 reference=$2 web=$3 id image state started restarts code oom policy found cause=''
  IFS='|' read -r id image state _ started restarts code oom policy _ <<<"$4"
  found=$(image_digest "$image" "$reference")
  if [[ $reference == *@* && $found != "${reference#*@}" ]]; then
    problem WRONG_DIGEST "$service runs $found, not ${reference#*@}." '' 'Run the deploy again; something else changed the container.' "$service"
  elif [[ $reference != *@* && $image != "$(docker image inspect --format '{{.Id}}' "$reference" 2>/dev/null)" ]]; then
    problem WRONG_DIGEST "$service runs another image than $reference." '' 'Run the deploy again; something else changed the container.' "$service"
  fi
  if loops "$state" "$restarts" "$started"; then
    container_problem CONTAINER_RESTARTING "restarts in a loop: $restarts restarts so far, last exit code $code."
  elif [[ $state != running ]] && ! finished_work "$state" "$code" "$policy" "$web"; then
    container_problem CONTAINER_EXITED "is $state with exit code $code."
  fi
}

# container_problem CODE TEXT: of the container that check_container looks at.
container_problem() {
  [[ $oom != true ]] || cause='It ran out of memory. '
  cause+=$(last_words "$id")
  show_log "$id" "$service"
  problem "$1" "$service $2" "$cause" 'Fix what its last log lines say.' "$service"
}

inspect_slot "$slot" >"$scratch/containers"
while IFS='|' read -r service reference web; do
  mapfile -t rows < <(awk -F'|' -v name="$service" '$10 == name' "$scratch/containers")
  ((${#rows[@]} > 0)) || problem CONTAINER_MISSING "$service has no container in slot $slot." '' 'Run the deploy again; something removed the container.' "$service"
  for row in "${rows[@]}"; do check_container "$service" "$reference" "$web" "$row"; done
done < <(table images)
report_slot "$slot" "$release"

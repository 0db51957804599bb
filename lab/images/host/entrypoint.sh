#!/bin/bash
# Plays an EC2 instance: Docker, a door to the registry on loopback, the SSM agent with the metadata service.
# LAB_GATEWAY, LAB_REGISTRY_PORT, LAB_MIRROR, LAB_ENDPOINT, LAB_REGION, LAB_INSTANCE and LAB_AGENT_* come from the lab.
set -u

mkdir -p /root/.aws
printf '[default]\nregion = %s\nendpoint_url = %s\n' "$LAB_REGION" "$LAB_ENDPOINT" >/root/.aws/config

trap 'kill $(jobs -p) 2>/dev/null; wait' TERM INT

socat "TCP-LISTEN:$LAB_REGISTRY_PORT,bind=127.0.0.1,fork,reuseaddr,backlog=128" "TCP:$LAB_GATEWAY:$LAB_REGISTRY_PORT" &

dockerd --registry-mirror "http://$LAB_MIRROR" --insecure-registry "$LAB_MIRROR" \
  >/var/log/dockerd.log 2>&1 &
daemon=$!
until docker info >/dev/null 2>&1; do
  kill -0 "$daemon" 2>/dev/null || { cat /var/log/dockerd.log; exit 1; }
  sleep 0.1
done

# Its first message to the lab says that the instance is up.
python3 /usr/local/lib/lab/agent.py --server "http://$LAB_GATEWAY:$LAB_AGENT_PORT" --instance "$LAB_INSTANCE" \
  --token "$LAB_AGENT_TOKEN" --region "$LAB_REGION" --account "$LAB_ACCOUNT" >/var/log/ssm-agent.log 2>&1 &

wait

#!/bin/bash
# One instance only, with curl: takes a lease, waits for it in line, keeps it alive while it works, and stops in time.
#   example/with_curl.sh NAME      NAME: what it calls itself in what it prints
name=${1:-me}
url=${SHARED_LOCK_URL:-http://127.0.0.1:8080}
ttl=5

# Seconds since the machine has started: no clock that anybody sets.
now() { cut -d. -f1 /proc/uptime; }

# 201: ours. 202: an hour was not enough. Anything else: no answer, or none that tells.
take() {
  while :; do
    answer=$(curl -sS --max-time 3660 -X POST "$url/lease" -H "x-lease-ttl: ${ttl}s" -H "x-lease-wait: 1h" \
      -d "{\"key\": \"single-instance\", \"value\": \"$name\"}" -w ' %{http_code}')
    lease=${answer% *}
    # After waiting nobody knows when the ttl began, so it counts from the first renewal.
    [ "${answer##* }" = 201 ] && renew && return
    sleep 1
  done
}

# Safe for the ttl, counted from before the request was sent; 1 s less, since these are whole seconds.
renew() {
  local sent status
  sent=$(now)
  status=$(curl -sS --max-time 1 -X POST "$url/keepalive" -d "$lease" -o /dev/null -w '%{http_code}')
  [ "$status" = 204 ] && safe_until=0
  [ "$status" = 200 ] && safe_until=$((sent + ttl - 1))
  [ "$status" = 200 ]
}

trap 'curl -sS --max-time 2 -X POST "$url/release" -d "$lease" -o /dev/null; exit' INT TERM
while :; do
  take
  renew_at=0
  while [ "$(now)" -lt "$safe_until" ]; do
    echo "$name works"
    sleep 0.2
    [ "$(now)" -lt "$renew_at" ] && continue
    renew
    renew_at=$(($(now) + 1))
  done
  echo "$name has lost the lease" >&2
done

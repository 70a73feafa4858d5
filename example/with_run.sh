#!/bin/sh
# An application that knows nothing of locks, run in one instance only.
#   example/with_run.sh NAME      NAME: what it calls itself in what it prints
exec shared-lock run --ttl 5s single-instance -- sh -c '
  while :; do
    echo "$1 works with token $SHARED_LOCK_FENCING_TOKEN"
    sleep 0.2
  done' application "${1:-me}"

#!/bin/busybox sh
# shellcheck shell=dash
# The signer, whose socket the aggregator's group may open too. The program makes a socket that only its own user can open; it is this user who
# lets the group in. Arguments: those of `hearthwatch-provision signer`, without --socket, after the path of the socket.
set -eu
socket=$1
shift
/usr/local/bin/hearthwatch-provision signer --socket "$socket" "$@" &
signer=$!
trap '/bin/busybox kill -TERM "$signer"' TERM INT
# Made in a folder beside and renamed: a socket that is there is ready. One of a signer before is replaced, so it is looked at again and again.
while kill -0 "$signer" 2>/dev/null; do
    if [ -S "$socket" ] && [ "$(/bin/busybox stat -c %a "$socket")" = 600 ]; then /bin/busybox chmod 0660 "$socket"; fi
    /bin/busybox sleep 1 &
    wait $! || true
done
wait "$signer"

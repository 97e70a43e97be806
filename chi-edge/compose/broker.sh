#!/bin/sh
# mosquitto, which reads its access rules and the list of revoked certificates again when they have changed: the aggregator writes both when
# it shuts a home out. Argument: the folder of `hearthwatch-provision init` that is mosquitto's.
set -eu
folder=$1
mosquitto=$(command -v mosquitto || echo /usr/sbin/mosquitto)
state() { cat "$folder/acl" "$folder/ca.crl" | cksum; }

seen=$(state)
"$mosquitto" -c "$folder/mosquitto.conf" &
broker=$!
trap 'kill -TERM "$broker"' TERM INT
while kill -0 "$broker" 2>/dev/null; do
    sleep 2 &
    wait $! || true
    # Each file is replaced in one step, so what is read is whole; between the two there may be a second signal.
    now=$(state) || continue
    if [ "$now" != "$seen" ]; then
        seen=$now
        kill -HUP "$broker"
    fi
done
wait "$broker"

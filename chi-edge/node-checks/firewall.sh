#!/usr/bin/env bash
# Tries a packet filter for real, in network namespaces of its own: a node, an administrator and anybody else on one line.
#   unshare --net --mount firewall.sh NFT-PROGRAM RULES
# Prints a line for each attempt: who, port, open or closed. Port 9000 stands for one that Docker publishes: it is translated to 8883.
set -euo pipefail

nft=$1 rules=$2
admin=203.0.113.7 anybody=198.51.100.9
ip link set lo up
unshare --net sleep 120 &
outside=$!
trap 'kill "$outside" "${servers[@]}" 2>/dev/null || true' EXIT
servers=()
until [[ $(readlink "/proc/$outside/ns/net") != "$(readlink /proc/$$/ns/net)" ]]; do sleep 0.05; done

ip link add eth0 type veth peer name eth1 netns "$outside"
ip address add 203.0.113.1/24 dev eth0
ip link set eth0 up
ip route add 198.51.100.0/24 dev eth0
there() { nsenter --net="/proc/$outside/ns/net" "$@"; }
there ip link set lo up
there ip address add "$admin/24" dev eth1
there ip address add "$anybody/32" dev eth1
there ip link set eth1 up

$nft --file "$rules"
# Twice, as at each reload: nothing may be there twice.
$nft --file "$rules"
$nft add table ip published
$nft add chain ip published prerouting '{ type nat hook prerouting priority dstnat; }'
$nft add rule ip published prerouting tcp dport 9000 redirect to :8883

for port in 22 3000 8443 8883; do
    python3 -c "
import socket
server = socket.create_server(('203.0.113.1', $port))
while True:
    server.accept()[0].close()
" &
    servers+=($!)
done
# Until all listen: the node itself reaches them.
for port in 22 3000 8443 8883; do
    until (exec 3<>"/dev/tcp/203.0.113.1/$port") 2>/dev/null; do sleep 0.05; done
done

for who in admin anybody; do
    for port in 22 3000 8443 8883 9000; do
        there python3 -c "
import socket
try:
    socket.create_connection(('203.0.113.1', $port), 1.0, ('${!who}', 0)).close()
    print('$who $port open')
except OSError:
    print('$who $port closed')
"
    done
done
$nft list table inet hearthwatch | grep -c 'counter packets'

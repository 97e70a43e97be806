#!/usr/bin/env bash
# Makes this node what chi-edge/ansible describes: at the first boot, and whenever it is run again (as root).
#
#   hearthwatch-node-setup [REVISION]     REVISION: another commit from now on
#
# Overridable for tests: HEARTHWATCH_NODE_SETTINGS, HEARTHWATCH_NODE_TRIES.
set -euo pipefail

settings=${HEARTHWATCH_NODE_SETTINGS:-/etc/hearthwatch/node.json}
tries=${HEARTHWATCH_NODE_TRIES:-5}
exec 9>/run/lock/hearthwatch-node-setup
flock 9

if (($#)); then
    [[ $1 =~ ^[0-9a-f]{40}$ ]] || {
        echo "hearthwatch-node-setup: give the 40 digits of a commit, not $1: branches and tags may move." >&2
        exit 2
    }
    python3 - "$settings" "$1" <<'PYTHON'
import json, os, sys
path, revision = sys.argv[1:]
with open(path) as file:
    settings = json.load(file)
with open(path + ".new", "w") as file:
    json.dump(settings | {"hearthwatch_revision": revision}, file)
os.replace(path + ".new", path)
PYTHON
fi

# One setting as text.
setting() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$settings" "$1"; }
repository=$(setting hearthwatch_repository)
revision=$(setting hearthwatch_revision)

# A node of bare metal may have no network yet when it begins.
for ((try = 1; try <= tries; try++)); do
    if HOME=/root LC_ALL=C.UTF-8 ansible-pull --url "$repository" --checkout "$revision" --directory /opt/hearthwatch \
        --inventory localhost, --extra-vars "ansible_connection=local" --extra-vars "@$settings" chi-edge/ansible/node.yml; then
        exit 0
    fi
    echo "hearthwatch-node-setup: try $try of $tries did not succeed; the reason stands above." >&2
    ((try == tries)) || sleep $((try * 15))
done
echo "hearthwatch-node-setup: the node is not set up. Put right what the lines above say, then run: sudo hearthwatch-node-setup" >&2
exit 1

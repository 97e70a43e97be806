#!/usr/bin/env bash
# Brings the keys of `hearthwatch-provision init` into the cluster, as Secrets and ConfigMaps of the namespace hearthwatch:
#
#   secrets.sh KEYS [--webhook FILE] [--print]
#
# KEYS is the folder of `init`. FILE holds the address to which alerts go; without it they go nowhere. --print shows what would be
# sent, secrets among it, and sends nothing. The root keys (tuf/offline) stay where they are. Run again, it replaces what has changed.
set -euo pipefail

usage() { echo "usage: secrets.sh KEYS [--webhook FILE] [--print]" >&2; exit 64; }

keys='' webhook='' print=''
while (($#)); do
    case $1 in
        --webhook) webhook=${2:?the file that holds the address}; shift ;;
        --print) print=1 ;;
        -*) usage ;;
        *) [[ -z $keys ]] || usage; keys=$1 ;;
    esac
    shift
done
[[ $keys ]] || usage
if [[ ! -f $keys/ca/ca.key ]]; then
    echo "secrets.sh: $keys has no ca/ca.key; make it with: hearthwatch-provision init --out $keys --host NAME --host aggregator --host broker" >&2
    exit 66
fi
umask 077
kubectl=${HEARTHWATCH_KUBECTL:-kubectl}

send() {
    if [[ $print ]]; then
        echo ---
        cat
    else
        "$kubectl" apply --server-side --force-conflicts --field-manager=hearthwatch-secrets --filename=-
    fi
}
# Keys go from file to cluster by a pipe: they stand in no argument.
make() { # KIND NAME FILE...
    local kind=$1 name=$2 files=()
    shift 2
    for file in "$@"; do files+=("--from-file=$file"); done
    [[ $kind == configmap ]] || kind="secret generic"
    # shellcheck disable=SC2086
    "$kubectl" create $kind "$name" --namespace hearthwatch "${files[@]}" --dry-run=client --output=yaml | send
}

if [[ ! -f $keys/grafana.password ]]; then
    head -c 24 /dev/urandom | base64 | tr -d '\n' >"$keys/grafana.password"
fi
if [[ -z $webhook ]]; then
    webhook=$(mktemp)
    trap 'rm -f "$webhook"' EXIT
    echo 'https://webhook.invalid/' >"$webhook"
fi

make secret aggregator-keys \
    "$keys"/ca/ca.{crt,key} "$keys"/broker/server.{crt,key} "$keys"/cloud/{http,aggregator}.{crt,key} "$keys"/cloud/ingest.group \
    "$keys"/tuf/online/{snapshot,timestamp}.key "$keys"/tuf/root.json "$keys"/gate/gate.{key,pub} "$keys"/director/director.{key,pub}
make secret signer-keys "$keys"/tuf/signer/{targets.key,state.json} "$keys"/gate/gate.pub
make secret alertmanager-webhook "address=$webhook"
make secret grafana-admin "password=$keys/grafana.password"
make configmap fleet-ca "$keys"/ca/ca.crt
make configmap fleet-metadata "$keys"/tuf/repository/metadata/{1.root,1.targets,1.snapshot,timestamp}.json

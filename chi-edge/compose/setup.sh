#!/usr/bin/env bash
# Makes what compose.yaml needs, once: folders for each service's user, authority and certificates, update keys, configurations, secrets, and the
# first token of the admin API. Run again, it keeps what is there.
#
#   sudo ./setup.sh [--webhook FILE] [--rclone FILE]
#
# FILEs hold the webhook's address for Alertmanager and rclone's configuration; each is copied to secrets/ for its service's user only. Reads .env
# beside this script. COMPOSE names another program than `docker compose`. Root is needed because each service's folder belongs to its user;
# everything that makes a key runs in a container without a network, as the aggregator's user.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
read -r -a compose <<<"${COMPOSE:-docker compose}"
env_file=${HEARTHWATCH_ENV:-$here/.env}
webhook='' rclone=''
fleet=10001 signer=10002

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { say "$2"; exit "$1"; }

while (($#)); do
    case $1 in
        --webhook) webhook=${2:?--webhook needs a FILE} && shift ;;
        --rclone) rclone=${2:?--rclone needs a FILE} && shift ;;
        *) stop 64 "unknown word $1; setup.sh [--webhook FILE] [--rclone FILE]" ;;
    esac
    shift
done

((EUID == 0)) || stop 77 "each service's folder belongs to a user of its own, which only root can arrange; run it with sudo"
[[ -r $env_file ]] || stop 66 "$env_file is not there; copy example.env to it and change what differs"
# Data, not a program: the first = divides, nothing is expanded.
value() { sed -n "s/^$1=//p" "$env_file" | tail -n 1; }
folder=$(value HEARTHWATCH_FOLDER) host=$(value HEARTHWATCH_HOST) port=$(value HEARTHWATCH_API_PORT) corpus=$(value HEARTHWATCH_CORPUS)
[[ $folder == /*[!/]* && $folder != *[[:space:]\"\':]* ]] ||
    stop 78 "HEARTHWATCH_FOLDER must be an absolute path without spaces, quotes and colons, and is \"$folder\"; change it in $env_file"
[[ $host =~ ^[A-Za-z0-9.:-]+$ ]] || stop 78 "HEARTHWATCH_HOST must be the name or address under which homes reach this node, and is \"$host\"; change it in $env_file"
[[ $host != cloud.example ]] || stop 78 "HEARTHWATCH_HOST is still the example; write the name or address of this node into $env_file"
for file in $webhook $rclone; do [[ -r $file ]] || stop 66 "$file cannot be read"; done
if [[ $webhook ]]; then
    address=$(<"$webhook")
    [[ $address =~ ^https?://[A-Za-z0-9._~:/?#@!\$\(\)*+,\;=%-]+$ ]] || stop 78 "$webhook must hold one address that begins with https:// or http://, and nothing else"
fi
if [[ -d $folder && ! -d $folder/keys ]] && other=$(find "$folder" -mindepth 1 -maxdepth 1 -not -name lost+found -print -quit) && [[ $other ]]; then
    stop 73 "$folder holds $other, and nothing that this script made; name an empty folder, or one that is not there, as HEARTHWATCH_FOLDER"
fi
# The services' users read these files of the tree.
if unreadable=$(find "$here" "$here/../monitoring" -not -path '*/.env' \( -type d -not -perm -005 -o -type f -not -perm -004 \) -print -quit) && [[ $unreadable ]]; then
    stop 77 "$unreadable cannot be read by other users, and services are other users; chmod -R go+rX $here $here/../monitoring"
fi

# A folder for one user only.
own() { install -d -m 0700 -o "$1" -g "$1" "$2"; }
# A secret that standard input holds, for one user only; one that is there is kept.
secret() {
    local user=$1 file=$folder/secrets/$2
    [[ -e $file ]] && { cat >/dev/null; return; }
    (umask 077 && cat >"$file.new")
    chown "$user:$user" "$file.new"
    chmod 0400 "$file.new"
    mv "$file.new" "$file"
    say "made $file"
}
# One line of the configuration that is being changed; the key must be there.
line() {
    grep -q "^$1 = " "$changed" || stop 70 "cloud.toml has no key $1: another version of hearthwatch-provision wrote it"
    sed -i "s|^$1 = .*|$1 = $2|" "$changed"
}
in_compose() { (cd "$here" && "${compose[@]}" --env-file "$env_file" --profile tools "$@"); }

install -d -m 0711 "$folder"
install -d -m 0755 "$folder/public"
install -d -m 0711 "$folder/secrets"
own "$fleet" "$folder/keys"
[[ $corpus ]] || install -d -m 0755 -o "$fleet" "$folder/corpus"
install -d -m 0711 "$folder/data"
own "$fleet" "$folder/data/store"
own "$fleet" "$folder/data/broker"
own "$fleet" "$folder/data/backup"
own 10004 "$folder/data/prometheus"
own 10005 "$folder/data/alertmanager"
own 10008 "$folder/data/grafana"
own 10009 "$folder/data/mlflow"

if ! grep -qs '^signer_socket = "/run/hearthwatch/' "$folder/keys/cloud.toml"; then
    names=(--host "$host")
    for name in aggregator broker; do [[ $name == "$host" ]] || names+=(--host "$name"); done
    in_compose run --rm --no-deps provision init --out /data/keys "${names[@]}" >&2
    # Where things are in the containers, and who the broker is there. In one step, so that an interruption leaves no half of it.
    changed=$folder/keys/cloud.toml.new
    cp --preserve "$folder/keys/cloud.toml" "$changed"
    line host '"broker"'
    line data '"/data/store"'
    line corpus '"/data/corpus"'
    line url "\"https://$host:${port:-8443}/tuf/\""
    line signer_socket '"/run/hearthwatch/signer.sock"'
    mv "$changed" "$folder/keys/cloud.toml"
    say "changed $folder/keys/cloud.toml for the containers"
fi
# What is the signer's alone, and what belongs on three media away from here.
if [[ -d $folder/keys/tuf/signer ]]; then
    mv "$folder/keys/tuf/signer" "$folder/signer"
fi
chown -R "$signer:$signer" "$folder/signer"
if [[ -d $folder/keys/tuf/offline ]]; then
    mv "$folder/keys/tuf/offline" "$folder/offline"
    say "$folder/offline holds the three root keys: move each to a medium of its own, away from this node ($folder/keys/tuf/ceremony.txt)"
fi
[[ ! -d $folder/offline ]] || chown -R root:root "$folder/offline"
install -m 0644 "$folder/keys/ca/ca.crt" "$folder/keys/gate/gate.pub" "$folder/public/"

if [[ $webhook ]]; then
    rm -f "$folder/secrets/alertmanager.yml"
else
    address=http://127.0.0.1:9/
    [[ -e $folder/secrets/alertmanager.yml ]] || say "alerts go nowhere: run this again with --webhook FILE"
fi
text=$(<"$here/../monitoring/alertmanager/alertmanager.yml")
secret 10005 alertmanager.yml <<<"${text//"https://webhook.invalid/"/"$address"}"
[[ ! $rclone ]] || { rm -f "$folder/secrets/rclone.conf" && secret "$fleet" rclone.conf <"$rclone"; }
secret "$fleet" rclone.conf </dev/null
secret 10008 grafana.password < <(od -An -N 24 -tx1 /dev/urandom | tr -d ' \n')

if [[ ! -e $folder/admin.token ]]; then
    [[ -s $folder/data/store/admin.token ]] ||
        in_compose run --rm --no-deps aggregator token add admin --role admin --config /data/keys/cloud.toml --file /data/store/admin.token >&2
    mv "$folder/data/store/admin.token" "$folder/admin.token"
    chown root:root "$folder/admin.token"
    say "made $folder/admin.token, the first token of the admin API; only root reads it"
fi
say "ready: ${compose[*]} up -d"

#!/usr/bin/env bash
# Starts Alertmanager with the webhook's address from a file. What comes after the two paths goes to Alertmanager.
#
#   start.sh FILE FOLDER [--storage.path=…]     FILE holds one https or http address; the configuration is written to FOLDER, for its user only
#
# HEARTHWATCH_ALERTMANAGER names the program; Debian calls it prometheus-alertmanager.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
file=${1:?the file that holds the address of the webhook} folder=${2:?the folder for the configuration}
shift 2

address=$(<"$file")
if [[ ! $address =~ ^https?://[A-Za-z0-9._~:/?#@!\$\&\(\)*+,\;=%-]+$ ]]; then
    echo "alertmanager: $file must hold one address that begins with https:// or http://, and nothing else" >&2
    exit 78
fi
umask 077
mkdir -p "$folder"
text=$(<"$here/alertmanager.yml")
printf '%s\n' "${text//"https://webhook.invalid/"/"$address"}" >"$folder/alertmanager.yml"
exec "${HEARTHWATCH_ALERTMANAGER:-prometheus-alertmanager}" --config.file="$folder/alertmanager.yml" "$@"

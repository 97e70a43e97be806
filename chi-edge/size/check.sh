#!/usr/bin/env bash
# Checks the measurements of sizes: ruff, mypy, tests, that the tables on record can be printed, and one short measurement in a container.
# What it installs stays for the next run.
#
#   chi-edge/size/check.sh [FOLDER] [PROGRAMS]     target/size and target/release of the repository without them
#
# The measurement needs root, podman, runc, mosquitto, strip, readelf, and the programs; where one is missing it is left out, and this says so; with
# CI=true that is an error.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd -- "$here/../.." && pwd)
folder=$(mkdir -p "${1:-$tree/target/size}" && cd "${1:-$tree/target/size}" && pwd)
programs=${2:-$tree/target/release}
started=$SECONDS last=$SECONDS
export PYTHONDONTWRITEBYTECODE=1 PATH=$PATH:/usr/sbin

took() {
    printf '=== size: %s: %d.%d min\n' "$1" $(((SECONDS - last) / 60)) $(((SECONDS - last) % 60 / 6))
    last=$SECONDS
}

if ! cmp --silent "$here/requirements.txt" "$folder/venv/requirements.txt"; then
    rm -rf "$folder/venv"
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$folder/venv/requirements.txt"
fi
python=$folder/venv/bin/python
took 'packages'

cd "$here"
bash -n check.sh
"$python" -m ruff check --no-cache .
"$python" -m ruff format --no-cache --check --quiet .
"$python" -m mypy --cache-dir "$folder/mypy"
"$python" -m pytest --basetemp "$folder/pytest"
took 'ruff, mypy and tests'

"$python" measure.py tables >"$folder/tables.md"
"$python" measure.py scale >"$folder/scale.md"
printf 'size: %d lines of tables from the figures on record\n' "$(cat "$folder/tables.md" "$folder/scale.md" | wc -l)"
took 'tables'

missing=()
((EUID == 0)) || missing+=(root)
for program in podman runc mosquitto strip readelf; do command -v "$program" >/dev/null || missing+=("$program"); done
for program in edge cloud provision; do [[ -x $programs/hearthwatch-$program ]] || missing+=("$programs/hearthwatch-$program"); done
if ((${#missing[@]})); then
    echo "size: not measured, for want of ${missing[*]}"
    [[ ${CI:-} != true ]] || exit 69
else
    rm -f "$folder/check.jsonl"
    "$python" measure.py agent --entities 10 --repetitions 1 --programs "$programs" --folder "$folder" --results "$folder/check.jsonl"
    took 'one measurement'
fi
last=$started
took 'all'

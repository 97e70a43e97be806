#!/usr/bin/env bash
# Checks the testbed: ruff, mypy, and its tests against a real Keystone and a real Zun API. What it installs stays for the next run.
#
#   chi-edge/testbed/check.sh [FOLDER] [ARGUMENT OF PYTEST]...     FOLDER: target/testbed of the repository without one
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "${1:-$here/../../target/testbed}" && cd "${1:-$here/../../target/testbed}" && pwd)
shift || true
started=$SECONDS
last=$SECONDS

# How long the part before took, in minutes.
took() {
    printf '=== testbed: %s: %d.%d min\n' "$1" $(((SECONDS - last) / 60)) $(((SECONDS - last) % 60 / 6))
    last=$SECONDS
}

# An environment in FOLDER; the copy of its list says what is installed there.
environment() {
    local place="$folder/$1" list="$2"
    if cmp --silent "$list" "$place/requirements.txt"; then return; fi
    rm -rf "$place"
    python3 -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$list"
    cp "$list" "$place/requirements.txt"
}

environment services "$here/tests/services/requirements.txt" &
services=$!
environment client "$here/tests/requirements.txt"
wait "$services"
took 'packages'

# Built from a copy, since a build writes beside its sources; so the tests run what people install.
rm -rf "$folder/package"
mkdir "$folder/package"
cp -r "$here/pyproject.toml" "$here/src" "$folder/package"
client="$folder/client/bin/python"
"$client" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall "$folder/package"
took 'its own package'

cd "$here"
export PYTHONDONTWRITEBYTECODE=1
"$client" -m ruff check --no-cache .
"$client" -m ruff format --no-cache --check --quiet .
"$client" -m mypy --cache-dir "$folder/mypy"
took 'ruff and mypy'

HEARTHWATCH_TESTBED_SERVICES="$folder/services/bin/python" "$client" -m pytest --basetemp "$folder/pytest" "$@"
took 'tests'
last=$started
took 'all'

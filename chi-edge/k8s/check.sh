#!/usr/bin/env bash
# Checks the Kubernetes form: lints, renders every folder with kubectl, holds each document against Kubernetes' and Argo's schemas and
# against our rules, and runs the programs of its pods. What it installs stays for the next run.
#
#   chi-edge/k8s/check.sh [FOLDER] [ARGUMENT OF PYTEST]...     FOLDER: target/k8s of the repository without one
#
# HEARTHWATCH_RELEASE names the folder of Hearthwatch's programs (target/release without one). Where they or mosquitto are missing, the
# tests that start a fleet from the pods' own commands are left out, and this says so; with CI=true that is an error.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "${1:-$here/../../target/k8s}" && cd "${1:-$here/../../target/k8s}" && pwd)
shift || true
started=$SECONDS
last=$SECONDS

# How long the part before took, in minutes.
took() {
    printf '=== k8s: %s: %d.%d min\n' "$1" $(((SECONDS - last) / 60)) $(((SECONDS - last) % 60 / 6))
    last=$SECONDS
}

if ! python3 -c 'import tarfile; tarfile.data_filter' 2>"$folder/python.log"; then
    echo "check.sh: python3 is older than 3.11.4, which the programs of the pods need; put a newer one first in PATH" >&2
    exit 69
fi
place="$folder/python" list="$here/tests/requirements.txt"
if ! cmp --silent "$list" "$place/requirements.txt"; then
    rm -rf "$place"
    python3 -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$list"
    cp "$list" "$place/requirements.txt"
fi
took 'packages'

cd "$here"
export PYTHONDONTWRITEBYTECODE=1
PATH=$PATH:/usr/sbin
python="$place/bin/python"
bash -n secrets.sh check.sh
"$python" -m yamllint --strict --config-file .yamllint . ../monitoring/kustomization.yaml
"$python" -m ruff check --no-cache .
"$python" -m ruff format --no-cache --check --quiet .
"$python" -m mypy --cache-dir "$folder/mypy"
took 'yamllint, ruff and mypy'

export HEARTHWATCH_KUBECTL=${HEARTHWATCH_KUBECTL:-$place/bin/kubectl}
export HEARTHWATCH_RELEASE=${HEARTHWATCH_RELEASE:-$here/../../target/release}
"$python" -m pytest --basetemp "$folder/pytest" -rs "$@"
took 'tests'
last=$started
took 'all'

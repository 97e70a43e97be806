#!/usr/bin/env bash
# Checks the nodes of the cloud side (terraform, cloud-init, ansible) without Chameleon. What it installs stays for the next run.
#
#   chi-edge/node-checks/check.sh [FOLDER] [ARGUMENT OF PYTEST]...     FOLDER: target/nodes of the repository without one
#
# The playbook and the packet filter are tried for real in a root of Ubuntu 24.04; that needs root, debootstrap, unshare, ip and curl. That
# the services start is tried in the same root, booted by podman and runc. HEARTHWATCH_NODES=files leaves all of this out.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "${1:-$here/../../target/nodes}" && cd "${1:-$here/../../target/nodes}" && pwd)
shift || true
started=$SECONDS
last=$SECONDS

# How long the part before took, in minutes.
took() {
    printf '=== nodes: %s: %d.%d min\n' "$1" $(((SECONDS - last) / 60)) $(((SECONDS - last) % 60 / 6))
    last=$SECONDS
}

# What cannot be checked on this machine, so that nobody overlooks it.
not_run() { printf '!!!\n!!! nodes: NOT RUN: %s\n!!!\n' "$1" >&2; }

tools=$folder/tools
if ! cmp --silent "$here/requirements.txt" "$tools/requirements.txt"; then
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$tools/requirements.txt"
fi
export PATH="$tools/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
took 'packages'

# Whether all these programs are there: `command -v` is content with one of them.
have() {
    local program
    for program in "$@"; do command -v "$program" >/dev/null || return 1; done
}
can_enter_a_root() {
    [[ $(id -u) == 0 ]] && have debootstrap unshare nsenter ip curl && unshare --net --mount true 2>/dev/null
}
if [[ ${HEARTHWATCH_NODES:-} == files ]]; then
    not_run 'the playbook, the packet filter, the schema of cloud-init and the booted node: HEARTHWATCH_NODES=files asks for the files alone'
elif can_enter_a_root; then
    HEARTHWATCH_UBUNTU_TAR=$("$here/ubuntu.sh" "$folder")
    export HEARTHWATCH_UBUNTU_TAR
    took 'a root of Ubuntu 24.04'
    have podman runc losetup || not_run 'the booted node with its services: that needs podman, runc and losetup'
elif [[ ${CI:-} == true ]]; then
    echo "nodes: in CI the playbook has to be tried: run as root, with debootstrap, util-linux, iproute2 and curl installed." >&2
    exit 1
else
    not_run 'the playbook, the packet filter and the schema of cloud-init: they need root, debootstrap, unshare, nsenter, ip and curl'
fi
have terraform ||
    not_run 'terraform fmt and terraform test: terraform is not installed (argument names are checked all the same)'

cd "$here"
ruff check --no-cache .
ruff format --no-cache --check --quiet .
mypy --cache-dir "$folder/mypy"
shellcheck ./*.sh stub-compose/*.sh ../cloud-init/*.sh
took 'ruff, mypy and shellcheck'

cd "$here/../ansible"
export ANSIBLE_HOME="$folder/ansible" XDG_CACHE_HOME="$folder/cache" LC_ALL=C.UTF-8
ansible-lint --offline --profile production --strict -q
ansible-playbook --syntax-check --inventory inventory.example.yml node.yml >/dev/null
took 'ansible-lint and syntax'

cd "$here"
pytest --basetemp "$folder/pytest" "$@"
rm -rf --one-file-system -- "$folder/pytest"
took 'tests'
last=$started
took 'all'

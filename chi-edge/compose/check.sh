#!/usr/bin/env bash
# Checks the cloud side: its files, and then compose.yaml brought up for real with podman and runc, an agent in its container, and an answer that
# arrives. Images are built without a registry, of programs that are here and of Debian's packages.
#
#   check.sh FOLDER PROGRAMS        as root
#
# FOLDER is for what is installed and kept for the next run; PROGRAMS holds hearthwatch-cloud, hearthwatch-provision and hearthwatch-edge
# (target/release). Needs podman, runc, buildah, debootstrap, python3, nsenter, curl. What differs from production is in the file of variables that
# this script writes (images, ports, folder), and: podman has no timer for health checks without systemd, so they are asked for by hand; Grafana is
# not run, since no image of it can be made here.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd -- "$here/../.." && pwd)
(($# == 2)) || { echo "check.sh: two folders are needed, see its first lines" >&2; exit 64; }
folder=$(mkdir -p "$1" && cd "$1" && pwd)
programs=$(cd "$2" && pwd)
packages=(ca-certificates mosquitto prometheus prometheus-alertmanager prometheus-blackbox-exporter prometheus-node-exporter python3-minimal
    libpython3-stdlib sqlite3 rclone busybox-static)
project=hearthwatch-check-$$
started=$SECONDS last=$SECONDS
export PYTHONDONTWRITEBYTECODE=1

say() { printf '%s\n' "$*"; }
took() {
    printf '=== compose: %s: %d.%d min\n' "$1" $(((SECONDS - last) / 60)) $(((SECONDS - last) % 60 / 6))
    last=$SECONDS
}
stop() { say "check.sh: $2" >&2; exit "$1"; }

((EUID == 0)) || stop 77 "making a Debian root and giving folders to users needs root"
for program in podman runc buildah debootstrap python3 nsenter curl readelf; do
    command -v "$program" >/dev/null || PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || stop 69 "$program is missing; apt-get install podman runc buildah debootstrap python3 util-linux curl binutils"
done
for program in hearthwatch-cloud hearthwatch-provision hearthwatch-edge; do
    [[ -x $programs/$program ]] || stop 66 "$programs has no $program; cargo build --release --workspace --bins"
done
PATH=$PATH:/usr/sbin

# An environment of Python; the copy of its list says what is installed there.
environment() {
    cmp --silent "$here/check/requirements.txt" "$folder/venv/requirements.txt" && return
    rm -rf "$folder/venv"
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$here/check/requirements.txt"
    cp "$here/check/requirements.txt" "$folder/venv/requirements.txt"
}

# Debian with the programs of others, by the names that their own images give them.
rootfs() {
    local root=$folder/work/root link
    [[ -r $root/.made && $(<"$root/.made") == "${packages[*]}" ]] && return
    # shellcheck source=../../tests/home-assistant/mirror.sh
    source "$tree/tests/home-assistant/mirror.sh"
    rm -rf --one-file-system -- "$root"
    debootstrap --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" bookworm "$root" "$(mirror)" >"$folder/debootstrap.log" 2>&1 ||
        { tail -n 5 "$folder/debootstrap.log" >&2; stop 70 "no Debian root could be made; HEARTHWATCH_DEBIAN_MIRROR names another archive"; }
    for link in prometheus-alertmanager:alertmanager prometheus-blackbox-exporter:blackbox_exporter prometheus-node-exporter:node_exporter busybox:wget; do
        ln -s "${link%:*}" "$root/usr/bin/${link#*:}"
    done
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
    echo "${packages[*]}" >"$root/.made"
    podman image rm --force "hearthwatch-others:$tag" >/dev/null 2>&1 || true
}

files() {
    local name
    cp "$here/example.env" "$folder/example.env"
    sed -i 's/^HEARTHWATCH_CUDA_IMAGE=.*/&registry.example\/hearthwatch-aggregator:0.1.0-cuda/' "$folder/example.env"
    "$python" -m ruff check --no-cache --config "$here/check/ruff.toml" "$here/check"
    "$python" -m ruff format --no-cache --config "$here/check/ruff.toml" --check --quiet "$here/check"
    "$python" -m mypy --strict --cache-dir "$folder/mypy" "$here"/check/*.py
    "$python" -m pytest -q -p no:cacheprovider --basetemp "$folder/pytest" "$here/check"
    # As Compose reads them: the rules of the Compose specification, and a linter of its safety.
    "$python" -m podman_compose --env-file "$folder/example.env" -f "$here/compose.yaml" --profile mlflow --profile backup --profile tools config >"$folder/config.yaml"
    "$python" -m podman_compose --env-file "$folder/example.env" -f "$here/compose.yaml" -f "$here/compose.gpu.yaml" config >"$folder/config.gpu.yaml"
    for name in config config.gpu; do
        "$python" -c 'import sys, compose_spec; print(f"{sys.argv[1]}: {compose_spec.PyCompose.from_yaml(open(sys.argv[1]).read())}")' "$folder/$name.yaml"
        "$folder/venv/bin/compose-lint" "$folder/$name.yaml" >"$folder/lint.log" 2>&1 || { cat "$folder/lint.log" >&2; stop 1 "compose-lint found something"; }
    done
    if command -v shellcheck >/dev/null; then shellcheck --external-sources "$here"/*.sh; else say 'not checked: shellcheck is not installed'; fi
}

# The packages of a real MLflow server, for the Python of that Debian.
mlflow() {
    local list=$tree/tests/mlflow/requirements.txt
    cmp --silent "$list" "$folder/context/mlflow/requirements.txt" && return
    rm -rf "$folder/context/mlflow"
    mkdir -p "$folder/context/mlflow"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.11 --target "$folder/context/mlflow/packages" --requirement "$list"
    printf '#!/bin/sh\nexec python3 -m mlflow "$@"\n' >"$folder/context/mlflow/mlflow"
    chmod 0755 "$folder/context/mlflow/mlflow"
    podman image rm --force "hearthwatch-mlflow:$tag" >/dev/null 2>&1 || true
    cp "$list" "$folder/context/mlflow/requirements.txt"
}

build() { podman build --quiet --isolation chroot --format docker --network host "$@" >/dev/null; }
images() {
    local stripped=$folder/work/x86_64-unknown-linux-gnu/stripped program image
    mkdir -p "$stripped" "$folder/context"
    for program in hearthwatch-cloud hearthwatch-provision hearthwatch-edge; do
        cmp --silent "$programs/$program" "$folder/work/$program" && continue
        cp "$programs/$program" "$folder/work/$program"
        strip --strip-all -o "$stripped/$program" "$programs/$program"
    done
    # What is in the image is what `cargo xtask images` puts there, but of this machine's programs.
    for image in aggregator:hearthwatch-cloud provision:hearthwatch-provision agent:hearthwatch-edge; do
        "$tree/chi-edge/images/rootfs.sh" "$folder/work" amd64 "$folder/context/${image%:*}/rootfs" "${image#*:}"
        build --build-arg BASE=scratch --file "$tree/chi-edge/images/${image%:*}.Containerfile" --tag "hearthwatch-${image%:*}:$tag" "$folder/context/${image%:*}"
    done
    if ! podman image exists "hearthwatch-others:$tag"; then
        printf 'FROM scratch\nCOPY root/ /\n' | build --file - --tag "hearthwatch-others:$tag" "$folder/work"
    fi
    if ! podman image exists "hearthwatch-mlflow:$tag"; then
        printf 'FROM hearthwatch-others:%s\nCOPY packages/ /opt/mlflow/\nCOPY mlflow /usr/local/bin/\nENV PYTHONPATH=/opt/mlflow\n' "$tag" |
            build --file - --tag "hearthwatch-mlflow:$tag" "$folder/context/mlflow"
    fi
    build --build-arg BASE="hearthwatch-others:$tag" --file "$here/backup.Containerfile" --tag "hearthwatch-backup:$tag" "$here"
}

ports() { "$python" -c 'import socket
held = [socket.socket() for _ in range(2)]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))'; }

# Images, storage and networks apart from the machine's own; crun refuses hosts with both kinds of cgroups, and not every host raises limits.
engine() {
    mkdir -p "$folder/store"
    cat >"$folder/containers.conf" <<END
[engine]
runtime = "runc"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
END
    cat >"$folder/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$folder/store"
runroot = "$folder/runroot"
END
    export CONTAINERS_CONF=$folder/containers.conf CONTAINERS_STORAGE_CONF=$folder/storage.conf
}

write_env() {
    local mqtt api
    read -r mqtt api < <(ports)
    sed -e "s|^HEARTHWATCH_FOLDER=.*|HEARTHWATCH_FOLDER=$run/fleet|" -e 's|^HEARTHWATCH_HOST=.*|HEARTHWATCH_HOST=localhost|' \
        -e "s|^HEARTHWATCH_TAG=.*|HEARTHWATCH_TAG=$tag|" -e 's|^HEARTHWATCH_MQTT_ADDRESS=.*|HEARTHWATCH_MQTT_ADDRESS=127.0.0.1|' \
        -e "s|^HEARTHWATCH_MQTT_PORT=.*|HEARTHWATCH_MQTT_PORT=$mqtt|" -e "s|^HEARTHWATCH_API_PORT=.*|HEARTHWATCH_API_PORT=$api|" \
        -e "s#^\(HEARTHWATCH_\(BROKER\|PROMETHEUS\|ALERTMANAGER\|BLACKBOX\|NODE\|DEBIAN\)_IMAGE\)=.*#\1=hearthwatch-others:$tag#" \
        -e 's|^HEARTHWATCH_BACKUP_TARGET=.*|HEARTHWATCH_BACKUP_TARGET=check:|' -e 's|^HEARTHWATCH_BACKUP_KEEP=.*|HEARTHWATCH_BACKUP_KEEP=2|' \
        -e "s|^HEARTHWATCH_MLFLOW_IMAGE=.*|HEARTHWATCH_MLFLOW_IMAGE=hearthwatch-mlflow:$tag|" "$here/example.env" >"$run/env"
}

# In place of an object store a folder of the container; what is sent there is looked at.
write_rclone() { printf '[check]\ntype = alias\nremote = /work/sent\n' >"$run/rclone.conf"; }

finish() {
    local code=$?
    podman rm --force --time 1 "$project-agent" >/dev/null 2>&1 || true
    if [[ -e $run/env ]]; then "${compose[@]}" --profile mlflow --profile backup --profile tools down --volumes --timeout 2 >>"$run/down.log" 2>&1 || true; fi
    if ((code)); then say "check.sh: failed; what was written is in $run" >&2; else rm -rf -- "$run"; fi
}

environment
python=$folder/venv/bin/python
took 'packages of Python'
files
took 'files'
run=$folder/run.$$
tag=check-amd64
mkdir -m 0755 "$run"
engine
rootfs
took 'a Debian root'
mlflow
took 'packages of MLflow'
images
podman images --format '{{.Repository}}:{{.Tag}}  {{.Size}}' | grep hearthwatch
took 'images'
write_env
write_rclone
compose=("$python" -m podman_compose --in-pod false -p "$project" -f "$here/compose.yaml" --env-file "$run/env")
trap finish EXIT
COMPOSE="${compose[*]}" HEARTHWATCH_ENV=$run/env "$here/setup.sh" --rclone "$run/rclone.conf" >"$run/setup.log" 2>&1 || { cat "$run/setup.log" >&2; exit 1; }
COMPOSE="${compose[*]}" HEARTHWATCH_ENV=$run/env "$here/setup.sh" >"$run/setup-again.log" 2>&1 || { cat "$run/setup-again.log" >&2; exit 1; }
if grep -E 'made|changed' "$run/setup-again.log"; then stop 1 "setup.sh, run again, made something again"; fi
took 'setup'
"${compose[@]}" --profile mlflow --profile backup up --detach aggregator signer broker prometheus alertmanager blackbox node mlflow backup >"$run/up.log" 2>&1 || { tail -n 20 "$run/up.log" >&2; stop 1 "up failed"; }
took 'up'
"$python" "$here/check/live.py" --compose "${compose[*]}" --project "$project" --run "$run" --tag "$tag" --programs "$programs"
took 'the running fleet'
podman rm --force --time 1 "$project-agent" >/dev/null
"${compose[@]}" --profile mlflow --profile backup --profile tools down --volumes --timeout 5 >"$run/down.log" 2>&1
left=$(podman ps --all --format '{{.Names}}'; podman volume ls --format '{{.Name}}'; podman network ls --format '{{.Name}}' | grep "^$project" || true; grep "$run/" /proc/self/mounts || true)
[[ -z $left ]] || stop 1 "down --volumes left: $left"
say 'down --volumes: no container, volume, network or mount is left'
took 'down'
last=$started
took 'all'

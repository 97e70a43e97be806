#!/usr/bin/env bash
# Makes, once, a Debian root directory with Home Assistant in it, and prints where it is.
#
# Home Assistant wants a newer Python than stable Debian has, so it gets a root of its own. Nothing here is a container:
# `enter.sh` changes into the root in a private mount namespace. The root lives outside the tree and is only read by tests.
#
# Needs root, debootstrap and unshare. Overridable: HEARTHWATCH_DEBIAN_MIRROR.
set -euo pipefail

version=2026.11.0
suite=forky # the first Debian with the Python (3.14) that this Home Assistant asks for

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hearthwatch/home-assistant
root=$cache/rootfs
installed=$root/opt/ha/.version

# shellcheck source=mirror.sh
source "$here/mirror.sh"

say() { printf 'home-assistant: %s\n' "$*" >&2; }

installed() { [[ -r $installed && $(<"$installed") == "$version" ]]; }

bootstrap() {
    local from script=/usr/share/debootstrap/scripts/$suite
    from=$(mirror)
    # An older debootstrap does not know the suite by name; all Debian suites are made alike.
    [[ -e $script ]] || script=/usr/share/debootstrap/scripts/sid
    say "making a Debian $suite root (about 300 MB)"
    rm -rf --one-file-system -- "$root"
    mkdir -p "$cache/debs"
    debootstrap --variant=minbase --cache-dir="$cache/debs" --include=ca-certificates,python3.14,python3.14-venv \
        "$suite" "$root" "$from" "$script" >"$cache/debootstrap.log" 2>&1 ||
        { tail -n 20 "$cache/debootstrap.log" >&2; return 1; }
    # This machine may trust one authority more than Debian does, e.g. that of a package cache.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    rm -f -- "$root"/var/cache/apt/archives/*.deb
    touch "$root/.debootstrap-done"
}

in_root() { "$here/enter.sh" "$root" "$@"; }

python_packages() {
    local site=$root/opt/ha/lib/python3.14/site-packages
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    say "installing Home Assistant $version (about 1 GB)"
    in_root python3.14 -m venv --clear /opt/ha
    in_root pip install --quiet --no-cache-dir uv
    in_root uv pip install --quiet --no-cache --python /opt/ha/bin/python "homeassistant==$version"
    # What the integrations in use ask for on top, so that a start fetches nothing.
    "$here/requirements.py" "$site/homeassistant" >"$root/opt/ha/integrations.txt"
    in_root uv pip install --quiet --no-cache --python /opt/ha/bin/python \
        --constraint /opt/ha/lib/python3.14/site-packages/homeassistant/package_constraints.txt \
        --requirement /opt/ha/integrations.txt
    # Two voice libraries come as source only. No voice here: modules of the same name are all that imports ask for.
    for stand_in in pymicro_vad:MicroVad pyspeex_noise:AudioProcessor; do
        [[ -e $site/${stand_in%:*} ]] || printf 'class %s:\n    """Not installed."""\n' "${stand_in#*:}" >"$site/${stand_in%:*}.py"
    done
    echo "$version" >"$installed"
}

mkdir -p "$cache"
exec 9>"$cache/install.lock"
flock 9
if ! installed; then
    [[ -e $root/.debootstrap-done ]] || bootstrap
    python_packages
    say "installed in $root"
fi
echo "$root"

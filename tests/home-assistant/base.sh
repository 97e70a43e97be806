#!/usr/bin/env bash
# Makes, once, a tar of a small Debian 13 root, and prints where it is: the base of the container images where no registry of
# images answers. What the published base has beyond it is less documentation.
#
# Needs root and debootstrap. Overridable: HEARTHWATCH_DEBIAN_MIRROR.
set -euo pipefail

suite=trixie

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=mirror.sh
source "$here/mirror.sh"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hearthwatch/containers
base=$cache/debian-13.tar

mkdir -p "$cache"
exec 9>"$cache/base.lock"
flock 9
if [[ ! -e $base ]]; then
    root=$(mktemp -d "$cache/root.XXXXXX")
    trap 'rm -rf --one-file-system -- "$root"' EXIT
    script=/usr/share/debootstrap/scripts/$suite
    # An older debootstrap does not know the suite by name; all Debian suites are made alike.
    [[ -e $script ]] || script=/usr/share/debootstrap/scripts/sid
    echo "containers: making a Debian $suite root (about 200 MB)" >&2
    debootstrap --variant=minbase "$suite" "$root" "$(mirror)" "$script" >"$cache/debootstrap.log" 2>&1 ||
        { tail -n 20 "$cache/debootstrap.log" >&2; exit 1; }
    rm -f -- "$root"/var/cache/apt/archives/*.deb
    tar --create --directory "$root" --file "$base.new" .
    mv "$base.new" "$base"
fi
echo "$base"

#!/usr/bin/env bash
# Makes, once, a tar of a small Ubuntu 24.04 root with what the first boot of a node installs, and prints where it is:
#   ubuntu.sh FOLDER
# Needs root, debootstrap and curl. Overridable: HEARTHWATCH_UBUNTU_MIRROR.
set -euo pipefail

suite=noble
# The script for all suites of Ubuntu; it knows Ubuntu's archive.
script=/usr/share/debootstrap/scripts/gutsy
mirror=${HEARTHWATCH_UBUNTU_MIRROR:-$(sed -n 's/^[[:space:]]*default_mirror \(.*archive\..*\)$/\1/p' "$script" | head -n 1)}
keyring=ubuntu-keyring_2023.11.28.1_all.deb
keyring_sha256=36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8
packages=ansible-core,busybox-static,ca-certificates,cloud-init,dbus,git,gpg,systemd-sysv

folder=$(cd -- "$1" && pwd)
# Another list is another root.
base=$folder/ubuntu-$(sha256sum <<<"$suite $packages" | cut -c 1-12).tar
exec 9>"$folder/ubuntu.lock"
flock 9
if [[ ! -e $base ]]; then
    work=$(mktemp -d "$folder/ubuntu.XXXXXX")
    trap 'rm -rf --one-file-system -- "$work"' EXIT
    echo "nodes: making an Ubuntu $suite root (about 600 MB)" >&2
    # Debian has no package with Ubuntu's keys, so Ubuntu's own is fetched, and compared with a known digest.
    curl --silent --show-error --fail --retry 3 --output "$work/keyring.deb" "$mirror/pool/main/u/ubuntu-keyring/$keyring"
    echo "$keyring_sha256  $work/keyring.deb" | sha256sum --check --quiet
    dpkg --extract "$work/keyring.deb" "$work/keyring"
    # An older debootstrap does not know this suite by name.
    debootstrap --variant=minbase --components=main,universe --include="$packages" \
        --keyring="$work/keyring/usr/share/keyrings/ubuntu-archive-keyring.gpg" \
        "$suite" "$work/root" "$mirror" "$script" >"$folder/debootstrap.log" 2>&1 ||
        { tail -n 20 "$folder/debootstrap.log" >&2; exit 1; }
    rm -f -- "$work"/root/var/cache/apt/archives/*.deb
    tar --create --directory "$work/root" --file "$base.new" .
    mv "$base.new" "$base"
fi
echo "$base"

#!/usr/bin/env bash
# Builds programs as they ship for one architecture, in a Debian root of its own with Debian's compilers and emulator:
#   programs.sh DIRECTORY arm64|amd64 PACKAGE...
# PACKAGE+FEATURE builds it with a feature, beside the one without.
# DIRECTORY/root is made once (2 GB); the programs lie in DIRECTORY/<target>/stripped. Of one Debian, so that they and the libraries of
# an image (rootfs.sh) belong together.
#
# Needs root, debootstrap and unshare, and the sources of the locked dependencies in cargo's cache (`cargo fetch`).
# Overridable: HEARTHWATCH_DEBIAN_MIRROR.
set -euo pipefail

suite=forky # the first Debian whose Rust is new enough for the workspace
packages=(cargo rustc libstd-rust-dev:arm64 gcc g++ libc6-dev gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross
    qemu-user ca-certificates tzdata)

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../tests/home-assistant/mirror.sh
source "$here/../../tests/home-assistant/mirror.sh"
tree=$(cd -- "$here/../.." && pwd)

say() { printf 'programs: %s\n' "$*" >&2; }

# The rest of this script in a mount namespace that ends with it.
if [[ ${1:-} != --inside ]]; then
    (($# >= 3)) || { say "usage: programs.sh DIRECTORY arm64|amd64 PACKAGE..."; exit 2; }
    ((EUID == 0)) || { say "making a Debian root needs the user root"; exit 1; }
    exec unshare --mount --propagation private "$0" --inside "$@"
fi
case $3 in
    arm64) target=aarch64-unknown-linux-gnu triplet=aarch64-linux-gnu ;;
    amd64) target=x86_64-unknown-linux-gnu triplet=x86_64-linux-gnu ;;
    *) say "no programs are built for $3; arm64 or amd64" && exit 2 ;;
esac
mkdir -p "$2"
work=$(cd -- "$2" && pwd)
root=$work/root
log=$work/root.log

in_root() {
    local keep=(HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=/cargo
        CARGO_TARGET_DIR=/work CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
        CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++)
    # How this machine reaches a package archive, where it has a way of its own; and the revision that is built.
    for name in http_proxy https_proxy no_proxy RUSTFLAGS HEARTHWATCH_REVISION; do
        [[ -z ${!name:-} ]] || keep+=("$name=${!name}")
    done
    chroot "$root" /usr/bin/env --ignore-environment --chdir="$1" "${keep[@]}" "${@:2}"
}

make_root() {
    local from script=/usr/share/debootstrap/scripts/$suite
    from=$(mirror)
    # An older debootstrap does not know the suite by name; all Debian suites are made alike.
    [[ -e $script ]] || script=/usr/share/debootstrap/scripts/sid
    say "making a Debian $suite root with compilers for both architectures (about 2 GB)"
    rm -rf --one-file-system -- "$root"
    debootstrap --variant=minbase "$suite" "$root" "$from" "$script"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # The suite is not released: its index may be past its date where an archive is a copy.
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/50date"
    mount -t proc none "$root/proc"
    mount --rbind /dev "$root/dev"
    in_root / dpkg --add-architecture arm64
    in_root / apt-get update -qq
    in_root / apt-get install -y -qq --no-install-recommends "${packages[@]}"
    in_root / apt-get clean
    mkdir -p "$root/tree" "$root/work" "$root/cargo"
    echo "${packages[*]}" >"$root/.made"
}

if [[ ! -r $root/.made || $(<"$root/.made") != "${packages[*]}" ]]; then
    start=$SECONDS
    # In the background: before `||` bash would go on after a command that failed.
    make_root >"$log" 2>&1 &
    wait $! || {
        tail -n 20 "$log" >&2
        say "no Debian root could be made; HEARTHWATCH_DEBIAN_MIRROR names another archive"
        exit 1
    }
    say "made in $((SECONDS - start)) s"
fi
mountpoint -q "$root/proc" || mount -t proc none "$root/proc"
mountpoint -q "$root/dev" || mount --rbind /dev "$root/dev"
mount --bind -o ro "$tree" "$root/tree"
mount --bind "$work" "$root/work"
mount --bind "${CARGO_HOME:-$HOME/.cargo}" "$root/cargo"
# Paths of the machine would make two builds differ.
keep_paths='--remap-path-prefix=/cargo=cargo --remap-path-prefix=/tree=.'
# One at a time: built together, the agent would be linked with what only the trainer needs (autodiff, 7 MB).
for program in "${@:4}"; do
    package=${program%%+*} features=()
    # A device downloads its programs and keeps their pages in memory: those are made small, which takes minutes. Of the others everything
    # that was measured was measured with the profile release.
    case $package in
        hearthwatch-edge | hearthwatch-train-round) profile=dist ;;
        *) profile=release ;;
    esac
    [[ $program == "$package" ]] || features=(--features "${program#*+}")
    RUSTFLAGS=$keep_paths in_root /tree cargo build --locked --offline --profile "$profile" --target "$target" --package "$package" --bin "$package" "${features[@]}"
    # The profile's own strip does not know the other architecture.
    mkdir -p "$work/$target/stripped"
    in_root /work "$triplet-strip" --strip-all -o "$target/stripped/$program" "$target/$profile/$package"
done

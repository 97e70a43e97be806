#!/usr/bin/env bash
# Puts programs and nothing but what they need into a folder that becomes an image:
#   rootfs.sh DIRECTORY arm64|amd64 OUT PROGRAM...
# DIRECTORY is that of programs.sh, OUT is made anew. Programs, the libraries that they and the libraries name, certificates of public
# authorities, an unprivileged user, and folders for data.
set -euo pipefail

work=$1 arch=$2 out=$3
root=$work/root
case $arch in
    arm64) triplet=aarch64-linux-gnu target=aarch64-unknown-linux-gnu loader=lib/ld-linux-aarch64.so.1 libraries=$root/usr/aarch64-linux-gnu/lib ;;
    amd64) triplet=x86_64-linux-gnu target=x86_64-unknown-linux-gnu loader=lib64/ld-linux-x86-64.so.2 libraries=$root/usr/lib/x86_64-linux-gnu ;;
    *) echo "rootfs: no root for $arch; arm64 or amd64" >&2 && exit 2 ;;
esac

rm -rf -- "$out"
mkdir -p "$out"/{etc/ssl/certs,usr/local/bin,tmp,data,"${loader%/*}","lib/$triplet"}
chmod 1777 "$out/tmp"
echo 'hearthwatch:x:10001:10001::/data:/usr/sbin/nologin' >"$out/etc/passwd"
echo 'hearthwatch:x:10001:' >"$out/etc/group"
cp "$root/etc/ssl/certs/ca-certificates.crt" "$out/etc/ssl/certs/"

# The names of the libraries that a file asks for.
needed() { readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

open=()
for program in "${@:4}"; do
    name=${program%%+*} # without its features
    install -m 0755 "$work/$target/stripped/$program" "$out/usr/local/bin/$name"
    open+=("$out/usr/local/bin/$name")
done
while ((${#open[@]})); do
    file=${open[0]} open=("${open[@]:1}")
    while read -r name; do
        [[ $name == "${loader##*/}" || -e $out/lib/$triplet/$name ]] && continue
        install -m 0755 "$libraries/$name" "$out/lib/$triplet/$name"
        open+=("$out/lib/$triplet/$name")
    done < <(needed "$file")
done
install -m 0755 "$libraries/${loader##*/}" "$out/$loader"

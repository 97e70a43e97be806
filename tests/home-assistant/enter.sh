#!/usr/bin/env bash
# enter.sh ROOT [--config DIR] COMMAND...: becomes COMMAND inside ROOT, in a mount namespace that ends with it.
#
# DIR appears as /config inside. The process keeps its id through all of this, so that whoever started it can signal it.
set -euo pipefail

if [[ ${1:-} != --inside ]]; then
    exec unshare --mount --propagation private "$0" --inside "$@"
fi
shift
root=$1
shift
mount -t proc none "$root/proc"
mount --rbind /dev "$root/dev"
if [[ $1 == --config ]]; then
    mkdir -p "$root/config"
    mount --bind "$2" "$root/config"
    shift 2
fi
authorities=/etc/ssl/certs/ca-certificates.crt
keep=(HOME=/root LANG=C.UTF-8 PATH=/opt/ha/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
    SSL_CERT_FILE=$authorities REQUESTS_CA_BUNDLE=$authorities PIP_CERT=$authorities)
# How this machine reaches its package index, where it has a way of its own.
for name in PIP_INDEX_URL UV_DEFAULT_INDEX; do
    [[ -z ${!name:-} ]] || keep+=("$name=${!name}")
done
exec chroot "$root" /usr/bin/env --ignore-environment "${keep[@]}" "$@"

#!/usr/bin/env bash
# Puts libfaketime for 64-bit ARM where emulated programs look for libraries, for `hearthwatch-emulator operate`:
#   faketime.sh DIRECTORY
# DIRECTORY is that of programs.sh, which has made DIRECTORY/root. Of an older Debian than the root: with 0.9.12 a program that follows a
# file hangs at its first look at the clock. Overridable: HEARTHWATCH_DEBIAN_MIRROR.
set -euo pipefail

package=libfaketime_0.9.10-2.1_arm64.deb
sum=2e09e24e85c77bdc555a04b4a6dd4523092066135d08ef233396e8f984a3daf2

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../tests/home-assistant/mirror.sh
source "$here/../../tests/home-assistant/mirror.sh"
place=$1/root/usr/aarch64-linux-gnu
from=$(mirror)
curl --fail --silent --show-error --location --retry 3 --output "$1/$package" "${from%/}/pool/main/f/faketime/$package"
sha256sum --check --quiet - <<<"$sum  $1/$package"
dpkg-deb --extract "$1/$package" "$place"

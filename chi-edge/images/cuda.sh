#!/usr/bin/env bash
# Puts what CUDA compiles kernels with into a folder that becomes an image: libnvrtc and the headers, which NVIDIA publishes as Python packages.
#   cuda.sh DIRECTORY OUT
# The packages lie in DIRECTORY/cuda. The driver's own library, libcuda, comes from the machine by NVIDIA's container toolkit.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
packages=$1/cuda out=$2/usr/local/cuda
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 \
    --dest "$packages" --requirement "$here/cuda.txt"
unpacked=$(mktemp --directory)
trap 'rm -rf -- "$unpacked"' EXIT
for wheel in "$packages"/*.whl; do
    python3 -m zipfile --extract "$wheel" "$unpacked"
done
mkdir -p "$out/lib64" "$out/include"
cp -r "$unpacked"/nvidia/*/include/. "$out/include/"
install -m 0755 "$unpacked"/nvidia/cuda_nvrtc/lib/libnvrtc.so.12 "$unpacked"/nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.* "$out/lib64/"
# What NVIDIA asks of whoever passes these files on.
install -m 0644 "$unpacked"/nvidia_cuda_nvrtc*.dist-info/licenses/License.txt "$out/"
chmod -R u=rwX,go=rX "$out"

#!/bin/sh
# Runs on a machine with an NVIDIA driver and the CUDA runtime compiler (libnvrtc); nothing is fetched from anywhere.
# Proves that the GPU computes what the processor does, then times training on both at several batch sizes.
set -eu
cd "$(dirname "$0")"
export CUDA_PATH="${CUDA_PATH:-/usr/local/cuda}"
export LD_LIBRARY_PATH="$CUDA_PATH/lib64:${LD_LIBRARY_PATH:-}"
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
for device in flex cuda; do
    for batch in 256 4096 32768; do
        ./hearthwatch-speed train-step --device "$device" --batch "$batch" --seconds 5
    done
done

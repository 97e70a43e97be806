"""The role for GPUs, with a small signed repository in the place of NVIDIA's: the key is compared before anything is installed."""

import json

import pytest

from ubuntu_root import Root, SetUp

# A key, a package that is nothing but its name, and a flat repository of it, signed.
REPOSITORY = r"""
set -euo pipefail
apt-get install --yes --quiet --no-install-recommends gpg-agent >/dev/null 2>&1
export GNUPGHOME=/keys
install -d -m 0700 /keys
gpg --batch --quiet --passphrase '' --quick-generate-key check@example.org rsa2048 sign never 2>/dev/null
place=/nvidia/stable/deb/amd64
mkdir -p $place /package/DEBIAN
gpg --batch --quiet --armor --export >/nvidia/gpgkey
printf 'Package: nvidia-container-toolkit\nVersion: 1\nArchitecture: amd64\nMaintainer: check\nDescription: nothing\n' >/package/DEBIAN/control
dpkg-deb --build --root-owner-group /package $place/toolkit.deb >/dev/null
cd $place
digest() { sha256sum "$1" | cut -d ' ' -f 1; }
{ cat /package/DEBIAN/control; echo "Filename: ./toolkit.deb"; echo "Size: $(stat -c %s toolkit.deb)"; echo "SHA256: $(digest toolkit.deb)"; } >Packages
printf 'Suite: check\nSHA256:\n %s %s Packages\n' "$(digest Packages)" "$(stat -c %s Packages)" >Release
gpg --batch --quiet --clearsign --output InRelease Release
gpg --batch --show-keys --with-colons /nvidia/gpgkey | sed -n 's/^fpr:::::::::\(.*\):$/\1/p'
"""


@pytest.fixture(scope="module")
def fingerprint(root: Root, first: SetUp) -> str:
    assert first.code == 0, first.output
    made = root.run("bash", "-c", REPOSITORY)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_another_key_than_nvidias_is_refused(root: Root, fingerprint: str) -> None:
    refused = root.role("gpu", hearthwatch_gpu=True, hearthwatch_cuda_image="x", gpu_repository="file:///nvidia")
    assert refused.sentence == (
        "/etc/apt/keyrings/nvidia-container-toolkit.asc is not the key C95B321B61E88C1809C4F759DDCAE044F796ECB0. If NVIDIA has a "
        "new one, change gpu_fingerprint in chi-edge/ansible/roles/gpu/defaults/main.yml; if not, somebody is between this node "
        "and NVIDIA."
    )
    assert not (root.path / "etc/apt/sources.list.d/nvidia-container-toolkit.list").exists()


def test_the_toolkit_is_installed_from_signed_packages_and_docker_knows_it(root: Root, fingerprint: str) -> None:
    settings = {
        "hearthwatch_gpu": True,
        "hearthwatch_cuda_image": "example.org/cuda:1",
        "gpu_repository": "file:///nvidia",
        "gpu_fingerprint": fingerprint,
    }
    done = root.role("gpu,docker,fleet", **settings)
    assert done.code == 0, done.output
    assert root.run("dpkg-query", "--show", "nvidia-container-toolkit").stdout == "nvidia-container-toolkit\t1\n"
    docker = json.loads(root.read("/etc/docker/daemon.json"))
    assert docker["runtimes"] == {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}
    assert docker["exec-opts"] == ["native.cgroupdriver=cgroupfs"]
    lines = root.read("/opt/hearthwatch/chi-edge/compose/.env").splitlines()
    assert {"HEARTHWATCH_CUDA_IMAGE=example.org/cuda:1", "COMPOSE_FILE=compose.yaml:compose.gpu.yaml"} <= set(lines)
    assert root.role("gpu,docker,fleet", **settings).changed == []

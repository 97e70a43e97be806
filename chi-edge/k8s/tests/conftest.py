"""What the tests share: the documents as kubectl renders them."""

import functools
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

K8S = Path(__file__).resolve().parent.parent
"""chi-edge/k8s."""

FOLDERS = ("overlays/cpu", "overlays/gpu", "overlays/course", "argo")
"""What a person applies."""

KUBECTL = os.environ.get("HEARTHWATCH_KUBECTL", "kubectl")

Document = dict[str, Any]


def kustomize(folder: Path) -> str:
    """What `kubectl apply -k` would send."""
    done = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


@functools.cache
def documents(folder: str) -> tuple[Document, ...]:
    """The same, read. Do not change them."""
    return tuple(document for document in yaml.safe_load_all(kustomize(K8S / folder)) if document)


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest) -> str:
    """Each of the folders."""
    return str(request.param)


@pytest.fixture
def rendered(folder: str) -> tuple[Document, ...]:
    """Its documents."""
    return documents(folder)

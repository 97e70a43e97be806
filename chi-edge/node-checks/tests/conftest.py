"""What tests share: a root of Ubuntu, in which one node is set up."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted import Booted, booted, possible
from ubuntu_root import Root, SetUp

#: The tar that ubuntu.sh makes; check.sh sets it.
TAR = "HEARTHWATCH_UBUNTU_TAR"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    tar = os.environ.get(TAR)
    if not tar:
        pytest.skip(f"{TAR} names no root of Ubuntu; check.sh makes one where it is root and has debootstrap")
    return Root(Path(tar), tmp_path_factory.mktemp("ubuntu"))


@pytest.fixture(scope="session")
def first(root: Root) -> SetUp:
    """The first boot, with a blank disk."""
    root.blank_disk("/disk")
    return root.set_up()


@pytest.fixture(scope="session")
def node(root: Root, first: SetUp) -> Iterator[Booted]:
    """The same, booted."""
    if not possible():
        pytest.skip("no podman, runc or losetup; check.sh says so")
    assert first.code == 0, first.output
    with booted(root) as running:
        yield running

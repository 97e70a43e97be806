"""Holds Terraform's files against the schema of the provider: names, what is required, and what is referred to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

from provider import Argument, kind

#: Terraform's own, of every resource.
META = {"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"}
_OPTIONS = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
_REFERENCE = re.compile(r"(?<![\w.])(data\.)?(openstack_\w+)\.(\w+)(?:\[[^]]*\])?\.(\w+)")


def faults(folder: Path) -> list[str]:
    """Every fault of the .tf files in a folder, as a sentence."""
    found: list[str] = []
    declared: set[tuple[bool, str, str]] = set()
    texts = {path.name: path.read_text() for path in sorted([*folder.glob("*.tf"), *folder.glob("*.tf.example")])}
    for file, text in texts.items():
        for data, name, label, body in blocks(hcl2.loads(text, serialization_options=_OPTIONS)):
            declared.add((data, name, label))
            found += [f"{file}: {fault}" for fault in _faults_of(data, name, label, body, whole="override" not in file)]
    for file, text in texts.items():
        found += [f"{file}: {fault}" for fault in _references(text, declared)]
    return found


def blocks(document: dict[str, Any]) -> Iterator[tuple[bool, str, str, dict[str, Any]]]:
    """Every resource and data source: whether it is one of the latter, its type, its label, its content."""
    for section, data in (("resource", False), ("data", True)):
        for entry in document.get(section, []):
            for name, labels in entry.items():
                for label, body in labels.items():
                    yield data, name, label, body


def _faults_of(data: bool, name: str, label: str, body: dict[str, Any], *, whole: bool) -> list[str]:
    if not name.startswith("openstack_"):
        return []
    address = f"{'data.' if data else ''}{name}.{label}"
    known = kind(name, data=data)
    if known is None:
        return [f"{address}: the provider has no {'data source' if data else 'resource'} of this type"]
    return list(
        _compare(address, known.arguments, {key: value for key, value in body.items() if key not in META}, whole)
    )


def _compare(address: str, arguments: dict[str, Argument], body: dict[str, Any], whole: bool) -> Iterator[str]:
    for name, value in body.items():
        argument = arguments.get(name)
        if argument is None:
            yield f"{address}: has no argument {name!r}"
        elif argument.block is not None:
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    yield from _compare(f"{address}.{name}", argument.block, one, whole=True)
    # An override adds to a resource that stands elsewhere.
    if whole:
        for name, argument in arguments.items():
            if argument.required and name not in body:
                yield f"{address}: the argument {name!r} is missing"


def _references(text: str, declared: set[tuple[bool, str, str]]) -> Iterator[str]:
    without_comments = re.sub(r"(?m)^\s*#.*$", "", text)
    for prefix, name, label, attribute in sorted(set(_REFERENCE.findall(without_comments))):
        address, known = f"{prefix}{name}.{label}", kind(name, data=bool(prefix))
        if (bool(prefix), name, label) not in declared:
            yield f"{address}: is referred to, and is not declared"
        elif known and attribute not in known.attributes:
            yield f"{address}: has no attribute {attribute!r}"

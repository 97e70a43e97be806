"""What a node is to be. Decided from the options alone, without a network."""

import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hearthwatch_testbed.leases import BLAZAR_TIME, FLAVOR, HOST
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.plan import LEASE_MAX, LEASE_MIN, duration
from hearthwatch_testbed.problem import EXIT_USAGE, Problem

KVM = "KVM@TACC"
#: Virtual machines without a GPU may be leased longer than anything else.
LEASE_MAX_KVM = timedelta(days=180)
IMAGE, IMAGE_CUDA = "CC-Ubuntu24.04", "CC-Ubuntu24.04-CUDA"
#: Every node of bare metal has this flavour; the reservation decides which node it is.
BARE_METAL_FLAVOR = "baremetal"
#: What it was made from is kept with the server under this key.
PLAN_KEY = "hearthwatch-plan"
# CUDA is NVIDIA's; these nodes have GPUs of AMD.
WITHOUT_CUDA = re.compile(r"gpu_mi\d+")


@dataclass(frozen=True)
class Reserved:
    """What the lease is for: a node by its type or its name, or a flavour of KVM@TACC."""

    node_type: str | None
    node: str | None
    flavor: str | None

    def words(self) -> str:
        """For people."""
        return self.node or self.node_type or f"flavour {self.flavor}"


@dataclass(frozen=True)
class NodePlan:
    """Everything that `up` makes."""

    names: Names
    reserved: Reserved
    lease: timedelta
    image: str
    network: str
    key: str
    settings: dict[str, object]

    def digest(self, reservation: str, user_data: str) -> str:
        """Says from what a server was made."""
        parts = [reservation, self.image, self.network, self.key, user_data]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def longest(site: str) -> timedelta:
    """How long a lease may be at this site."""
    return LEASE_MAX_KVM if site == KVM else LEASE_MAX


def node_lease_length(text: str, site: str) -> timedelta:
    """A duration that a lease may have."""
    length, most = duration(text), longest(site)
    if length > most:
        raise Problem(
            f"A lease of {text} is too long: {site} allows {most.days} days. Ask for {most.days}d, and run `testbed node "
            "renew` in the last two days.",
            EXIT_USAGE,
        )
    if length < LEASE_MIN:
        raise Problem(f"A lease of {text} is over before the node runs: ask for 2h or more.", EXIT_USAGE)
    return length


def reserved(site: str, node_type: str | None, node: str | None, flavor: str | None) -> Reserved:
    """Checked against the site."""
    if site == KVM:
        if not flavor or node_type or node:
            raise Problem(f"{KVM} leases flavours: give --flavor alone, such as --flavor m1.xlarge.", EXIT_USAGE)
    elif flavor or bool(node_type) == bool(node):
        raise Problem(
            f"{site} leases nodes: give either --node-type, such as gpu_rtx_6000, or --node with the name of one.",
            EXIT_USAGE,
        )
    return Reserved(node_type, node, flavor)


def image_of(image: str | None, node_type: str | None, *, gpu: bool) -> str:
    """The named one, or that which fits the node."""
    if gpu and node_type and WITHOUT_CUDA.fullmatch(node_type):
        raise Problem(
            f"{node_type} has GPUs of AMD, and the aggregator trains on those of NVIDIA: take gpu_rtx_6000 or another, or "
            "leave --gpu away.",
            EXIT_USAGE,
        )
    return image or (IMAGE_CUDA if gpu else IMAGE)


def network_of(text: str, option: str, *, everywhere: bool) -> str:
    """IPv4 addresses, as the packet filter takes them."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        raise Problem(
            f"{option} is {text!r}: write IPv4 addresses with a length, such as 203.0.113.7/32.", EXIT_USAGE
        ) from None
    if not network.prefixlen and not everywhere:
        raise Problem(
            f"{option} is the whole internet: name the addresses of administrators, such as 203.0.113.7/32 (yours: "
            "`curl -4 https://ifconfig.me`).",
            EXIT_USAGE,
        )
    return str(network)


def repository_of(text: str) -> str:
    """Without a login: everybody in the project can read a server's user data."""
    if not re.fullmatch(r"https://[^@\s]+", text):
        raise Problem(
            "--repository is no https address, or has a login in it: write https://HOST/PATH without one; the project can read "
            "it at the site.",
            EXIT_USAGE,
        )
    return text


def registry_of(text: str) -> str:
    """A prefix of images' names; none if they are loaded by hand."""
    if not re.fullmatch(r"([a-z0-9][a-z0-9._:/-]*/)?", text):
        raise Problem(
            f"--registry is {text!r}: write HOST/PATH/ in small letters with a slash at its end, such as ghcr.io/somebody/; or "
            "leave it away and load images by hand.",
            EXIT_USAGE,
        )
    return text


def cuda_image_of(text: str, *, gpu: bool) -> str:
    """A GPU that nothing uses is leased in vain."""
    if gpu and not text:
        raise Problem(
            "With --gpu also give --cuda-image, an aggregator that was built with the feature cuda: otherwise the GPU would be "
            "leased and not used.",
            EXIT_USAGE,
        )
    return text


def revision_of(text: str) -> str:
    """A commit: its hash is the checksum of all that the node fetches."""
    if not re.fullmatch(r"[0-9a-f]{40}", text):
        raise Problem(
            f"--revision is {text!r}: give the 40 digits of a commit (`git rev-parse HEAD`); branches and tags may move.",
            EXIT_USAGE,
        )
    return text


def lease_request(
    names: Names, what: Reserved, flavor_id: str | None, length: timedelta, now: datetime
) -> dict[str, Any]:
    """The arguments of `blazar().lease.create`."""
    if what.flavor:
        # Blazar refuses the request where `affinity` is absent.
        reservation: dict[str, Any] = {
            "resource_type": FLAVOR,
            "flavor_id": flavor_id,
            "amount": 1,
            "affinity": None,
        }
    else:
        wanted = ["==", "$node_name", what.node] if what.node else ["==", "$node_type", what.node_type]
        reservation = {
            "resource_type": HOST,
            "resource_properties": json.dumps(wanted),
            "hypervisor_properties": "",
            "min": 1,
            "max": 1,
        }
    return {
        "name": names.lease,
        "start": "now",
        "end": (now + length).astimezone(UTC).strftime(BLAZAR_TIME),
        "reservations": [reservation],
        "events": [],
    }

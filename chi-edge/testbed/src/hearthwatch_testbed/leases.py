"""Leases: what is asked of Blazar, and what its answers mean. Times are UTC; `now` is an argument."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hearthwatch_testbed.plan import LEASE_MAX, Plan
from hearthwatch_testbed.problem import Problem

BLAZAR_TIME = "%Y-%m-%d %H:%M"
DEVICE, HOST, FLAVOR = "device", "physical:host", "flavor:instance"
#: Reservations on which something runs; a lease may have addresses and networks too.
RUN_ON = (DEVICE, HOST, FLAVOR)
#: Says that it is over, in the list of leases, until somebody deletes it.
OVER = ("TERMINATED", "ERROR")
#: How long before its end a lease may be extended, as Chameleon's own tests of Blazar have it.
EXTENSION_WINDOW = timedelta(days=2)


@dataclass(frozen=True)
class Lease:
    """One that exists."""

    id: str
    name: str
    status: str
    end: datetime
    reservations: tuple[str, ...]
    reservation_states: tuple[str, ...]


def lease_of(raw: dict[str, Any]) -> Lease:
    """From Blazar's answer, of which some fields may be missing."""
    reserved = [one for one in raw.get("reservations") or [] if one.get("resource_type", DEVICE) in RUN_ON]
    return Lease(
        id=str(raw["id"]),
        name=str(raw["name"]),
        status=str(raw.get("status") or "UNKNOWN").upper(),
        end=_time(str(raw["end_date"])),
        reservations=tuple(str(one["id"]) for one in reserved),
        reservation_states=tuple(str(one.get("status") or "unknown") for one in reserved),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def lease_request(plan: Plan, now: datetime) -> dict[str, Any]:
    """The arguments of `blazar().lease.create`: one reservation a device, so that each container names its own."""
    return {
        "name": plan.names.lease,
        "start": "now",
        "end": (now + plan.lease).astimezone(UTC).strftime(BLAZAR_TIME),
        "reservations": [_reservation(plan, number) for number in range(plan.devices)],
        "events": [],
    }


def _reservation(plan: Plan, number: int) -> dict[str, object]:
    name = plan.device_names[number] if number < len(plan.device_names) else None
    # Blazar knows "and", but no "or".
    wanted = ["==", "$name", name] if name else ["==", "$machine_name", plan.machine_type]
    # Without an amount the comparison `None > 1` fails, in python-chi and in Blazar.
    return {"resource_type": DEVICE, "min": 1, "max": 1, "resource_properties": json.dumps(wanted)}


def extended(lease: Lease, by: timedelta, now: datetime, longest: timedelta = LEASE_MAX) -> datetime:
    """The new end: `by` from now on, never earlier than the present one."""
    if by > longest:
        raise Problem(f"A lease can be extended to {longest.days} days from now, not further: --for {longest.days}d.")
    return max(lease.end, (now + by).replace(second=0, microsecond=0))


def remaining(lease: Lease, now: datetime) -> str:
    """For people: "2 d 3 h", or that it is over."""
    left = lease.end - now
    if left <= timedelta(0):
        return "over"
    days, rest = left.days, left.seconds
    return f"{days} d {rest // 3600} h" if days else f"{rest // 3600} h {rest % 3600 // 60} min"

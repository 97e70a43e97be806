"""Nodes of a site: which exist, which are free, and what to say when the wanted one is not."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hearthwatch_testbed.node.plan import Reserved
from hearthwatch_testbed.problem import Problem


@dataclass(frozen=True)
class Host:
    """One, as Blazar lists it."""

    name: str
    node_type: str
    reservable: bool
    #: Until when it is reserved by somebody; none if it is free now.
    busy_until: datetime | None

    @property
    def free(self) -> bool:
        """Whether a lease that begins now can have it."""
        return self.reservable and self.busy_until is None


def hosts_of(rows: list[dict[str, Any]], allocations: list[dict[str, Any]], now: datetime) -> list[Host]:
    """From Blazar's two lists."""
    busy: dict[str, datetime] = {}
    for one in allocations:
        ends = [_time(each["end_date"]) for each in one["reservations"] if _covers(each, now)]
        if ends:
            busy[str(one["resource_id"])] = max(ends)
    return [
        Host(
            name=str(one.get("node_name") or one.get("hypervisor_hostname")),
            node_type=str(one.get("node_type") or "unknown"),
            reservable=bool(one.get("reservable", True)),
            busy_until=busy.get(str(one["id"])),
        )
        for one in rows
    ]


def _covers(reservation: dict[str, Any], now: datetime) -> bool:
    return _time(reservation["start_date"]) <= now < _time(reservation["end_date"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def check_hosts(listed: list[Host], wanted: Reserved) -> str:
    """What is there of the wanted node, or the problem that it is not."""
    if wanted.node:
        found = [one for one in listed if one.name == wanted.node]
        if not found:
            raise Problem(
                f"No node is called {wanted.node}: give --node-type, or a name that the site's page of hardware lists."
            )
    else:
        found = [one for one in listed if one.node_type == wanted.node_type]
        if not found:
            types = sorted({one.node_type for one in listed})
            raise Problem(
                f"No node is a {wanted.node_type}; there are: {', '.join(types) or 'none'}. Give another --node-type."
            )
    free = [one for one in found if one.free]
    if not free:
        soonest = min((one.busy_until for one in found if one.reservable and one.busy_until), default=None)
        when = f"; the next is free at {soonest:%Y-%m-%d %H:%M} UTC" if soonest else ""
        raise Problem(f"None of {len(found)} {wanted.words()} is free{when}. Give another --node-type, or come later.")
    return f"{len(free)} of {len(found)} {wanted.words()} are free"

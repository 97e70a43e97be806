"""Devices of the site: which exist, which are free, and what to say when the wanted ones are not."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hearthwatch_testbed.problem import Problem


@dataclass(frozen=True)
class Device:
    """One, as Blazar lists it."""

    name: str
    machine_type: str
    reservable: bool
    #: Until when it is reserved by somebody; none if it is free now.
    busy_until: datetime | None

    @property
    def free(self) -> bool:
        """Whether a lease that begins now can have it."""
        return self.reservable and self.busy_until is None


def devices_of(rows: list[dict[str, Any]], allocations: list[dict[str, Any]], now: datetime) -> list[Device]:
    """From Blazar's two lists. It writes a device's properties beside its own fields."""
    busy = {
        str(one["resource_id"]): max(ends)
        for one in allocations
        if (ends := [_time(each["end_date"]) for each in one["reservations"] if _covers(each, now)])
    }
    return [
        Device(
            name=str(one.get("name") or one.get("uid")),
            machine_type=str(one.get("machine_name") or one.get("device_type") or "unknown"),
            reservable=bool(one.get("reservable", True)),
            busy_until=busy.get(str(one["id"])),
        )
        for one in rows
    ]


def _covers(reservation: dict[str, Any], now: datetime) -> bool:
    return _time(reservation["start_date"]) <= now < _time(reservation["end_date"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def check_devices(listed: list[Device], machine_type: str, names: tuple[str, ...], wanted: int) -> str:
    """What is there of the wanted devices, or the problem that they are not."""
    known = {one.name: one for one in listed}
    for name in names:
        if name not in known:
            raise Problem(f"No device is called {name}; there are: {', '.join(sorted(known)) or 'none'}.")
        if not known[name].free:
            raise Problem(f"The device {name} is {_why(known[name])}. Choose another by --device, or come later.")
    rest = wanted - len(names)
    kind = [one for one in listed if one.machine_type == machine_type and one.name not in names]
    if rest and not kind:
        types = sorted({one.machine_type for one in listed})
        raise Problem(f"No device is a {machine_type}; there are: {', '.join(types) or 'none'}. Give --machine-type.")
    free = [one for one in kind if one.free]
    if len(free) < rest:
        soonest = min((one.busy_until for one in kind if one.reservable and one.busy_until), default=None)
        when = f"; the next is free at {soonest:%Y-%m-%d %H:%M} UTC" if soonest else ""
        raise Problem(
            f"{len(free)} of {len(kind)} {machine_type} are free, and {rest} are wanted{when}. Give fewer --devices or "
            "another --machine-type, or come later."
        )
    return f"{len(free)} of {len(kind)} {machine_type} are free"


def _why(device: Device) -> str:
    if not device.reservable:
        return "out of service"
    return f"reserved until {device.busy_until:%Y-%m-%d %H:%M} UTC"

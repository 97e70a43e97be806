"""The aggregator in its container: what homes, answers and a training run take, and how little memory is enough."""

import time
from typing import Any

from agent import smallest
from engine import Container, Failed, Limits
from fleet import Fleet, Setting

MIB = 2**20


def sizes(prefix: str, container: Container) -> dict[str, float]:
    usage = container.usage()
    found = {
        "resident_mib": usage.resident,
        "allocated_mib": usage.allocated,
        "resident_peak_mib": usage.resident_peak,
        "counted_peak_mib": usage.peak,
    }
    return {f"{prefix}_{key}": size / MIB for key, size in found.items()}


def homes(setting: Setting, count: int, limits: Limits, rest_seconds: float, burst_seconds: float) -> dict[str, Any]:
    """One fleet: so many homes connected and silent, then so many that answer as fast as five times a second each."""
    fleet = Fleet(setting, f"homes-{count}")
    try:
        aggregator = fleet.start(limits)
        fleet.enrol(count)
        fleet.connect(count, mute=True)
        time.sleep(10 + count / 20)
        before, broker = aggregator.usage(), fleet.broker.usage()
        time.sleep(rest_seconds)
        after, later = aggregator.usage(), fleet.broker.usage()
        found: dict[str, Any] = {
            "homes": count,
            "rest_cpu_share": (after.cpu_seconds - before.cpu_seconds) / rest_seconds,
            "broker_rest_cpu_share": (later.cpu_seconds - broker.cpu_seconds) / rest_seconds,
            **sizes("rest", aggregator),
            **sizes("broker_rest", fleet.broker),
        }
        fleet.homes.stop()
        stored, bytes_before = fleet.settles(), fleet.database()
        before, broker = aggregator.usage(), fleet.broker.usage()
        fleet.connect(count, mute=False)
        begun = time.monotonic()
        time.sleep(burst_seconds)
        fleet.homes.stop()
        lasted = time.monotonic() - begun
        answers = fleet.settles() - stored
        after, later = aggregator.usage(), fleet.broker.usage()
        if answers <= 0:
            raise Failed(f"no answer was stored; the aggregator's last lines: {aggregator.log()[-600:]}")
        found |= {
            "answers": answers,
            "answers_per_s": answers / lasted,
            "cpu_ms_per_answer": (after.cpu_seconds - before.cpu_seconds) / answers * 1000,
            "broker_cpu_ms_per_answer": (later.cpu_seconds - broker.cpu_seconds) / answers * 1000,
            "database_bytes_per_answer": (fleet.database() - bytes_before) / answers,
            **sizes("burst", aggregator),
            **sizes("broker_burst", fleet.broker),
            **sizes("signer", fleet.signer),
        }
        return found
    finally:
        fleet.close()


def training(setting: Setting, count: int, answers: int, limits: Limits) -> dict[str, Any]:
    """A run on the recorded sets and so many answers."""
    fleet = Fleet(setting, "training")
    try:
        aggregator = fleet.start(limits)
        filled = fill(fleet, count, answers)
        before = aggregator.usage()
        seconds = fleet.trains()
        after = aggregator.usage()
        return {
            "answers": filled,
            "seconds": seconds,
            "cpu_s": after.cpu_seconds - before.cpu_seconds,
            "before_resident_mib": before.resident / MIB,
            "resident_peak_mib": after.resident_peak / MIB,
            "counted_peak_mib": after.peak / MIB,
            "after_resident_mib": after.resident / MIB,
        }
    finally:
        fleet.close()


def fill(fleet: Fleet, count: int, answers: int) -> int:
    """Lets homes answer until so many answers are stored."""
    if not answers:
        return 0
    fleet.enrol(count)
    fleet.connect(count, mute=False)
    end = time.monotonic() + 300
    while fleet.stored() < answers and time.monotonic() < end:
        time.sleep(0.5)
    fleet.homes.stop()
    return fleet.settles()


def least(setting: Setting, count: int, low: int, high: int, cpus: float, train: bool) -> int:
    """The smallest limit, in MiB, with which the aggregator takes in a burst of so many homes; with `train`, a run is also made."""
    fleet = Fleet(setting, f"least-{count}")
    try:
        fleet.start(Limits(high, cpus))
        fleet.enrol(count)

        def enough(mebibytes: int) -> bool:
            try:
                aggregator = fleet.start(Limits(mebibytes, cpus))
                before = fleet.stored()
                fleet.connect(count, mute=False)
                time.sleep(8)
                fleet.homes.stop()
                if fleet.settles() <= before:
                    return False
                if train:
                    fleet.trains()
                return aggregator.runs() and not aggregator.was_killed()
            except Failed:
                return False
            finally:
                fleet.homes.stop()

        if not enough(high):
            raise Failed(f"{high} MiB are not enough; name more")
        return smallest(low, high, enough)
    finally:
        fleet.close()

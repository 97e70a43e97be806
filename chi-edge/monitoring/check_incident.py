#!/usr/bin/env python3
"""After something was broken on purpose: whether its alerts fire, no other does, and the webhook is told.

`check_incident.py --prometheus URL --notices FILE --deadline SECONDS [--ends ALERT] WHAT [ALERT …]`; without ALERT nothing may fire any more. The alert
that ends may fire at first.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import prometheus_api
from check_live import until

# How full and how busy the machine is on which the check runs is no matter of the check, and its one agent has no Home Assistant.
FIRING = 'ALERTS{alertstate="firing", alertname!="Watchdog", area!~"machine|home"}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--notices", type=Path, required=True)
    parser.add_argument("--deadline", type=float, required=True)
    parser.add_argument("what")
    parser.add_argument("alerts", nargs="*")
    parser.add_argument("--ends")
    given = parser.parse_args()
    deadline = time.monotonic() + given.deadline
    expected = set(given.alerts)
    names = " and ".join(given.alerts)
    last: set[str] = set()

    def as_expected() -> bool:
        nonlocal last
        last = {one["metric"]["alertname"] for one in prometheus_api.query(given.prometheus, FIRING)}
        strange = last - expected - {given.ends}
        if strange:
            sys.exit(f"incident: {given.what}: {', '.join(sorted(strange))} fires, and should not")
        return last == expected

    def told() -> bool:
        notices = [json.loads(line) for line in given.notices.read_text(encoding="utf-8").splitlines()]
        alerts = [one for notice in notices for one in notice["alerts"] if one["labels"].get("machine") == "cloud"]
        return expected <= {one["labels"]["alertname"] for one in alerts if one["status"] == "firing"}

    if not expected:
        # What was broken is whole again: its alert may fire until the next look, and no other may.
        until(deadline, f"{given.what}: an alert still fires", lambda: not prometheus_api.query(given.prometheus, FIRING))
        print(f"incident: {given.what}: nothing fires any more")
        return 0
    until(deadline, f"{given.what}: {names} does not fire", as_expected)
    until(deadline, f"{given.what}: the webhook was not told of {names}", told)
    as_expected()
    print(f"incident: {given.what}: {names} fires, no other does, the webhook has it")
    return 0


if __name__ == "__main__":
    sys.exit(main())

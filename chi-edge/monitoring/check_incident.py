#!/usr/bin/env python3
"""After something was broken on purpose: whether its alert fires, no other does, and the webhook is told.

`check_incident.py --prometheus URL --notices FILE --deadline SECONDS WHAT [ALERT]`; without ALERT nothing may fire any more.
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
    parser.add_argument("alert", nargs="?")
    given = parser.parse_args()
    deadline = time.monotonic() + given.deadline
    expected = {given.alert} if given.alert else set()
    last: set[str] = set()

    def as_expected() -> bool:
        nonlocal last
        last = {one["metric"]["alertname"] for one in prometheus_api.query(given.prometheus, FIRING)}
        if last - expected:
            sys.exit(f"incident: {given.what}: {', '.join(sorted(last - expected))} fires, and should not")
        return last == expected

    def told() -> bool:
        notices = [json.loads(line) for line in given.notices.read_text(encoding="utf-8").splitlines()]
        alerts = [one for notice in notices for one in notice["alerts"] if one["labels"].get("machine") == "cloud"]
        return any(one["labels"]["alertname"] == given.alert and one["status"] == "firing" for one in alerts)

    if not expected:
        # What was broken is whole again: its alert may fire until the next look, and no other may.
        until(deadline, f"{given.what}: an alert still fires", lambda: not prometheus_api.query(given.prometheus, FIRING))
        print(f"incident: {given.what}: nothing fires any more")
        return 0
    until(deadline, f"{given.what}: {given.alert} does not fire", as_expected)
    until(deadline, f"{given.what}: the webhook was not told of {given.alert}", told)
    as_expected()
    print(f"incident: {given.what}: {given.alert} fires, no other does, the webhook has it")
    return 0


if __name__ == "__main__":
    sys.exit(main())

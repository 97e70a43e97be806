"""Has mosquitto read its files again when one of them changes: access rules, revocation list, certificates.

It looks every few seconds instead of being notified, since volumes of a network send no notices.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

WATCHED = ("acl", "ca.crl", "ca.crt", "server.crt", "server.key")
"""In the folder that mosquitto reads."""

PAUSE = 2.0
"""Seconds between two looks."""

STALE = 60.0
"""Seconds after which no sign of life means that it hangs."""


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """What tells one version of each file from the next."""
    found = {}
    for name in WATCHED:
        try:
            status = (folder / name).stat()
        except FileNotFoundError:
            continue
        found[name] = (status.st_ino, status.st_mtime_ns)
    return found


def brokers(proc: Path) -> list[int]:
    """The processes named mosquitto that can be seen from here."""
    found = []
    for entry in proc.iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == "mosquitto":
                found.append(int(entry.name))
        except OSError:
            continue  # It ended meanwhile.
    return found


def signal_all(proc: Path, changed: list[str]) -> None:
    """Sends the signal, and says so."""
    reached = []
    for broker in brokers(proc):
        # Another user's is none of ours; one that has just ended reads the files when it starts again.
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.kill(broker, signal.SIGHUP)
            reached.append(str(broker))
    then = f"process {', '.join(reached)} reads them again" if reached else "no mosquitto runs yet; it reads them when it starts"
    print(f"changed: {', '.join(changed)}; {then}", flush=True)


def watch(folder: Path, alive: Path, proc: Path) -> None:
    """Looks for ever."""
    last = state(folder)
    while True:
        alive.touch()
        time.sleep(PAUSE)
        now = state(folder)
        if changed := [name for name in WATCHED if now.get(name) != last.get(name)]:
            signal_all(proc, changed)
        last = now


def check(alive: Path) -> int:
    """Whether there was a sign of life of late."""
    try:
        return 0 if time.time() - alive.stat().st_mtime < STALE else 1
    except FileNotFoundError:
        return 1


def main(arguments: list[str]) -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="the folder that mosquitto reads")
    parser.add_argument("--alive", type=Path, required=True, help="a file that is touched at each look")
    parser.add_argument("--proc", type=Path, default=Path("/proc"), help="where processes are listed")
    parser.add_argument("--check", action="store_true", help="only say by the exit code whether the watcher lives")
    options = parser.parse_args(arguments)
    if options.check:
        return check(options.alive)
    if options.folder is None:
        parser.error("--folder is missing")
    watch(options.folder, options.alive, options.proc)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

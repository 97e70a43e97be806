"""The incidents of an operation, from its journal. Pure but for `read`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

DAY = 86_400
# All programs of the fleet start: no incident, and no calm either.
START = "start"
# Sensors of a recorded home say nothing for longer than usual, as it happened where they were recorded.
SILENCE = "silence"


# An operator releases a model of no honest run, which the store has as a run that ended.
_FALSE_RUN = "bad-model"
_SAME_SECONDS = 300


class JournalError(Exception):
    """Why a journal cannot be used; a sentence."""


@dataclass(frozen=True)
class Incident:
    """Something that was done to the fleet."""

    number: int
    kind: str
    began: int
    # None while it lasts: the operation ended before it.
    ended: int | None
    # What was done, in the words of the operation.
    detail: str


@dataclass(frozen=True)
class Journal:
    """What of a journal matters for alerts."""

    # By their begin.
    incidents: tuple[Incident, ...]
    # When each retraining ended.
    runs: tuple[int, ...]
    # Each answer of a resident that an agent took: when, and of which home.
    answers: tuple[tuple[int, str], ...] = ()
    # How many times as fast as real time the calendar went, at its fastest.
    speed: float = 1


def parse(lines: Iterable[str], name: str = "the journal") -> Journal:
    """Every start and every incident by its begin. A last line that was cut off is passed over, as the operation itself does."""
    texts = [line for line in lines if line.strip()]
    found: dict[int, Incident] = {}
    runs: list[int] = []
    speeds: list[float] = []
    answers: list[tuple[int, str]] = []
    for place, text in enumerate(texts):
        try:
            line = json.loads(text)
            event = line["event"]
            if event == "started":
                # Each start of all programs is an occasion, too; it has no number of its own.
                found[-place - 1] = Incident(0, START, line["at"], line["at"], "")
                speeds.append(float(line["speed"]))
            elif event == "silent":
                found[-place - 1] = Incident(0, SILENCE, line["from"], line["until"], line["home"])
            elif event == "began":
                found[line["incident"]] = Incident(line["incident"], line["kind"], line["at"], None, line.get("detail", ""))
            elif event == "ended" and line["incident"] in found:
                found[line["incident"]] = replace(found[line["incident"]], ended=line["at"])
            elif event == "answered":
                answers.append((line["at"], line["home"]))
            elif event == "run":
                runs.append(line["at"])
        except (ValueError, KeyError, TypeError) as error:
            if place == len(texts) - 1 and isinstance(error, ValueError):
                break
            raise JournalError(f"line {place + 1} of {name} is no line of a journal; take the folder of an operation as it was written") from error
    incidents = sorted(found.values(), key=lambda incident: (incident.began, incident.number))
    false = {incident.began for incident in incidents if incident.kind == _FALSE_RUN}
    ended = tuple(at for at in sorted(runs) if not any(abs(at - began) < _SAME_SECONDS for began in false))
    return Journal(tuple(incidents), ended, tuple(answers), max(speeds, default=1))


def read(folder: Path) -> Journal:
    """The journal of the operation in `folder`."""
    path = folder / "journal.jsonl"
    if not path.is_file():
        raise JournalError(f"there is no {path}; name the folder that hearthwatch-emulator operate was given as --out")
    return parse(path.read_text(encoding="utf-8").splitlines(), str(path))


def when(at: float, begin: float) -> str:
    """A moment as the report of an operation writes it: `day 5 03:00`."""
    since = max(0, int(at - begin))
    return f"day {since // DAY + 1} {since % DAY // 3_600:02}:{since % 3_600 // 60:02}"


def length(seconds: float) -> str:
    """`25 min`, `3 h`, `2 d`: the largest unit of which there are two at least, or minutes."""
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 2 * 1_440 else f"{minutes / 1_440:.0f} d"

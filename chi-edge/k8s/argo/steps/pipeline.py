"""The steps retrain, gate, sign, canary, promote and undo. Each may be run again: it looks first whether its thing is done.

Exit codes: 0 done; 1 it went wrong, as the last line says; 75 try again later (the workflow does).
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

# `python3 -I` leaves the folder of the program out.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from admin_api import Api, Conflict, Json, Later, Missing, Refused

PAUSE = 30.0
"""Seconds between two looks, unless asked otherwise."""

LATER = 75
"""EX_TEMPFAIL of sysexits: what the workflow tries again for."""


T = TypeVar("T")


class Failed(Exception):
    """The step's own bad end."""


def say(text: str) -> None:
    """A line of the step's log."""
    print(text, flush=True)


class Step:
    """What a step has at hand."""

    def __init__(self, api: Api, pause: float, out: Path | None) -> None:
        """Looks again after `pause` seconds; writes what later steps need into the folder `out`."""
        self.api = api
        self._pause = pause
        self._out = out
        self._last = ""

    def note(self, text: str) -> None:
        """Says how things stand, where that has changed."""
        if text != self._last:
            say(text)
            self._last = text

    def give(self, name: str, value: str) -> None:
        """An output of the step."""
        if self._out is None:
            raise Refused("--out is missing: this step has something to give")
        self._out.mkdir(parents=True, exist_ok=True)
        (self._out / name).write_text(value)

    def until(self, look: Callable[[], T | None]) -> T:
        """Looks until there is something. The template's deadline ends it otherwise."""
        while (found := look()) is None:
            time.sleep(self._pause)
        return found


def retrain(step: Step, since: int, token: str) -> None:
    """Asks for a run, once for each workflow."""
    # POST /runs cannot say that it was sent before. The token is the pipeline's alone, and two of its workflows do not run at a time:
    # so a request of this token since the workflow began is its own.
    mine = [one for one in step.api.every("run-requests") if one["asked_at"] >= since and one["by"] == f"token:{token}"]
    if mine:
        say(f"request {mine[-1]['id']} is there already: {mine[-1]['state']}")
        request = mine[-1]
    else:
        request = step.api.post("runs")
        say(f"asked for a run: request {request['id']}")
    step.give("request", request["id"])


def gate(step: Step, request: str) -> None:
    """Waits for the run's end; prints the verdict with the gate's reasons."""

    def ended() -> Json | None:
        found = step.api.get(f"run-requests/{request}")
        if found["state"] in ("queued", "running"):
            training = step.api.get("training")
            step.note(f"request {request} is {found['state']}; the trainer: {training['phase']} {training['done']}/{training['total']}")
            return None
        return found

    found = step.until(ended)
    if found["state"] != "done" or not found.get("run"):
        raise Failed(f"the run did not come to a verdict: {found['state']}: {found.get('reason') or 'no reason given'}")
    run = step.api.get(f"runs/{found['run']}")
    say(f"run {run['id']}: {run['state']}; data set {run['dataset']}; against model {run.get('champion') or 'none'}")
    for reason in reasons(run.get("report")):
        say(f"  held back: {reason}")
    if run["state"] not in ("promoted", "held"):
        raise Failed(f"the run is {run['state']}: {run.get('failure') or 'no reason given'}")
    step.give("verdict", run["state"])
    step.give("run", run["id"])


def reasons(report: Json | None) -> list[str]:
    """Why the gate held a candidate back; nothing where it did not."""
    verdict = (report or {}).get("verdict")
    if isinstance(verdict, dict):
        return [str(reason) for reason in verdict.get("hold", {}).get("reasons", [])]
    return []


def sign(step: Step, run: str, reason: str) -> None:
    """Waits until the run's model is signed and released; orders the release where the aggregator waits for a person."""
    asked = False

    def released() -> int | None:
        nonlocal asked
        model = next((one for one in step.api.every("models") if one["run"] == run and not one["again"]), None)
        if model and any(one["model_version"] == model["version"] for one in step.api.every("releases")):
            return int(model["version"])
        if model and model["state"] == "awaiting_signature":
            step.note(f"model {model['version']} waits for a second person: hearthwatch-provision approve {model['sha256']}")
            return None
        if model and model["state"] in ("retired", "withdrawn"):
            raise Failed(f"model {model['version']} is {model['state']}: it does not go out")
        if not asked:
            asked = True
            try:
                step.api.post(f"runs/{run}/promote", {"reason": reason})
                say(f"ordered the release of run {run}")
            except Conflict as error:
                # The aggregator was faster, or a later model is out; the next look shows.
                say(f"not ordered: {error}")
            return None
        step.note(f"run {run} is not released yet")
        return None

    version = step.until(released)
    say(f"model {version} is signed and released")
    step.give("version", str(version))


def describe(detail: Json) -> str:
    """A rollout in one line."""
    rollout = detail["rollout"]
    tests = ", ".join(f"{one['test']} {one['log10_e']:.2f} of {one['limit']:.2f}" for one in detail["tests"])
    return (
        f"rollout {rollout['model_version']} is {rollout['state']}: waves open {detail['open']}, homes assigned {detail['assigned']}, "
        f"reported {detail['reported']}, attested {detail['attested']}; next: {detail['next']}; tests (log10 e): {tests}"
    )


def look(step: Step, version: int) -> Json:
    """The rollout, which must not have been stopped."""
    try:
        detail = step.api.get(f"rollouts/{version}")
    except Missing:
        # The director begins it a moment after the release.
        raise Later(f"there is no rollout of version {version} yet") from None
    step.note(describe(detail))
    state, why = detail["rollout"]["state"], detail["rollout"]["reason"]
    if state in ("halted", "rolled_back"):
        raise Failed(f"the rollout of version {version} is {state}: {why}")
    return detail


def over(detail: Json) -> bool:
    """Whether nothing more comes of it, in a good way."""
    return detail["rollout"]["state"] in ("complete", "superseded")


def canary(step: Step, version: int) -> None:
    """Waits until the first wave has passed its tests, which is when the second opens."""

    def passed() -> Json | None:
        detail = look(step, version)
        return detail if over(detail) or detail["open"] > 1 else None

    step.until(passed)
    say("the canaries are well")


def promote(step: Step, version: int, how: str, reason: str) -> None:
    """Waits until the last wave has it; opens all waves at once where that is wanted."""

    def complete() -> Json | None:
        detail = look(step, version)
        if over(detail):
            return detail
        if how == "now" and detail["rollout"]["state"] == "running" and not detail["rollout"]["forced"]:
            try:
                # Only if it is still as it was looked at.
                wish = {"reason": reason, "row_version": detail["rollout"]["row_version"]}
                step.api.post(f"rollouts/{version}/promote", wish)
                say("opened all waves")
            except Conflict as error:
                say(f"not opened now: {error}")
        return None

    detail = step.until(complete)
    say(f"the rollout of version {version} is {detail['rollout']['state']}")


def undo(step: Step, version: int, reason: str) -> None:
    """Brings homes back to the model before. Always ends as failed: something went wrong."""
    detail = step.api.get(f"rollouts/{version}")
    step.note(describe(detail))
    state, why = detail["rollout"]["state"], detail["rollout"]["reason"]
    if state == "rolled_back":
        raise Failed(f"homes were ordered back from version {version}: {why}")
    if state == "superseded":
        raise Failed(f"a later model than version {version} is on its way: nothing is undone")
    try:
        step.api.post(f"rollouts/{version}/rollback", {"reason": f"{reason}: not promoted"})
    except Conflict as error:
        say(f"nothing to go back to: {error}")
        if state in ("running", "paused"):
            step.api.post(f"rollouts/{version}/halt", {"reason": f"{reason}: not promoted"})
            raise Failed(f"the rollout of version {version} is halted; homes that have it keep it") from None
        raise Failed(f"the rollout of version {version} stays {state}") from None
    raise Failed(f"homes are ordered back from version {version}; it was {state}: {why}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause", type=float, default=PAUSE, metavar="SECONDS", help="between two looks")
    steps = parser.add_subparsers(dest="step", required=True)
    for name, options in {
        "retrain": ["--since", "--token-name", "--out"],
        "gate": ["--request", "--out"],
        "sign": ["--run", "--reason", "--out"],
        "canary": ["--version"],
        "promote": ["--version", "--how", "--reason"],
        "undo": ["--version", "--reason"],
    }.items():
        one = steps.add_parser(name)
        for option in options:
            kind = {"--since": float, "--version": int, "--out": Path}.get(option, str)
            one.add_argument(option, type=kind, required=True)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Runs one step."""
    options = parse(arguments)
    try:
        step = Step(Api.from_environment(), options.pause, getattr(options, "out", None))
        match options.step:
            case "retrain":
                retrain(step, int(options.since), options.token_name)
            case "gate":
                gate(step, options.request)
            case "sign":
                sign(step, options.run, options.reason)
            case "canary":
                canary(step, options.version)
            case "promote":
                promote(step, options.version, options.how, options.reason)
            case _:
                undo(step, options.version, options.reason)
    except Later as error:
        say(f"{error}; tried again later")
        return LATER
    except (Failed, Refused) as error:
        say(f"{options.step}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

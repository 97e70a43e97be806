"""Claim tokens and the fleet's authority, from the folder that `hearthwatch-provision init` filled."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hearthwatch_testbed.plan import Claim
from hearthwatch_testbed.problem import Problem

#: A token is made within a second; a program that takes longer waits for a lock that somebody holds.
SECONDS_MAX = 60
PLACEHOLDER = "hwc_placeholder-of-the-dry-run"


class Claims(Protocol):
    """Who issues tokens."""

    def authority(self) -> str:
        """The authority's certificate."""

    def issue(self, home: str, claim: Claim) -> str:
        """A new token; the home's earlier one is void."""

    def revoke(self, home: str) -> None:
        """Ends the home's certificates and tokens."""


@dataclass(frozen=True)
class Provision:
    """`hearthwatch-provision` on this machine."""

    program: str
    keys: Path

    def authority(self) -> str:
        """The file `ca/ca.crt`."""
        path = self.keys / "ca" / "ca.crt"
        try:
            text = path.read_text()
        except OSError as error:
            raise Problem(
                f"{path} cannot be read ({error.strerror}): --keys names the folder that `hearthwatch-provision init` "
                "filled."
            ) from error
        if "BEGIN CERTIFICATE" not in text or "PRIVATE KEY" in text:
            raise Problem(f"{path} is not a certificate, or holds a private key beside it: it goes to every device.")
        return text

    def issue(self, home: str, claim: Claim) -> str:
        """Only now is it shown; so it is made right before the container."""
        kind = ["--new-token"] if claim is Claim.ONCE else ["--reusable"]
        token = self._run("home", "add", home, *kind, "--token-only", "--out", str(self.keys)).strip()
        if not token.startswith("hwc_"):
            raise Problem(f"{self.program} printed no claim token for {home}; run it by hand to see why.")
        return token

    def revoke(self, home: str) -> None:
        """In the ledger; the aggregator is told by its own API."""
        self._run("home", "revoke", home, "--reason", "the testbed was taken down", "--out", str(self.keys))

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                [self.program, *arguments], capture_output=True, text=True, timeout=SECONDS_MAX, check=False
            )
        except FileNotFoundError as error:
            raise Problem(
                f"{self.program} is not installed here: build it by `cargo build --release -p hearthwatch-provision`, "
                "and name it by --provision."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise Problem(
                f"{self.program} did not end within {SECONDS_MAX} s: another one may hold its lock."
            ) from error
        if done.returncode:
            raise Problem(f"{self.program} {arguments[0]} {arguments[1]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


class DryClaims:
    """For a dry run: nothing is issued."""

    def __init__(self, real: Provision | None) -> None:
        self._real = real

    def authority(self) -> str:
        """The real one if it can be read."""
        try:
            return self._real.authority() if self._real else "(ca/ca.crt of --keys)\n"
        except Problem:
            return "(ca/ca.crt of --keys)\n"

    def issue(self, home: str, claim: Claim) -> str:
        """Nothing that is good for anything."""
        return PLACEHOLDER

    def revoke(self, home: str) -> None:
        """Nothing."""

"""Time, as an argument: what tests and the dry run replace."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """In UTC."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class WallClock:
    """The machine's."""

    def now(self) -> datetime:
        """In UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


@dataclass
class NoWaiting:
    """Waits for nothing: in a dry run everything is done at once."""

    at: datetime

    def now(self) -> datetime:
        """The same moment."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Not at all."""

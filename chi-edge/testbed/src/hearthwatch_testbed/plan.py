"""What is to exist: devices, homes and their containers. Decided from the options alone, without a network."""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from hearthwatch_testbed.names import Names
from hearthwatch_testbed.problem import EXIT_USAGE, Problem

#: What the site allows; a longer one is refused there. `renew` makes it longer in its last two days.
LEASE_MAX = timedelta(days=7)
LEASE_MIN = timedelta(minutes=10)
#: More would not fit into names of two digits; the site has fewer.
HOMES_MAX = 99

#: The role of a container that feeds a Home Assistant, in its name.
FEED = "feed"

MACHINE_TYPES = (
    "raspberrypi5",
    "raspberrypi4-64",
    "jetson-nano",
    "jetson-xavier-nx-devkit-emmc",
)

# A registry's host or path, a name, and a tag or a digest, as container registries read it.
_IMAGE = re.compile(
    r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_DURATION = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Source(StrEnum):
    """Where a home's entities come from."""

    HOME_ASSISTANT = "home-assistant"
    EMULATOR = "emulator"
    ELSEWHERE = "elsewhere"


class Claim(StrEnum):
    """What a home's claim token is good for."""

    ONCE = "once"
    REUSABLE = "reusable"


@dataclass(frozen=True)
class Home:
    """One home: an agent, and perhaps its source beside it on the same device, and what feeds that source."""

    number: int
    name: str
    device: int
    source: Source
    agent: str
    source_container: str | None
    #: The container that feeds a recorded home to a real Home Assistant, which alone would have no sensors.
    feed: str | None


@dataclass(frozen=True)
class Images:
    """What the containers run."""

    agent: str
    home_assistant: str
    emulator: str


@dataclass(frozen=True)
class Fleet:
    """Where the homes' fleet is."""

    host: str
    mqtt_port: int = 8883
    http_port: int = 8443


@dataclass(frozen=True)
class Plan:
    """Everything that `up` makes."""

    names: Names
    devices: int
    machine_type: str
    device_names: tuple[str, ...]
    lease: timedelta
    images: Images
    fleet: Fleet
    homes: tuple[Home, ...]
    claim: Claim
    home_assistant_url: str | None
    emulator_command: tuple[str, ...]
    floating_ip: bool

    def containers(self) -> tuple[str, ...]:
        """The names of all, sources first: feeds and agents need the address of their source."""
        sources = tuple(home.source_container for home in self.homes if home.source_container)
        feeds = tuple(home.feed for home in self.homes if home.feed)
        return sources + feeds + tuple(home.agent for home in self.homes)

    def unwanted_feeds(self) -> tuple[str, ...]:
        """The names of feeds that an `up` without --no-feed made."""
        numbers = (home.number for home in self.homes if home.source is Source.HOME_ASSISTANT and not home.feed)
        return tuple(self.names.container(FEED, number) for number in numbers)


def duration(text: str) -> timedelta:
    """`90m`, `2h`, `7d`."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise Problem(f"{text!r} is not a duration: write 90m, 2h or 7d.", EXIT_USAGE)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def lease_length(text: str) -> timedelta:
    """A duration that a lease may have."""
    length = duration(text)
    if length > LEASE_MAX:
        raise Problem(
            f"A lease of {text} is too long: the site allows 7 days. Ask for 7d, and run `testbed renew` in the last "
            "two days.",
            EXIT_USAGE,
        )
    if length < LEASE_MIN:
        raise Problem(f"A lease of {text} is over before the containers run: ask for 10m or more.", EXIT_USAGE)
    return length


def check_image(image: str, what: str) -> str:
    """The image's name, if a registry can understand it."""
    if not _IMAGE.fullmatch(image):
        raise Problem(
            f"{what} is {image!r}, which is not the name of an image: write HOST/PATH/NAME:TAG in small letters, such "
            "as ghcr.io/somebody/hearthwatch-agent:1.",
            EXIT_USAGE,
        )
    return image


def allot(
    names: Names, devices: int, home_assistant: int, emulated: int | None, *, elsewhere: bool, feed: bool = True
) -> tuple[Home, ...]:
    """Homes for devices: every device has at least one, more go round.

    The first `home_assistant` homes have a Home Assistant in a container beside the agent, with a feed if wanted; the next
    `emulated` one that the emulator plays. The rest have one elsewhere; without its address the rest is emulated too.
    """
    if devices < 1:
        raise Problem("A testbed has at least one device: --devices 1.", EXIT_USAGE)
    if home_assistant < 0 or (emulated is not None and emulated < 0):
        raise Problem("--home-assistant and --emulated are counts: 0 or more.", EXIT_USAGE)
    rest = max(devices - home_assistant - (emulated or 0), 0)
    if emulated is None:
        emulated, rest = (0, rest) if elsewhere else (rest, 0)
    if rest and not elsewhere:
        raise Problem(
            f"{rest} of {devices} devices would have an agent and no Home Assistant to watch: raise --home-assistant "
            "or --emulated, or give --home-assistant-url and --home-assistant-token.",
            EXIT_USAGE,
        )
    total = home_assistant + emulated + rest
    if total > HOMES_MAX:
        raise Problem(f"{total} homes are more than a testbed names, {HOMES_MAX}.", EXIT_USAGE)
    kinds = [Source.HOME_ASSISTANT] * home_assistant + [Source.EMULATOR] * emulated + [Source.ELSEWHERE] * rest
    return tuple(
        Home(
            number=number,
            name=names.home(number),
            device=(number - 1) % devices,
            source=kind,
            agent=names.container("agent", number),
            source_container=None if kind is Source.ELSEWHERE else names.container(kind, number),
            feed=names.container(FEED, number) if feed and kind is Source.HOME_ASSISTANT else None,
        )
        for number, kind in enumerate(kinds, start=1)
    )

"""Names of what the testbed makes: RFC 1123 labels that begin with the fleet's name and end in the project's suffix."""

import re
from dataclasses import dataclass

from hearthwatch_testbed.problem import Problem

# A container's name becomes that of a container in Kubernetes, which is an RFC 1123 label. Zun itself would take `_` and capitals.
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
LABEL_LENGTH_MAX = 63
# "hearthwatch" + "-home-assistant-" + "99" + "-" + suffix have to fit into a label.
PART_LENGTH_MAX = 20


def check_part(text: str, what: str) -> str:
    """The text, if it can be part of a name."""
    if not LABEL.fullmatch(text) or len(text) > PART_LENGTH_MAX:
        raise Problem(
            f"{what} is {text!r}, and becomes part of a name in Kubernetes: "
            f"use a-z, 0-9 and '-' (not at either end), at most {PART_LENGTH_MAX} characters."
        )
    return text


@dataclass(frozen=True)
class Names:
    """How everything of one testbed is called."""

    fleet: str
    suffix: str

    def __post_init__(self) -> None:
        check_part(self.fleet, "--fleet-name")
        check_part(self.suffix, "--suffix")

    @property
    def lease(self) -> str:
        """The one lease."""
        return f"{self.fleet}-{self.suffix}"

    @property
    def floating_ip(self) -> str:
        """The description of the floating IP: it has no name."""
        return f"{self.fleet}-ip-{self.suffix}"

    def home(self, number: int) -> str:
        """A home's pseudonym in the fleet."""
        return f"{self.fleet}-{number:02}-{self.suffix}"

    def container(self, role: str, number: int) -> str:
        """A container of a home."""
        return f"{self.fleet}-{role}-{number:02}-{self.suffix}"

    def number_of_agent(self, container: str) -> int | None:
        """The number of the home whose agent has this name."""
        found = re.fullmatch(rf"{self.fleet}-agent-(\d+)-{self.suffix}", container)
        return int(found[1]) if found else None

    def owns(self, name: str) -> bool:
        """Whether this testbed gave that name."""
        return name == self.lease or (name.startswith(f"{self.fleet}-") and self.is_of_the_project(name))

    def is_of_the_project(self, name: str) -> bool:
        """Whether the name ends in the project's suffix."""
        return name.endswith(f"-{self.suffix}")

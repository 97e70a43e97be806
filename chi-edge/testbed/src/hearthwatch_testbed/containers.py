"""The requests that make containers, as Zun's stock client takes them."""

import hashlib
import json
from dataclasses import dataclass, field

from hearthwatch_testbed import edge_toml, home_assistant
from hearthwatch_testbed.plan import Home, Plan, Source
from hearthwatch_testbed.problem import Problem

#: Marks what this program made; its value says what it was made from. A label of Kubernetes has at most 63 characters.
PLAN_LABEL = "hearthwatch-plan"
#: What the image of the emulator, whose entrypoint is the program, is asked to do beside a Home Assistant.
FEED_COMMAND = ("feed",)
TOKEN_VARIABLE = "HEARTHWATCH_CLAIM_TOKEN"  # noqa: S105 (its name, not a secret)
#: A bind mount becomes a ConfigMap of Kubernetes, which holds about 1 MiB; so much of it for one file leaves room.
MOUNT_BYTES_MAX = 512 * 1024


@dataclass(frozen=True)
class ContainerRequest:
    """One container that is wanted."""

    name: str
    image: str
    reservation: str
    environment: dict[str, str]
    #: Where in the container -> what the file holds.
    files: dict[str, str]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    #: The variables that differ at each making, and are not part of what it was made from.
    fresh: dict[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """What it is made from, in 16 characters: an existing container with another digest is out of date."""
        parts = [self.name, self.image, self.reservation, self.environment, self.files, self.entrypoint, self.command]
        text = json.dumps([*parts, self.exposed_ports, sorted(self.fresh)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def arguments(self) -> dict[str, object]:
        """Those of `zun().containers.create`.

        No `device_profiles`: the stock client refuses it. No `restart_policy`, `privileged`, `nets` or `healthcheck`: the
        driver of CHI@Edge ignores or refuses them. No `exposed_ports` when there are none: `null` is refused.
        """
        environment = self.environment | self.fresh
        for name, value in environment.items():
            if not isinstance(value, str):
                raise TypeError(f"{name} of {self.name} is no text; Zun refuses it")
        for path, content in self.files.items():
            if len(content.encode()) > MOUNT_BYTES_MAX:
                raise Problem(
                    f"The file for {path} has more than {MOUNT_BYTES_MAX} bytes, which CHI@Edge cannot mount."
                )
        arguments: dict[str, object] = {
            "name": self.name,
            "image": self.image,
            # The id of the reservation, not of the lease.
            "hints": {"reservation": self.reservation},
            "environment": environment,
            "labels": {PLAN_LABEL: self.digest()},
            "mounts": [
                # The client encodes the content; a path would be sent as a text.
                {"type": "bind", "source": content, "destination": path}
                for path, content in self.files.items()
            ],
        }
        optional = {"entrypoint": list(self.entrypoint), "command": list(self.command)}
        arguments |= {key: value for key, value in optional.items() if value}
        if self.exposed_ports:
            arguments["exposed_ports"] = {port: {} for port in self.exposed_ports}
        return arguments


def source_request(plan: Plan, home: Home, reservation: str, secret: str) -> ContainerRequest:
    """The Home Assistant of a home, or the emulator that plays one."""
    if home.source_container is None:
        raise ValueError(f"{home.name} has its Home Assistant elsewhere")
    # Only a Home Assistant has a page that somebody opens from outside, and only a floating IP leads to it.
    open_port = plan.floating_ip and home.number == 1
    ports = (f"{home_assistant.PORT}/tcp",) if open_port else ()
    if home.source is Source.HOME_ASSISTANT:
        seed = home_assistant.seed(secret, home.name, fed=home.feed is not None)
        return ContainerRequest(
            name=home.source_container,
            image=plan.images.home_assistant,
            reservation=reservation,
            environment={"TZ": "UTC"},
            files={
                f"{edge_toml.FOLDER}/auth": seed.auth,
                f"{edge_toml.FOLDER}/onboarding": seed.onboarding,
                f"{edge_toml.FOLDER}/configuration.yaml": home_assistant.CONFIGURATION,
            },
            entrypoint=home_assistant.COMMAND,
            exposed_ports=ports,
        )
    return ContainerRequest(
        name=home.source_container,
        image=plan.images.emulator,
        reservation=reservation,
        environment={
            "HEARTHWATCH_EMULATOR_HOME": str(home.number),
            "HEARTHWATCH_EMULATOR_LISTEN": f"0.0.0.0:{home_assistant.PORT}",
            "HEARTHWATCH_EMULATOR_TOKEN_FILE": edge_toml.TOKEN,
        },
        files={edge_toml.TOKEN: emulator_token(secret, home)},
        command=plan.emulator_command,
        exposed_ports=ports,
    )


def feed_request(plan: Plan, home: Home, reservation: str, *, url: str, secret: str) -> ContainerRequest:
    """The emulator that sets a recorded home's states in the home's Home Assistant, at `url`."""
    token = home_assistant.seed(secret, home.name, fed=True).owner_token
    if home.feed is None or token is None:
        raise ValueError(f"{home.name} is not fed")
    return ContainerRequest(
        name=home.feed,
        image=plan.images.emulator,
        reservation=reservation,
        environment={
            "HEARTHWATCH_EMULATOR_HOME": str(home.number),
            "HEARTHWATCH_EMULATOR_FEED": url,
            "HEARTHWATCH_EMULATOR_TOKEN_FILE": edge_toml.TOKEN,
        },
        files={edge_toml.TOKEN: token},
        command=FEED_COMMAND,
    )


def agent_token(secret: str, home: Home) -> str:
    """What the home's agent shows its source, a Home Assistant in a container or the emulator."""
    if home.source is Source.HOME_ASSISTANT:
        return home_assistant.seed(secret, home.name, fed=home.feed is not None).token
    return emulator_token(secret, home)


def emulator_token(secret: str, home: Home) -> str:
    """What the emulator asks of the agent, as Home Assistant does."""
    return home_assistant.derived(secret, home.name, "emulator")


def agent_request(
    plan: Plan, home: Home, reservation: str, *, url: str, token: str, authority: str, claim: str
) -> ContainerRequest:
    """The agent of a home. `url` and `token` are those of its Home Assistant."""
    return ContainerRequest(
        name=home.agent,
        image=plan.images.agent,
        reservation=reservation,
        environment={"HEARTHWATCH_EDGE_CONFIG": edge_toml.CONFIGURATION, "HEARTHWATCH_LOG_FORMAT": "json"},
        files={
            edge_toml.CONFIGURATION: edge_toml.edge_toml(home.name, plan.fleet, url),
            edge_toml.AUTHORITY: authority,
            edge_toml.TOKEN: token,
        },
        fresh={TOKEN_VARIABLE: claim},
    )

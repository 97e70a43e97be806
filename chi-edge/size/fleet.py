"""A fleet: aggregator, signer and mosquitto, each in its container, and homes that answer without end."""

import contextlib
import json
import re
import shutil
import sqlite3
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
from engine import USER, Container, Failed, Limits, NotInTime, forget_file, run, until
from processes import Beside, listens, owned, ports

START_SECONDS, TRAIN_SECONDS, SETTLE_SECONDS = 60.0, 3600.0, 60.0
SIGNER = Limits(64, 0.5)
BROKER = Limits(256, 1.0)
# Runs begin when they are asked for, and at no other time.
QUIET = "\ntrigger_count = 0\nschedule_hours = 0\ndrift = false\nconfirmations = false"
# Enrolments at a time.
AT_ONCE = 4
NICE = 10


@dataclass(frozen=True)
class Setting:
    """Where things are."""

    names: dict[str, str]
    programs: Path
    folder: Path
    corpus: Path


class Fleet:
    """Keys, broker and signer; the aggregator is started apart, since its limits are what is asked for."""

    def __init__(self, setting: Setting, name: str) -> None:
        self.setting = setting
        self.name = name
        self.folder = setting.folder / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.keys = self.folder / "keys"
        self.mqtt, self.http = ports(2)
        listen = ["--listen", "127.0.0.1", "--mqtt-port", self.mqtt, "--http-port", self.http]
        # The corpus stands in the image's own folder: it is read-only, and belongs to somebody else.
        words = ["init", "--out", self.keys, "--host", "localhost", *listen, "--corpus", self.folder / "corpus", "--broker-user", "root"]
        run(self._program("provision"), *words)
        shutil.copytree(setting.corpus, self.folder / "corpus")
        config = self.keys / "cloud.toml"
        text = config.read_text(encoding="utf-8")
        config.write_text(re.sub(r"(?m)^(\[training\]$)", rf"\1{QUIET}", text), encoding="utf-8")
        mosquitto = self.keys / "mosquitto/mosquitto.conf"
        mosquitto.write_text(re.sub(r"(?m)^user root$", "", mosquitto.read_text(encoding="utf-8")), encoding="utf-8")
        run(self._program("cloud"), "token", "add", "admin", "--role", "admin", "--config", config, "--file", self.folder / "token")
        self.token = (self.folder / "token").read_text(encoding="utf-8").strip()
        owned(self.folder, USER)
        self.trust = ssl.create_default_context(cafile=str(self.keys / "ca/ca.crt"))
        socket = self.keys / "signer.sock"
        words = ["signer", "--keys", self.keys / "tuf/signer", "--gate-public", self.keys / "gate/gate.pub", "--socket", socket]
        self.signer = Container(f"hearthwatch-size-{name}-signer", setting.names["provision"], [str(word) for word in words], SIGNER, [self.folder])
        self.broker = Container(f"hearthwatch-size-{name}-broker", setting.names["broker"], ["-c", str(mosquitto)], BROKER, [self.folder])
        until("the broker", START_SECONDS, lambda: listens(self.mqtt))
        until("the signer's socket", START_SECONDS, socket.exists)
        self.homes = Beside()
        # The homes' disks are not this machine's, and the aggregator's is: theirs are memory here.
        self.states = Path(tempfile.mkdtemp(prefix="hearthwatch-size-", dir="/dev/shm"))
        self.aggregator: Container | None = None

    def _program(self, name: str) -> Path:
        return self.setting.programs / f"hearthwatch-{name}"

    def start(self, limits: Limits) -> Container:
        """Starts the aggregator with these limits, and waits until it can do all of its work."""
        image = self.setting.names["aggregator"]
        forget_file(images.file_of(image, "hearthwatch-cloud"))
        arguments = ["serve", "--config", str(self.keys / "cloud.toml")]
        container = Container(f"hearthwatch-size-{self.name}-aggregator", image, arguments, limits, [self.folder])
        self.aggregator = container

        def able() -> bool:
            if not container.runs():
                raise Failed(f"the aggregator has ended; its last lines: {container.log()[-400:]}")
            return bool(self.ask("GET", "/readyz").get("status") == "able")

        until("the aggregator is ready", START_SECONDS, able)
        return container

    def ask(self, method: str, path: str) -> dict[str, Any]:
        """An answer of the admin API; nothing where there is none."""
        request = urllib.request.Request(f"https://localhost:{self.http}{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        with contextlib.suppress(OSError, urllib.error.HTTPError), urllib.request.urlopen(request, timeout=10, context=self.trust) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
        return {}

    def enrol(self, count: int) -> None:
        """Lets homes in as people do: a claim token each, and a certificate for the home's own key."""
        asked = [number for number in range(1, count + 1) if not self._bundle(number, "agent.crt").exists()]
        for number in asked:
            self._bundle(number, "").mkdir(parents=True, exist_ok=True)
            words = ["home", "add", f"home-{number}", "--token-only", "--new-token", "--out", self.keys]
            self._bundle(number, "claim").write_text(run(self._program("provision"), *words).split()[-1], encoding="utf-8")
        # The aggregator reads and changes what `home add` wrote.
        owned(self.keys, USER)

        def enrols(number: int) -> None:
            words = ["enrol", "--url", f"https://localhost:{self.http}", "--ca", self.keys / "ca/ca.crt", "--home", f"home-{number}"]
            words += ["--token-file", self._bundle(number, "claim"), "--out", self._bundle(number, "")]
            run(self._program("edge"), *words)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for one in [pool.submit(enrols, number) for number in asked]:
                one.result()

    def _bundle(self, number: int, file: str) -> Path:
        return self.folder / f"bundles/home-{number}" / file

    def connect(self, count: int, mute: bool) -> None:
        """Homes that answer five times a second, or only stay connected."""
        for number in range(1, count + 1):
            state = self.states / str(number)
            state.mkdir(parents=True, exist_ok=True)
            words = ["chaos-home", "--home", f"home-{number}", "--bundle", self._bundle(number, "")]
            words += ["--state", state, "--port", self.mqtt, *(["--mute"] if mute else [])]
            # What makes the load leaves the processors to what is measured.
            self.homes.start(state / "log", "nice", "-n", NICE, self._program("emulator"), *words)

    def stored(self) -> int:
        return int(self.ask("GET", "/api/v1/feedback/totals").get("records", 0))

    def settles(self) -> int:
        """How many answers are stored when no more come."""
        last, since = self.stored(), time.monotonic()
        end = since + SETTLE_SECONDS
        while time.monotonic() < end:
            time.sleep(1.0)
            now = self.stored()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 3:
                return last
        return last

    def database(self) -> int:
        """Bytes of the database, what is still in its log among them."""
        with contextlib.closing(sqlite3.connect(f"file:{self.keys / 'data/aggregator.db'}?mode=ro", uri=True)) as database:
            pages, size = (database.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
        return int(pages) * int(size)

    def trains(self) -> float:
        """Seconds of a run that was asked for, from the request to its verdict."""
        begun = time.monotonic()
        request = self.ask("POST", "/api/v1/runs").get("id")
        if not request or self.aggregator is None:
            raise Failed("no run could be asked for; look into the aggregator's log")
        aggregator = self.aggregator

        def done() -> bool:
            state = self.ask("GET", f"/api/v1/run-requests/{request}")
            if not state and not aggregator.runs():
                raise Failed("the aggregator has ended while it trained")
            if state.get("state") in ("failed", "dropped"):
                raise Failed(f"the run failed: {state.get('reason')}")
            return bool(state.get("state") == "done")

        try:
            until("the run's end", TRAIN_SECONDS, done)
        except NotInTime as late:
            raise Failed(str(late)) from late
        return time.monotonic() - begun

    def close(self) -> None:
        self.homes.stop()
        for container in (self.aggregator, self.broker, self.signer):
            if container:
                container.remove()
        shutil.rmtree(self.states, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

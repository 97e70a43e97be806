"""The agent in its container, beside a stand-in for Home Assistant and a real mosquitto: what it takes, and how little is enough."""

import queue
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

import images
from engine import USER, Container, Failed, Limits, NotInTime, forget_file, until
from processes import Beside, listens, owned, ports

LISTENS = "listening to Home Assistant"
RELEARNT = "the home's routine is learnt anew"
TAKEN_SECONDS = 30.0
BROKER = "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
CONFIG = """\
state = "state"
[home_assistant]
url = "http://127.0.0.1:{home}"
token_file = "token"
[home.mqtt]
host = "127.0.0.1"
port = {broker}
[page]
listen = "127.0.0.1:{page}"
"""
Heard = tuple[float, str, str]


class Line:
    """Somebody on the home's broker who hears what the agent says."""

    def __init__(self, port: int) -> None:
        self.heard: queue.Queue[Heard] = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._hear
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("hearthwatch/home/#")
        self.client.loop_start()

    def _hear(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        text = message.payload.decode(errors="replace")
        self.heard.put((time.monotonic(), message.topic.removeprefix("hearthwatch/home/"), text))

    def say(self, command: str, payload: str) -> None:
        self.client.publish(f"hearthwatch/home/command/{command}", payload)

    def wait(self, name: str, seconds: float, wanted: Callable[[str], bool], lives: Callable[[], bool]) -> float:
        """When what is said of `name` was wanted for the first time; a container that has died says nothing more."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                at, said_of, text = self.heard.get(timeout=1.0)
            except queue.Empty:
                if not lives():
                    raise Failed("the container has ended") from None
                continue
            if said_of == name and wanted(text):
                return at
        raise NotInTime(f"nothing wanted was said of {name} within {seconds:.0f} s")

    def close(self) -> None:
        self.client.loop_stop()
        self.client.disconnect()


@dataclass(frozen=True)
class Patience:
    """How long each may take, in seconds; here longer than each takes with enough of everything, by far."""

    history: float = 180.0
    alarm: float = 30.0
    anew: float = 180.0

    @classmethod
    def beside(cls, enough: dict[str, Any]) -> "Patience":
        """Three times as long as with enough memory, and five seconds: with too little, pages of the program are read again and again."""
        return cls(3 * enough["history_s"] + 5, 3 * enough["alarm_s"] + 5, 3 * enough["anew_s"] + 5)


PATIENCE = Patience()


@dataclass(frozen=True)
class Setting:
    """Where things are."""

    image: str
    program: Path
    folder: Path
    here: Path


class Home:
    """An agent with a home around it."""

    def __init__(self, setting: Setting, name: str, entities: int, limits: Limits, every: float = 60.0) -> None:
        self.setting = setting
        self.patience = PATIENCE
        self.folder = setting.folder / name
        self.entities = entities
        shutil.rmtree(self.folder, ignore_errors=True)
        data = self.folder / "data"
        data.mkdir(parents=True)
        home, broker, page = ports(3)
        for file, text in (("token", "any"), ("edge.toml", CONFIG.format(home=home, broker=broker, page=page))):
            (data / file).write_text(text, encoding="utf-8")
        (self.folder / "mosquitto.conf").write_text(BROKER.format(port=broker), encoding="utf-8")
        owned(data, USER)
        self.breaks = self.folder / "breaks"
        self.beside = Beside()
        self.beside.start(self.folder / "broker.log", images.find("mosquitto", setting.folder), "-c", self.folder / "mosquitto.conf")
        double = [setting.here / "home_assistant.py", "--port", home, "--entities", entities, "--every", every, "--breaks", self.breaks]
        self.beside.start(self.folder / "home_assistant.log", sys.executable, *double)
        until("the home's broker", 30, lambda: listens(broker))
        until("the stand-in for Home Assistant", 30, lambda: listens(home))
        self.line = Line(broker)
        arguments = ["run", "--config", str(data / "edge.toml")]
        self.container = Container(f"hearthwatch-size-{name}", setting.image, arguments, limits, [data])

    def wait(self, name: str, seconds: float, wanted: Callable[[str], bool]) -> float:
        return self.line.wait(name, seconds, wanted, self.container.runs)

    def learns_history(self) -> float:
        """Seconds from the start until a fortnight is learnt and the agent listens."""
        return self.wait("mode", self.patience.history, lambda mode: mode.startswith(LISTENS)) - self.container.begun

    def raises_alarm(self, number: int = 0) -> float:
        """Seconds from an impossible value to the alarm on the home's broker."""
        self.breaks.with_suffix(".new").write_text(str(number), encoding="utf-8")
        self.breaks.with_suffix(".new").rename(self.breaks)
        said = time.monotonic()
        entity = f'"sensor.thermometer_{number:03}"'
        return self.wait("alarm/attributes", self.patience.alarm, lambda text: entity in text) - said

    def learns_anew(self) -> float:
        """Seconds that the end of days with guests takes: the routine is learnt a second time, which takes the most memory."""
        before = self.container.log().count(RELEARNT)
        for mode in ("guests", "home"):
            self.line.say("house_mode", mode)
            self.wait("house_mode", TAKEN_SECONDS, lambda told, mode=mode: told == mode)  # type: ignore[misc]
        begun = time.monotonic()

        def anew() -> bool:
            if not self.container.runs():
                raise Failed("the container has ended")
            return self.container.log().count(RELEARNT) > before

        until("the routine is learnt anew", self.patience.anew, anew)
        return time.monotonic() - begun

    def close(self) -> None:
        self.line.close()
        self.container.remove()
        self.beside.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def day(setting: Setting, name: str, entities: int, limits: Limits, patience: Patience = PATIENCE) -> dict[str, Any]:
    """What one life takes: it learns its history, raises an alarm, learns anew. Raises Failed where it does not get so far."""
    forget_file(setting.program)
    home = Home(setting, name, entities, limits)
    home.patience = patience
    try:
        history = home.learns_history()
        learnt = home.container.usage()
        alarm = home.raises_alarm()
        anew = home.learns_anew()
        last = home.container.usage()
        if not home.container.runs() or home.container.was_killed():
            raise Failed("the container was ended for its memory")
    finally:
        home.close()
    return {
        "history_s": history,
        "history_cpu_s": learnt.cpu_seconds,
        "alarm_s": alarm,
        "anew_s": anew,
        "anew_cpu_s": last.cpu_seconds - learnt.cpu_seconds,
        "resident_mib": learnt.resident / 2**20,
        "allocated_mib": learnt.allocated / 2**20,
        "resident_peak_mib": last.resident_peak / 2**20,
        "counted_peak_mib": last.peak / 2**20,
    }


def least_memory(setting: Setting, name: str, entities: int, low: int, high: Limits) -> int:
    """The smallest limit, in MiB, with which it gets as far, and not much slower."""
    patience = Patience.beside(day(setting, name, entities, high))

    def enough(mebibytes: int) -> bool:
        try:
            day(setting, name, entities, Limits(mebibytes, high.cpus), patience)
        except Failed:
            return False
        return True

    return smallest(low, high.memory_mib, enough)


def smallest(low: int, high: int, enough: Callable[[int], bool]) -> int:
    """The smallest limit that is enough, between one that is not and one that is."""
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def at_rest(setting: Setting, sizes: list[int], repetitions: int, minutes: float, limits: Limits, every: float) -> list[dict[str, Any]]:
    """What agents take while nothing happens but ordinary changes; all of them side by side, since it is little."""
    each = [(entities, number) for entities in sizes for number in range(repetitions)]
    homes = []
    try:
        for entities, number in each:
            homes.append(Home(setting, f"rest-{entities}-{number}", entities, limits, every))
            homes[-1].learns_history()
        before = [(time.monotonic(), home.container.usage()) for home in homes]
        time.sleep(minutes * 60)
        after = [(time.monotonic(), home.container.usage()) for home in homes]
    finally:
        for home in homes:
            home.close()
    return [
        {
            "entities": home.entities,
            "watched_minutes": (end - begin) / 60,
            "cpu_s_per_hour": (later.cpu_seconds - earlier.cpu_seconds) / (end - begin) * 3600,
            "resident_mib": later.resident / 2**20,
            "allocated_mib": later.allocated / 2**20,
            "resident_peak_mib": later.resident_peak / 2**20,
        }
        for home, (begin, earlier), (end, later) in zip(homes, before, after, strict=True)
    ]

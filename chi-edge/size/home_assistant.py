"""A stand-in for Home Assistant's WebSocket: a home with as many thermometers as are asked for, and a fortnight of history for each.

`home_assistant.py --port PORT --entities N --every SECONDS --breaks FILE`: each thermometer changes every SECONDS. The number in FILE, once it is
there, is the thermometer that then says 5000 °C. What the real Home Assistant does is looked at in the suite `home-assistant`.
"""

import argparse
import asyncio
import contextlib
import json
import math
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

VERSION = "2026.11.0"
BROKEN = "5000"
LOOK_SECONDS = 0.1
# One row of history; the agent's steps are as long.
STEP_SECONDS = 600
REMEMBERED_SECONDS = 14 * 86_400
DAY_STEPS = 144


def entity(number: int) -> str:
    return f"sensor.thermometer_{number:03}"


def value(number: int, step: int) -> str:
    """A daily wave and some noise around 20 °C, the same each time it is asked."""
    wave = math.sin(math.tau * (step % DAY_STEPS) / DAY_STEPS)
    noise = (step * 7919 + number * 104_729) % 1009 / 1009
    return f"{20 + wave + noise:.2f}"


def history(asked: dict[str, Any], now: float) -> dict[str, list[dict[str, Any]]]:
    """What the recorder holds between the two times, of the last fortnight: a value for each step."""
    start, end = (datetime.fromisoformat(asked[key]).timestamp() for key in ("start_time", "end_time"))
    first = int(max(start, now - REMEMBERED_SECONDS)) // STEP_SECONDS + 1
    last = int(min(end, now)) // STEP_SECONDS

    def rows(number: int) -> list[dict[str, Any]]:
        return [{"s": value(number, step), "lu": step * STEP_SECONDS} for step in range(first, last + 1)]

    return {name: rows(int(name.rsplit("_", 1)[1])) for name in asked.get("entity_ids", [])}


def attributes(number: int) -> dict[str, str]:
    return {"device_class": "temperature", "unit_of_measurement": "°C", "friendly_name": f"Thermometer {number:03}"}


def answer(kind: str, asked: dict[str, Any], entities: int, now: float) -> Any:
    """What Home Assistant says to a request of this kind."""
    match kind:
        case "get_config":
            return {"state": "RUNNING", "time_zone": "UTC", "version": VERSION, "language": "en"}
        case "get_states":
            step = int(now) // STEP_SECONDS
            return [{"entity_id": entity(one), "state": value(one, step), "attributes": attributes(one)} for one in range(entities)]
        case "config/entity_registry/list":
            return [{"entity_id": entity(one), "id": entity(one), "unique_id": entity(one)} for one in range(entities)]
        case "config/device_registry/list" | "config/area_registry/list" | "config/label_registry/list":
            return []
        case "history/history_during_period":
            return history(asked, now)
        case "recorder/statistics_during_period":
            return {}
        case _:
            return None


class Home:
    """The home, as one agent sees it."""

    def __init__(self, entities: int, every: float, breaks: Path) -> None:
        self.entities = entities
        self.every = every
        self.breaks = breaks

    def broken(self) -> int | None:
        """The thermometer that says what cannot be."""
        text = self.breaks.read_text(encoding="utf-8").strip() if self.breaks.exists() else ""
        return int(text) if text.isdigit() else None

    async def changes(self, socket: web.WebSocketResponse, subscription: int) -> None:
        """Says one change after the other, spread over the time, and the impossible one."""
        turn, told, due = 0, None, time.monotonic()
        while not socket.closed:
            if (broken := self.broken()) not in (None, told):
                told = broken
                await self.say(socket, subscription, entity(broken or 0), BROKEN)
            if time.monotonic() >= due:
                due += self.every / self.entities
                number, turn = turn % self.entities, turn + 1
                if number != told:
                    await self.say(socket, subscription, entity(number), value(number, turn * 13))
            await asyncio.sleep(min(LOOK_SECONDS, max(0.0, due - time.monotonic())))

    @staticmethod
    async def say(socket: web.WebSocketResponse, subscription: int, name: str, state: str) -> None:
        event = {"c": {name: {"+": {"s": state, "lc": time.time()}}}}
        await socket.send_json({"id": subscription, "type": "event", "event": event})

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One connection of the agent."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "auth_required", "ha_version": VERSION})
        await socket.receive()
        await socket.send_json({"type": "auth_ok", "ha_version": VERSION})
        changing: asyncio.Task[None] | None = None
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                break
            asked = json.loads(message.data)
            number, kind = asked["id"], asked["type"]
            if kind == "ping":
                await socket.send_json({"id": number, "type": "pong"})
                continue
            result = answer(kind, asked, self.entities, time.time())
            await socket.send_json({"id": number, "type": "result", "success": True, "result": result})
            if kind == "subscribe_entities":
                step = int(time.time()) // STEP_SECONDS
                present = {entity(one): {"s": value(one, step), "lc": time.time(), "a": attributes(one)} for one in range(self.entities)}
                await socket.send_json({"id": number, "type": "event", "event": {"a": present}})
                changing = asyncio.create_task(self.changes(socket, number))
        if changing:
            changing.cancel()
            # The agent may have gone while something was said to it.
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await changing
        return socket


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--entities", type=int, required=True)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two changes of one thermometer")
    parser.add_argument("--breaks", type=Path, required=True, help="file with the number of the thermometer that breaks")
    given = parser.parse_args()
    application = web.Application()
    application.router.add_get("/api/websocket", Home(given.entities, given.every, given.breaks).serve)
    web.run_app(application, host="127.0.0.1", port=given.port, print=None)


if __name__ == "__main__":
    main()

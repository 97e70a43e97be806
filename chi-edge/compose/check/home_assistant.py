"""A stand-in for Home Assistant's WebSocket, for the check: one thermometer with weeks of history around 20 °C, which then says 5000 °C.

`home_assistant.py PORT FILE`: once FILE exists, the thermometer breaks. What the real one does is looked at in the suite `home-assistant`.
"""

import asyncio
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

ENTITY = "sensor.freezer_temperature"
USUAL, BROKEN = "20.0", "5000"
ATTRIBUTES = {"device_class": "temperature", "unit_of_measurement": "°C", "friendly_name": "Freezer"}
VERSION = "2026.11.0"
LOOK_SECONDS = 0.2
# One row of history; the agent's steps are as long.
STEP_SECONDS = 600


def history(asked: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What the recorder holds between the two times: a value for each step, between 19 and 21 °C."""
    start, end = (int(datetime.fromisoformat(asked[key]).timestamp()) for key in ("start_time", "end_time"))
    times = range(start - start % STEP_SECONDS + STEP_SECONDS, end, STEP_SECONDS)
    rows: list[dict[str, Any]] = [{"s": f"{20 + (at // STEP_SECONDS * 7 % 21 - 10) / 10:.1f}", "lu": at} for at in times]
    return dict.fromkeys(asked.get("entity_ids", []), rows)


def answer(kind: str, asked: dict[str, Any]) -> Any:
    """What Home Assistant says to a request of this kind."""
    match kind:
        case "get_config":
            return {"state": "RUNNING", "time_zone": "UTC", "version": VERSION, "language": "en"}
        case "get_states":
            return [{"entity_id": ENTITY, "state": USUAL, "attributes": ATTRIBUTES}]
        case "config/entity_registry/list":
            return [{"entity_id": ENTITY, "id": ENTITY, "unique_id": ENTITY}]
        case "config/device_registry/list" | "config/area_registry/list" | "config/label_registry/list":
            return []
        case "history/history_during_period":
            return history(asked)
        case "recorder/statistics_during_period":
            return {}
        case _:
            return None


class Home:
    """One home, whose thermometer breaks when `signal` appears."""

    def __init__(self, signal: Path) -> None:
        self.signal = signal

    async def breaks(self, socket: web.WebSocketResponse, subscription: int) -> None:
        """Waits for the signal, then says the impossible."""
        while not self.signal.exists():
            await asyncio.sleep(LOOK_SECONDS)
        changed = {"c": {ENTITY: {"+": {"s": BROKEN, "lc": time.time()}}}}
        await socket.send_json({"id": subscription, "type": "event", "event": changed})

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One connection of the agent."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "auth_required", "ha_version": VERSION})
        await socket.receive()
        await socket.send_json({"type": "auth_ok", "ha_version": VERSION})
        breaking: asyncio.Task[None] | None = None
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                break
            asked = json.loads(message.data)
            number, kind = asked["id"], asked["type"]
            if kind == "ping":
                await socket.send_json({"id": number, "type": "pong"})
                continue
            await socket.send_json({"id": number, "type": "result", "success": True, "result": answer(kind, asked)})
            if kind == "subscribe_entities":
                present = {"a": {ENTITY: {"s": USUAL, "lc": time.time(), "a": ATTRIBUTES}}}
                await socket.send_json({"id": number, "type": "event", "event": present})
                breaking = asyncio.create_task(self.breaks(socket, number))
        if breaking:
            breaking.cancel()
        return socket


def main() -> None:
    application = web.Application()
    application.router.add_get("/api/websocket", Home(Path(sys.argv[2])).serve)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()

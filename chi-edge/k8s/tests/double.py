"""A double of the aggregator's admin API, held to the document that the aggregator publishes (cloud-aggregator/openapi.json).

Every call must be one that the document has, with the parameters, the body and the role that it names; every answer that the double
gives must fit the schema for its status. A test gives it a script: what each call answers.
"""

import json
import re
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator

DOCUMENT = json.loads((Path(__file__).resolve().parents[3] / "cloud-aggregator/openapi.json").read_text())
TOKEN = "t" * 43

Json = dict[str, Any]
Answer = tuple[int, Json]


def fits(value: object, schema: Json) -> None:
    """Raises if a value does not fit a schema of the document."""
    Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(value)


def operation(method: str, path: str) -> Json:
    """The call of the document that this is."""
    for template, calls in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and method.lower() in calls:
            found: Json = calls[method.lower()]
            return found
    raise AssertionError(f"the document has no {method} {path}")


class Double:
    """Answers by a function from method and path; keeps the calls."""

    def __init__(self, context: ssl.SSLContext, script: Callable[[str, str, Json | None], Answer]) -> None:
        self.calls: list[tuple[str, str, Json | None]] = []
        self.faults: list[str] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.serve("GET")

            def do_POST(self) -> None:
                self.serve("POST")

            def serve(self, method: str) -> None:
                status, body = double.answer(method, self.path, dict(self.headers), self.rfile.read(int(self.headers.get("Content-Length") or 0)), script)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, method: str, target: str, headers: dict[str, str], data: bytes, script: Callable[[str, str, Json | None], Answer]) -> Answer:
        try:
            parts = urlsplit(target)
            call = operation(method, parts.path)
            assert headers.get("Authorization") == f"Bearer {TOKEN}", "no token"
            parameters = {one["name"]: one for one in call.get("parameters", []) if one["in"] == "query"}
            for name, value in parse_qsl(parts.query):
                assert name in parameters, f"{target} has no parameter {name}"
                kind = parameters[name]["schema"].get("type")
                fits(int(value) if kind == "integer" else value, parameters[name]["schema"])
            body = json.loads(data) if data else None
            if "requestBody" in call:
                assert headers.get("Content-Type") == "application/json"
                fits(body, call["requestBody"]["content"]["application/json"]["schema"])
            else:
                assert body is None, f"{method} {target} takes no body"
            path = parts.path.removeprefix("/api/v1/")
            self.calls.append((method, path, body))
            status, answered = script(method, path, body)
            assert str(status) in call["responses"], f"{method} {target} never answers {status}"
            (kind,) = call["responses"][str(status)]["content"].values()
            fits(answered, kind["schema"])
        except Exception as fault:
            self.faults.append(f"{type(fault).__name__}: {fault}")
            return 418, {}
        return status, answered

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def problem(status: int, name: str, detail: str) -> Answer:
    """An answer that is none of success."""
    return status, {"type": f"urn:hearthwatch:problem:{name}", "title": name, "status": status, "detail": detail}

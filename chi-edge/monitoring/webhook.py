#!/usr/bin/env python3
"""Receives notices of Alertmanager for the checks: `webhook.py PORT FILE` writes each as a line of FILE."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

# A notice of all alerts of this tree is a tenth of this.
BODY_MAX = 1 << 20


class Receiver(BaseHTTPRequestHandler):
    """Takes POST, answers 200."""

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), BODY_MAX))
        with Path(sys.argv[2]).open("ab") as notices:
            notices.write(body.replace(b"\n", b" ") + b"\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the file says it."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()

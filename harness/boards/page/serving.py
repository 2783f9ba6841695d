"""Serve the page on this machine only: a loopback server with a single document."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.errors import UsageError

HOST = "127.0.0.1"


class _Handler(BaseHTTPRequestHandler):
    """Answers ``/`` with the page and everything else with 404."""

    page: bytes = b""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        # Refuse other host names, so that no other site can read the page by DNS rebinding.
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        if host not in (HOST, "localhost"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.path.partition("?")[0] not in ("/", "/index.html"):
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(self.page)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("X-Frame-Options", "DENY")
            self.end_headers()
            if body:
                self.wfile.write(self.page)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: all requests are the user's own."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A tab that is closed, or loaded again, before it has the page is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def server(page: str, port: int = 0) -> ThreadingHTTPServer:
    """A server of ``page``, not yet running; port 0 takes any free port.

    Raises:
        UsageError: the port is in use or not permitted.
    """
    handler = type("_PageHandler", (_Handler,), {"page": page.encode()})
    try:
        return _Server((HOST, port), handler)
    except OSError as problem:
        why = "is taken" if problem.errno == errno.EADDRINUSE else f"({problem.strerror})"
        raise UsageError(
            f"port {port} {why}; choose another with --port, or 0 for any free port"
        ) from problem


def serve(page: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve ``page`` until the user stops it; ``tell`` gets the address once it is up."""
    with server(page, port) as running:
        tell(f"http://{HOST}:{running.server_address[1]}/")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            return

"""A real HTTP server on loopback that answers as an OpenAI-compatible endpoint, or badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import tiny

KEY = "sk-test-5f2d9c71aa"
Answer = tuple[int, dict[str, str], bytes]


class Endpoint:
    """What the server was asked, and the faults it is to show first."""

    def __init__(self) -> None:
        self.bag = tiny.WordBag()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Callable[[list[str]], Answer | None]] = []
        """Used up in order, one a request; ``None`` hangs up without an answer."""
        self.refuse_over: int | None = None
        self.lock = threading.Lock()

    @property
    def paid(self) -> list[str]:
        """Every text that was answered with a vector."""
        return [t for r in self.requests if r["answered"] for t in r.get("input", ())]

    def paid_for(self, path: str) -> list[dict[str, Any]]:
        """Requests to a path that were answered well."""
        return [r for r in self.requests if r["answered"] and r["path"].endswith(path)]

    def chat(self, requested: dict[str, Any]) -> Answer:
        """The question's fourth word, as a message; nothing for a question about salt."""
        question = requested["messages"][0]["content"].splitlines()[-1].removeprefix("Question: ")
        words = question.split()
        text = "" if "salt" in words else f"{words[3]} is told of"
        message = {"choices": [{"message": {"role": "assistant", "content": text}}]}
        return 200, {}, json.dumps({**message, "usage": {"total_tokens": 9}}).encode()

    def vectors(self, texts: list[str]) -> bytes:
        """A whole answer, its vectors in reverse order: ``index`` says which is which."""
        rows = self.bag.encode(texts, role="query", language="en")
        data = [{"index": i, "embedding": row.tolist()} for i, row in enumerate(rows)]
        return json.dumps({"data": data[::-1], "usage": {"total_tokens": 3 * len(texts)}}).encode()


@contextmanager
def serving(endpoint: Endpoint) -> Iterator[str]:
    """Serve ``endpoint``; gives its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requested = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with endpoint.lock:
                fault = endpoint.faults.pop(0) if endpoint.faults else None
                entry = {**requested, "path": self.path, "answered": False}
                endpoint.requests.append(entry)
                endpoint.headers.append(dict(self.headers))
            if self.path.endswith("/chat/completions"):
                entry["answered"] = fault is None
                answer = endpoint.chat(requested) if fault is None else fault([])
                assert answer is not None
                self._send(*answer)
                return
            texts = requested["input"]
            if fault is not None:
                answer = fault(texts)
            elif endpoint.refuse_over is not None and len(texts) > endpoint.refuse_over:
                body = {"error": {"message": f"batch size exceeds the maximum, {KEY}"}}
                answer = 400, {}, json.dumps(body).encode()
            else:
                entry["answered"] = True
                answer = 200, {}, endpoint.vectors(texts)
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            self._send(*answer)

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

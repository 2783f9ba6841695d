"""A hub of data sets on loopback, as huggingface_hub talks to one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import huggingface_hub.constants
import pytest


class Hub:
    """A hub on loopback: file metadata, checksums, and the files.

    ``files`` are named ``REVISION/NAME``; those of ``small`` lie in the commit itself, so that the
    hub knows them by git's object id alone.
    """

    def __init__(self, files: dict[str, bytes], small: Collection[str] = ()) -> None:
        self.files, self.small = files, small
        self.requested: list[str] = []
        self.requests: list[str] = []
        """Paths of all requests, of files or not."""
        self.refuses: tuple[int, str] | None = None
        """Status, and the hub's code for why (``GatedRepo``), of every answer."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def parse_request(self) -> bool:
                parsed = super().parse_request()
                outer.requests.append(self.path)
                return parsed

            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                fields = parse_qs(self.rfile.read(length).decode())
                revision = self.path.rpartition("/")[2]
                named = [x for x in fields["paths"] if f"{revision}/{x}" in files]
                found = [outer.described(revision, x) for x in named]
                body = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def answer(self, *, with_body: bool) -> None:
                _, _, rest = self.path.partition("/resolve/")
                raw = outer.files.get(rest)
                outer.requested += [rest] if rest else []
                if raw is None or outer.refuses is not None:
                    status, code = outer.refuses or (404, "EntryNotFound")
                    self.send_response(status)
                    self.send_header("X-Error-Code", code)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("X-Repo-Commit", rest.partition("/")[0])
                self.send_header("ETag", f'"{outer.etag(rest)}"')
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                if with_body:
                    self.wfile.write(raw)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def described(self, revision: str, name: str) -> dict[str, Any]:
        """What the hub says of a file."""
        raw = self.files[f"{revision}/{name}"]
        blob = hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()
        said: dict[str, Any] = {"type": "file", "path": name, "size": len(raw), "oid": blob}
        if f"{revision}/{name}" not in self.small:
            oid = hashlib.sha256(raw).hexdigest()
            lfs = {"oid": oid, "sha256": oid, "size": len(raw), "pointerSize": 130}
            said |= {"oid": "0" * 40, "lfs": lfs}
        return said

    def etag(self, rest: str) -> str:
        """By which the hub's cache names the content."""
        revision, _, name = rest.partition("/")
        said = self.described(revision, name)
        return str(said["lfs"]["oid"] if "lfs" in said else said["oid"])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def point_at(found: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make huggingface_hub ask ``found``, with its cache in ``folder``."""
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", found.url)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        found.url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_HUB_OFFLINE")

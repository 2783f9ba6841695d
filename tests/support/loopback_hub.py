"""A hub of models and data sets on loopback, as huggingface_hub talks to the real one.

It takes commits of small files, and answers ``/api/models`` and ``/api/datasets`` (a repository at
a revision, its tree, facts about named files) and ``/resolve/`` (facts about one file, its bytes,
ranges of them), with the hub's headers and error codes. Repositories have commits, branches and
tags; they can be private or gated; a download can break off or stall.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import huggingface_hub.constants
import pytest

Access = Literal["public", "private", "gated"]


class Answer(NamedTuple):
    """A response: its status, headers and body."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


def refusal(status: int, code: str = "", message: str = "") -> Answer:
    """As the hub refuses: a code and a message in the headers."""
    said = {"X-Error-Code": code, "X-Error-Message": message}
    return Answer(status, {name: value for name, value in said.items() if value})


def as_json(value: object) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())


@dataclass
class HostedRepository:
    """A model or data set with its history."""

    access: Access = "public"
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Commit -> file name -> content."""
    names: dict[str, str] = field(default_factory=dict)
    """Branch or tag -> commit."""
    small: Collection[str] = ()
    """Files in the commit itself, which the hub knows by git's object id alone."""

    def described(self, commit: str, name: str) -> dict[str, Any]:
        """What the hub says of a file."""
        raw = self.commits[commit][name]
        blob = hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()
        said: dict[str, Any] = {"type": "file", "path": name, "size": len(raw), "oid": blob}
        if name not in self.small:
            oid = hashlib.sha256(raw).hexdigest()
            lfs = {"oid": oid, "sha256": oid, "size": len(raw), "pointerSize": 130}
            said |= {"oid": "0" * 40, "lfs": lfs}
        return said

    def etag(self, commit: str, name: str) -> str:
        """By which the hub's cache names the content."""
        said = self.described(commit, name)
        return str(said["lfs"]["oid"] if "lfs" in said else said["oid"])


class Hub:
    """The hub, its repositories and everything that was requested from it."""

    token = "hf_of_a_reader"
    """The one token that opens what is private or gated."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], HostedRepository] = {}
        """By ``models`` or ``datasets``, and ``ORG/NAME``."""
        self.requests: list[str] = []
        """Method and path of every request."""
        self.messages: list[str] = []
        """Of the commits that were made."""
        self.downloads: list[str] = []
        """``ORG/NAME/FILE``, once for each request for its bytes."""
        self.refuses: Answer | None = None
        """The answer to everything, if set."""
        self.sent: dict[str, list[int]] = {}
        """Bytes of each of these answers."""
        self.breaks: dict[str, list[int]] = {}
        """File name -> how many bytes of its next answers are sent before the line is cut."""
        self.stalls: dict[str, list[int]] = {}
        """The same for lines that stay open, with nothing more coming through."""
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        # Not waited for at the end: a test that fails before it closes its hub would never end.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def clear(self) -> None:
        """A hub without repositories, that nothing was requested from."""
        self.repositories.clear()
        self.requests.clear()
        self.downloads.clear()
        self.sent.clear()
        self.breaks, self.stalls, self.refuses = {}, {}, None

    def put(
        self,
        kind: Literal["model", "dataset"],
        name: str,
        files: Mapping[str, bytes] | Path,
        *,
        commit: str | None = None,
        small: Collection[str] = (),
        access: Access = "public",
    ) -> str:
        """Push a commit to a repository's main branch; its files are given, or in a folder."""
        if isinstance(files, Path):
            files = {
                p.relative_to(files).as_posix(): p.read_bytes()
                for p in sorted(files.rglob("*"))
                if p.is_file()
            }
        found = self.repositories.setdefault((f"{kind}s", name), HostedRepository())
        content = "".join(f"{x} {hashlib.sha1(raw).hexdigest()}" for x, raw in files.items())
        commit = commit or hashlib.sha1(f"{name} {content}".encode()).hexdigest()
        found.commits[commit], found.names["main"] = dict(files), commit
        found.small, found.access = small, access
        return commit

    def answer(self, path: str, token: str | None, fields: Any) -> Answer:
        """The answer to a request, with the whole of a file as its body."""
        parts = [unquote(x) for x in urlsplit(path).path.strip("/").split("/")]
        if self.refuses is not None:
            return self.refuses
        api = parts[0] == "api"
        parts = parts[1:] if api else parts if parts[0] == "datasets" else ["models", *parts]
        kind, name, rest = parts[0], "/".join(parts[1:3]), parts[3:]
        known = self.repositories.get((kind, name))
        if token not in (None, self.token):
            return refusal(401, message="Invalid credentials in Authorization header")
        if known is None or (known.access == "private" and token is None):
            # Without a login the hub does not say which of the two it is.
            status = 401 if token is None else 404
            return refusal(status, "RepoNotFound", "Repository not found")
        if api and rest[:1] in (["preupload"], ["commit"]):
            return self._changed(known, name, rest[0], token, fields)
        what, revision, file = (*rest[:2], "/".join(rest[2:])) if rest else ("revision", "main", "")
        commit = known.names.get(revision, revision)
        if commit not in known.commits:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if api:
            return self._facts(known, name, commit, what, fields)
        if known.access == "gated" and token is None:
            return refusal(401, "GatedRepo", f"Access to {name} is restricted. Please log in.")
        if file not in known.commits[commit]:
            return refusal(404, "EntryNotFound", "Entry not found")
        raw, tag = known.commits[commit][file], known.etag(commit, file)
        return Answer(
            200, {"X-Repo-Commit": commit, "ETag": f'"{tag}"', "Accept-Ranges": "bytes"}, raw
        )

    def _changed(
        self, known: HostedRepository, name: str, what: str, token: str | None, fields: Any
    ) -> Answer:
        """Before a commit, how each file should be sent; then the commit."""
        if token is None:
            return refusal(403, message="You need write access")
        if what == "commit":
            return self._commit(known, name, fields)
        modes = [
            {"path": x["path"], "uploadMode": "regular", "shouldIgnore": False}
            for x in fields["files"]
        ]
        return as_json({"files": modes})

    def _commit(self, known: HostedRepository, name: str, lines: Any) -> Answer:
        """A commit on top of main, or as a pull request; its lines are JSON."""
        files = dict(known.commits[known.names["main"]])
        for line in lines["ndjson"]:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            else:
                self.messages.append(line["value"]["summary"])
        commit = hashlib.sha1(repr(files).encode()).hexdigest()
        known.commits[commit] = files
        known.names["refs/pr/1" if lines["pull_request"] else "main"] = commit
        said = {"success": True, "commitOid": commit}
        said["commitUrl"] = f"{self.url}/{name}/commit/{commit}"
        if lines["pull_request"]:
            said["pullRequestUrl"] = f"{self.url}/{name}/discussions/1"
        return as_json(said)

    @staticmethod
    def _facts(known: HostedRepository, name: str, commit: str, what: str, fields: Any) -> Answer:
        files = known.commits[commit]
        if what == "paths-info":
            return as_json([known.described(commit, x) for x in fields["paths"] if x in files])
        if what == "tree":
            return as_json([known.described(commit, x) for x in files])
        return as_json(
            {
                "_id": "0",
                "id": name,
                "sha": commit,
                "private": known.access == "private",
                "gated": "manual" if known.access == "gated" else False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [{"rfilename": x} for x in files],
            }
        )

    def cut(self, path: str) -> tuple[int | None, bool]:
        """How much of a file's answer is sent (``None``: all), and whether the line stays open."""
        for faults, stays in ((self.breaks, False), (self.stalls, True)):
            for name, sizes in faults.items():
                if path.endswith(f"/{name}") and sizes:
                    return sizes.pop(0), stays
        return None, False

    def note(self, path: str, size: int) -> None:
        """Keep account of a download."""
        name, _, rest = path.lstrip("/").removeprefix("datasets/").partition("/resolve/")
        file = f"{name}/{unquote(rest.partition('/')[2])}"
        self.downloads.append(file)
        self.sent.setdefault(file, []).append(size)

    def wait(self) -> None:
        """Until the hub is closed."""
        self._closing.wait(30)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.respond(None)

        def do_GET(self) -> None:
            self.respond(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if "ndjson" in self.headers.get("Content-Type", ""):
                lines = [json.loads(x) for x in body.splitlines()]
                new = "create_pr=1" in self.path
                self.respond({"ndjson": lines, "pull_request": new})
                return
            # Clients before 1.0 send a form, later ones JSON.
            self.respond(json.loads(body) if body.startswith("{") else parse_qs(body))

        def respond(self, fields: Any) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
            valid = self.path == "/api/validate-yaml" and hub.refuses is None
            checked = as_json({"errors": [], "warnings": []})
            found = checked if valid else hub.answer(self.path, token, fields)
            status, headers, body = found.status, dict(found.headers), found.body
            wanted = self.headers.get("Range", "")
            if status == 200 and wanted.startswith("bytes="):
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                end = min(int(last or len(body)) + 1, len(body))
                headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(body)}"
                status, body = 206, body[int(first) : end]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            size, stays_open = hub.cut(self.path)
            if "X-Repo-Commit" in headers:
                hub.note(self.path, len(body[:size]))
            self.wfile.write(body[:size])
            if size is not None:
                self.wfile.flush()
                if stays_open:
                    hub.wait()
                self.close_connection = True

    return Handler


@contextmanager
def hub_on_loopback() -> Iterator[Hub]:
    """A hub without repositories."""
    found = Hub()
    try:
        yield found
    finally:
        found.close()


def point_at(found: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do for this process what HF_ENDPOINT and HF_HOME do for a new one."""
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", found.url)
    template = found.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

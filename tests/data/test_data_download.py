from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from far_files import content, far

from harness.data import download as module
from harness.data.download import download
from harness.data.loading import fetch, load
from harness.errors import DataError

BODY = bytes(range(256)) * 4000
SHA = hashlib.sha256(BODY).hexdigest()

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers from the server's script while it lasts, then serves files, with ranges."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.requests.append((self.path, self.headers.get("Range")))
        answer = self.server.script.pop(0) if self.server.script else whole
        answer(self)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A real server on loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/file.bin": BODY}
        self.script: list[Answer] = []
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


def whole(handler: Handler) -> None:
    body = handler.server.files.get(handler.path)
    if body is None:
        handler.send(404, b"")
        return
    requested = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if requested is None:
        handler.send(200, body)
    elif int(requested[1]) >= len(body):
        handler.send(416, b"")
    else:
        start = int(requested[1])
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        handler.send(206, body[start:], Content_Range=span)


def status(code: int) -> Answer:
    return lambda handler: handler.send(code, b"later")


def broken(upto: int, start: int = 0) -> Answer:
    """Promise everything from ``start``, send ``upto`` bytes of it, hang up."""

    def answer(handler: Handler) -> None:
        headers = {"Content_Length": str(len(BODY) - start)}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        handler.send(206 if start else 200, BODY[start : start + upto], **headers)

    return answer


def without_ranges(handler: Handler) -> None:
    handler.send(200, BODY)


def hang_up(handler: Handler) -> None:
    handler.connection.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a" / "file.bin"


def left(target: Path) -> set[str]:
    """Names in the target's folder, but for the lock."""
    return {path.name for path in target.parent.iterdir()} - {".lock"}


def ranges(server: Server) -> list[str | None]:
    return [requested for _, requested in server.requests]


def test_a_download(server: Server, target: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    download(server.url + "file.bin", target, sha256=SHA, progress=lambda *x: seen.append(x))
    assert target.read_bytes() == BODY
    assert left(target) == {"file.bin"}
    assert seen[-1] == ("file.bin", len(BODY), len(BODY))
    download(server.url + "file.bin", target, sha256=SHA)  # it is there
    assert len(server.requests) == 1


def test_a_broken_connection_resumes_where_it_broke(server: Server, target: Path) -> None:
    server.script = [broken(1000), broken(5000, start=1000)]
    download(server.url + "file.bin", target, sha256=SHA)
    assert target.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=1000-", "bytes=6000-"]


def test_a_part_of_an_earlier_run_is_resumed(server: Server, target: Path) -> None:
    server.script = [broken(1000), *[hang_up] * module.ATTEMPTS]
    with pytest.raises(DataError, match=r"file\.bin: .*; 1000 bytes are kept and the same command"):
        download(server.url + "file.bin", target, sha256=SHA)
    assert left(target) == {"file.bin.part"}  # never a half-written file under the real name
    server.requests.clear()
    download(server.url + "file.bin", target, sha256=SHA)
    assert (target.read_bytes(), ranges(server)) == (BODY, ["bytes=1000-"])


def test_a_whole_part_needs_no_network(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(BODY)  # cut off between download and rename
    download(server.url + "file.bin", target, sha256=SHA)
    assert (left(target), server.requests) == ({"file.bin"}, [])


def test_a_server_without_ranges(server: Server, target: Path) -> None:
    server.script = [broken(1000), without_ranges]
    download(server.url + "file.bin", target, sha256=SHA)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("size", [500, 2 * len(BODY)])
def test_a_part_of_something_else_is_thrown_away(server: Server, target: Path, size: int) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(b"x" * size)
    download(server.url + "file.bin", target, sha256=SHA)
    assert target.read_bytes() == BODY
    assert ranges(server) == [f"bytes={size}-", None]


def test_a_server_that_is_busy(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.5)
    monkeypatch.setattr("time.sleep", pauses.append)
    server.script = [status(503), status(429), hang_up]
    download(server.url + "file.bin", target, sha256=SHA)
    assert target.read_bytes() == BODY
    assert pauses == [0.5, 1.0, 2.0]


def test_a_server_that_stays_busy(server: Server, target: Path) -> None:
    server.script = [status(503)] * 20
    with pytest.raises(DataError, match=r"file\.bin: the server answered 503 .* \(5 attempts\)"):
        download(server.url + "file.bin", target, sha256=SHA)
    assert len(server.requests) == module.ATTEMPTS == 5
    assert left(target) == set()


def test_a_name_in_any_language(server: Server, target: Path) -> None:
    server.files["/%E9%97%AE%20%E9%A2%98.json"] = BODY
    download(server.url + "问 题.json", target, sha256=SHA)
    assert target.read_bytes() == BODY


def test_a_missing_file_is_requested_once(server: Server, target: Path) -> None:
    with pytest.raises(DataError, match=r"/gone\.bin: the server answered 404 Not Found"):
        download(server.url + "gone.bin", target, sha256=SHA)
    assert len(server.requests) == 1


def test_nothing_is_kept_of_other_bytes(server: Server, target: Path) -> None:
    server.files["/file.bin"] = b"something else"
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DataError, match=f"SHA-256 {found}, expected {SHA}; nothing was kept"):
        download(server.url + "file.bin", target, sha256=SHA)
    assert left(target) == set()


def test_pieces_of_different_files_are_fetched_again(server: Server, target: Path) -> None:
    other = bytes(len(BODY))
    server.files["/file.bin"] = other  # it changes after the first piece
    server.script = [broken(1000)]
    download(server.url + "file.bin", target, sha256=hashlib.sha256(other).hexdigest())
    assert target.read_bytes() == other
    assert ranges(server) == [None, "bytes=1000-", None]


def test_a_damaged_file_is_replaced(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"damaged")
    download(server.url + "file.bin", target, sha256=SHA)
    assert target.read_bytes() == BODY


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write the download: Not a directory"):
        download(server.url + "file.bin", tmp_path / "file" / "x" / "file.bin", sha256=SHA)


def test_two_processes_fetch_once(server: Server, target: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.data.download import download; "
        "download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])"
    )
    arguments = [sys.executable, "-c", code, server.url + "file.bin", str(target), SHA]
    held = threading.Event()
    both = threading.Event()

    def slowly(handler: Handler) -> None:
        held.set()
        both.wait(120)
        whole(handler)

    server.script = [slowly]
    first = subprocess.Popen(arguments)
    assert held.wait(120)
    second = subprocess.Popen(arguments)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.0)  # it waits for the first
    both.set()
    assert (first.wait(120), second.wait(120)) == (0, 0)
    assert (target.read_bytes(), len(server.requests)) == (BODY, 1)


def test_load_fetches_what_is_missing(server: Server, tmp_path: Path, own_cache: Path) -> None:
    spec = far(tmp_path, url=f"{server.url}{{revision}}/")
    server.files |= {f"/v1/{x}.json": content(x) for x in ("en", "de")}
    data = load(spec)
    assert data.passages["de"].texts == ("Tea.",)
    assert sorted(path for path, _ in server.requests) == ["/v1/de.json", "/v1/en.json"]
    assert load(spec).digest == load(spec, offline=True).digest == data.digest
    assert len(server.requests) == 2
    assert (own_cache / "data" / "far" / "v1" / "en.json").read_bytes() == content("en")


def test_fetch_mends_the_cache(server: Server, tmp_path: Path, own_cache: Path) -> None:
    spec = far(tmp_path, url=f"{server.url}{{revision}}/")
    server.files |= {f"/v1/{x}.json": content(x) for x in ("en", "de")}
    assert [(x.name, x.state) for x in fetch(spec)] == [("en.json", "ok"), ("de.json", "ok")]
    (own_cache / "data" / "far" / "v1" / "de.json").write_bytes(b"damaged")
    assert [x.state for x in fetch(spec)] == ["ok", "ok"]
    assert len(server.requests) == 3


@pytest.mark.parametrize("host", ["a..b.example", "localhost:port", "[::1"])
def test_an_address_that_is_none_is_said_at_once(tmp_path: Path, host: str) -> None:
    with pytest.raises(DataError, match=rf"https://{re.escape(host)}/x: is not a valid address"):
        download(f"https://{host}/x", tmp_path / "file.bin", sha256=SHA)

"""Encoders behind an endpoint, against a real server on loopback that behaves well and badly."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from time import sleep, time
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from endpoint import KEY, Answer, Endpoint, serving
from tiny_miracl import write_miracl

import harness
from harness.cli import main
from harness.errors import ModelError, ShardError
from harness.models import ModelOptions, load
from harness.models.base import PartlyEncodedError
from harness.models.http_encoder import HttpEncoder
from harness.vectors.encode import EncodingCounts
from harness.vectors.encode import encode as encode_texts
from harness.vectors.inventory import spaces
from harness.vectors.store import Store

TEXTS = [f"en {word} number {n}" for n, word in enumerate(tiny.WORDS * 2)]


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def url(endpoint: Endpoint) -> Iterator[str]:
    with serving(endpoint) as found:
        yield found


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def encoder(url: str, waited: list[float] | None = None, **options: Any) -> HttpEncoder:
    chosen = ModelOptions(base_url=url, **{"batch_size": 8, **options})
    sleep = (lambda _: None) if waited is None else waited.append
    return HttpEncoder("word-bag", chosen, sleep=sleep)


def wanted(texts: list[str]) -> np.ndarray:
    return tiny.WordBag().encode(texts, role="query", language="en")


def encode(model: Any, texts: list[str] = TEXTS) -> np.ndarray:
    return model.encode(texts, role="query", language="en")


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"{}") -> Any:
    def fault(_: list[str]) -> Answer:
        return code, headers or {}, body

    return fault


def test_vectors_come_in_the_order_of_the_texts_by_several_requests(
    endpoint: Endpoint, url: str
) -> None:
    model = encoder(url, query_prompt="query: ")
    np.testing.assert_allclose(encode(model), wanted(["query: " + t for t in TEXTS]), atol=1e-6)
    assert sorted(len(r["input"]) for r in endpoint.requests) == [4, 8, 8]
    assert {r["path"] for r in endpoint.requests} == {"/v1/embeddings"}
    assert {r["model"] for r in endpoint.requests} == {"word-bag"}
    assert {h["Authorization"] for h in endpoint.headers} == {f"Bearer {KEY}"}
    # The server counts three tokens a text.
    assert (model.usage.requests, model.usage.retries, model.usage.tokens) == (3, 0, 60)


def test_a_rate_limit_waits_as_long_as_the_server_says(endpoint: Endpoint, url: str) -> None:
    endpoint.faults = [
        status(429, {"Retry-After": "7"}),
        status(503, {"Retry-After": formatdate(time() + 20, usegmt=True)}),
        status(429),
    ]
    waited: list[float] = []
    model = encoder(url, waited, concurrency=1, batch_size=32)
    np.testing.assert_allclose(encode(model), wanted(TEXTS), atol=1e-6)
    assert waited[0] == 7
    assert 15 < waited[1] <= 20
    assert 0 < waited[2] <= 60  # nothing requested: its own, growing wait
    assert model.usage.retries == 3


def test_a_delay_of_nothing_is_no_reason_to_hurry(endpoint: Endpoint, url: str) -> None:
    """The server's date has passed, by this machine's clock: six tries would be over at once."""
    passed = {"Retry-After": formatdate(time() - 90, usegmt=True)}
    endpoint.faults = [status(429, passed), status(429, {"Retry-After": "0"})] * 2
    waited: list[float] = []
    encode(encoder(url, waited, concurrency=1, batch_size=32))
    assert waited == sorted(waited) and sum(waited) > 3


def half(texts: list[str]) -> Answer:
    whole = Endpoint().vectors(texts)
    return 200, {"Content-Length": str(len(whole))}, whole[: len(whole) // 2]


@pytest.mark.parametrize(
    "fault",
    [
        half,
        lambda _: None,
        status(200, body=b"<html>gateway</html>"),
        status(200, body=b'{"data": []}'),
        lambda texts: (200, {}, Endpoint().vectors(texts[:-1])),
        status(500),
    ],
    ids=["half an answer", "hangs up", "no JSON", "no vectors", "one too few", "broken"],
)
def test_a_broken_answer_is_requested_again(endpoint: Endpoint, url: str, fault: Any) -> None:
    endpoint.faults = [fault]
    model = encoder(url)
    np.testing.assert_allclose(encode(model), wanted(TEXTS), atol=1e-6)
    assert model.usage.retries == 1


def test_a_server_that_never_answers_well_is_given_up(endpoint: Endpoint, url: str) -> None:
    endpoint.faults = [status(500)] * 50
    with pytest.raises(ModelError, match="answered 500: Internal Server Error, 6 times"):
        encode(encoder(url))


def test_a_late_answer_is_requested_again(
    endpoint: Endpoint, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.models.endpoint._TIMEOUT", (5.0, 0.2))
    release = threading.Event()

    def late(texts: list[str]) -> None:
        release.wait(10)

    endpoint.faults = [late]
    model = encoder(url)
    try:
        np.testing.assert_allclose(encode(model), wanted(TEXTS), atol=1e-6)
    finally:
        release.set()
    assert model.usage.retries >= 1  # a busy machine may be late with another


def test_a_batch_that_is_too_large_is_halved(endpoint: Endpoint, url: str) -> None:
    endpoint.refuse_over = 3
    np.testing.assert_allclose(encode(encoder(url)), wanted(TEXTS), atol=1e-6)
    assert max(len(r["input"]) for r in endpoint.requests if r["answered"]) <= 3


REFUSALS = [
    (400, {"detail": "The max allowed tokens per submitted batch is 120000."}),
    (400, [{"error": {"code": 400, "message": "at most 100 requests can be in one batch\n"}}]),
    (400, {"message": "inputs cannot contain more than 96 strings, received 128"}),
    (400, {"error": {"code": "1214", "message": "input数组最大不得超过64条"}}),
    (422, {"message": "batch size 64 > maximum allowed batch size 32", "type": "validation"}),
    (500, {"error": {"code": 500, "message": "increase the physical batch size"}}),
]


@pytest.mark.parametrize(("code", "body"), REFUSALS)
def test_a_refusal_in_any_words_halves_the_batch(
    endpoint: Endpoint, url: str, code: int, body: Any
) -> None:
    """As Voyage, Gemini, Cohere, Zhipu, TEI and llama.cpp say it; what fits is remembered."""
    refuse = status(code, body=json.dumps(body).encode())
    endpoint.faults = [refuse, refuse]
    model = encoder(url, concurrency=1)
    np.testing.assert_allclose(encode(model), wanted(TEXTS), atol=1e-6)
    sizes = [len(r["input"]) for r in endpoint.requests]
    assert sizes[:3] == [8, 4, 2] and max(sizes[3:]) <= 4 and model.usage.retries == 0


def test_a_refusal_of_one_text_is_the_servers_sentence(endpoint: Endpoint, url: str) -> None:
    endpoint.faults = [status(400, body=b'{"error": {"message": "no\\u001b[31m model"}}')] * 9
    with pytest.raises(ModelError, match=r"answered 400: no \[31m model, first for the text 'en "):
        encode(encoder(url, concurrency=1))
    assert [len(r["input"]) for r in endpoint.requests][:4] == [8, 4, 2, 1]


def test_what_half_a_batch_was_paid_for_is_kept(endpoint: Endpoint, url: str) -> None:
    """The batch is refused, its first half answered, and the second refused for good."""
    refuse, answer = status(400), lambda texts: (200, {}, endpoint.vectors(texts))
    endpoint.faults = [refuse, answer, *[refuse] * 9]
    with pytest.raises(PartlyEncodedError) as caught:
        encode(encoder(url, concurrency=1))
    at, vectors = caught.value.finished
    assert at.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(vectors, wanted(TEXTS[:4]), atol=1e-6)


def test_a_field_that_a_server_lacks_is_left_out(endpoint: Endpoint, url: str) -> None:
    endpoint.faults = [status(400, body=b'{"error": {"message": "Unknown: encoding_format"}}')]
    np.testing.assert_allclose(encode(encoder(url, concurrency=1)), wanted(TEXTS), atol=1e-6)
    assert ["encoding_format" in r for r in endpoint.requests[:3]] == [True, False, False]
    assert [len(r["input"]) for r in endpoint.requests[:2]] == [8, 8]


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (429, {"error": {"message": "No money.", "code": "insufficient_quota"}}, "429: No money."),
        (200, {"data": [{"index": 0, "embedding": [1.0]}] * 8}, "index 0 for 8 of 8 texts"),
        (200, {"data": [{"index": i, "embedding": [1.0]} for i in range(1, 9)]}, "index 8 for one"),
    ],
)
def test_what_no_waiting_mends_is_not_tried_again(
    endpoint: Endpoint, url: str, code: int, body: Any, said: str
) -> None:
    endpoint.faults = [status(code, body=json.dumps(body).encode())] * 9
    model = encoder(url, concurrency=1)
    with pytest.raises(ModelError, match=said):
        encode(model)
    assert model.usage.retries == 0
    assert len(endpoint.requests) == 1  # no other request was begun


def test_an_interrupt_begins_no_other_request(
    endpoint: Endpoint, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = threading.Event()

    def wait(_: Any) -> None:
        while not endpoint.requests:
            sleep(0.001)
        threading.Timer(0.3, interrupted.set).start()
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.models.http_encoder.wait", wait)

    def slow(texts: list[str]) -> Answer:
        interrupted.wait(10)
        return 200, {}, endpoint.vectors(texts)

    endpoint.faults = [slow]
    with pytest.raises(KeyboardInterrupt):
        encode(encoder(url, batch_size=1, concurrency=1))
    assert len(endpoint.requests) < len(TEXTS) / 2


def test_a_failure_ends_the_halving_and_the_waiting_of_other_requests(
    endpoint: Endpoint, url: str
) -> None:
    """One text at a time is accepted; then a key is refused, while another request is to wait."""
    refused = threading.Event()

    def fault(texts: list[str]) -> Answer:
        if len(texts) > 1:
            return 400, {}, b"{}"
        if texts[0] == TEXTS[-1]:
            refused.set()
            return 403, {}, b"{}"
        refused.wait(10)
        sleep(0.1)  # the other thread has read its answer
        return 429, {"Retry-After": "60"}, b"{}"

    endpoint.faults = [fault] * 99
    model = HttpEncoder("word-bag", ModelOptions(base_url=url, batch_size=19, concurrency=2))
    model._most = 1
    begun = time()
    with pytest.raises(ModelError, match="answered 403"):
        encode(model)
    assert time() - begun < 30
    assert len(endpoint.requests) == 2


def test_an_interrupt_keeps_what_was_paid_for(
    endpoint: Endpoint, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(requests: Any) -> None:
        requests[0].result()
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.models.http_encoder.wait", stopped)
    counts = EncodingCounts()
    with pytest.raises(KeyboardInterrupt):
        model = encoder(url, concurrency=1)
        encode_texts(model, "query", "en", TEXTS, store=Store(tmp_path), counts=counts)
    assert counts.encoded == len(endpoint.paid) > 0
    (kept,) = (x.vectors for x in spaces(tmp_path))
    assert kept == counts.encoded


def test_an_error_in_an_answer_of_200_is_shown(endpoint: Endpoint, url: str) -> None:
    endpoint.faults = [status(200, body=b'{"error": {"message": "not loaded"}}')] * 99
    with pytest.raises(ModelError, match="answered with an error: not loaded, 6 times"):
        encode(encoder(url, concurrency=1))


def test_vectors_in_base64_are_read(endpoint: Endpoint, url: str) -> None:
    def packed(texts: list[str]) -> Answer:
        rows = [base64.b64encode(row.astype("<f4")).decode() for row in wanted(texts)]
        data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
        return 200, {}, json.dumps({"data": data, "usage": [1]}).encode()

    endpoint.faults = [packed]
    np.testing.assert_array_equal(encode(encoder(url), TEXTS[:8]), wanted(TEXTS[:8]))


def test_a_wrong_key_is_no_passing_trouble(endpoint: Endpoint, url: str) -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}."}}).encode()
    endpoint.faults = [status(401, body=body)] * 9
    with pytest.raises(ModelError) as caught:
        encode(encoder(url, concurrency=1))
    said = str(caught.value)
    assert "answered 401: Incorrect API key provided: [key]." in said and KEY not in said
    assert "HARNESS_API_KEY or OPENAI_API_KEY" in said
    assert len(endpoint.requests) == 1


def test_widths_that_differ_are_an_error(endpoint: Endpoint, url: str) -> None:
    def narrow(texts: list[str]) -> Answer:
        data = [{"index": i, "embedding": [1.0, 2.0]} for i in range(len(texts))]
        return 200, {}, json.dumps({"data": data}).encode()

    endpoint.faults = [narrow]
    with pytest.raises(ModelError, match="gave vectors of 2 and 24 dimensions"):
        encode(encoder(url))
    # The same beside a request that fails: nothing of either width is kept.
    endpoint.faults = [narrow, lambda texts: (200, {}, endpoint.vectors(texts)), status(403)]
    with pytest.raises(PartlyEncodedError, match="answered 403") as caught:
        encode(encoder(url, concurrency=1))
    assert caught.value.finished[0].tolist() == []


@pytest.mark.parametrize("before", [0, 190, 199, 800])
def test_a_key_that_a_long_error_quotes_is_not_shown_in_part(
    endpoint: Endpoint, url: str, before: int
) -> None:
    said = {"error": {"message": f"{'x' * before}{KEY} is no key"}}
    endpoint.faults = [status(401, body=json.dumps(said).encode())] * 9
    with pytest.raises(ModelError, match="answered 401") as caught:
        encode(encoder(url, concurrency=1))
    assert KEY[:4] not in str(caught.value)


def test_a_redirect_does_not_take_the_key_elsewhere(endpoint: Endpoint, url: str) -> None:
    elsewhere = Endpoint()
    with serving(elsewhere) as other:
        endpoint.faults = [status(307, {"Location": f"{other}/embeddings"})]
        with pytest.raises(ModelError, match="answered 307"):
            encode(encoder(url, batch_size=99))
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "needs --base-url URL"),
        ("localhost:8000/v1", "must start with http://"),
        ("https://user:secret@example.org/v1", "a key belongs in the environment"),
        ("https://example.org/v1?key=secret", "a key belongs in the environment"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: str | None, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        load("http:word-bag", ModelOptions(base_url=url))
    assert "secret" not in str(caught.value)


def test_an_address_is_for_endpoints_alone() -> None:
    for model in ("bm25", "python:tiny:factory", tiny.WordBag()):
        with pytest.raises(ModelError, match="--base-url and --concurrency are for http:NAME"):
            load(model, ModelOptions(base_url="http://localhost/v1"))


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    return tiny.write_task(tmp_path)


def test_nothing_is_paid_twice_whatever_goes_wrong(
    endpoint: Endpoint, url: str, task_file: Path
) -> None:
    settings: dict[str, Any] = {"base_url": url, "batch_size": 4, "concurrency": 2, "resamples": 0}
    refused = status(403, body=b'{"error": "quota"}')
    # A few answers, then none for good, again and again: whatever came in between is kept.
    endpoint.faults = [None, None, refused, refused]
    for _ in range(40):
        try:
            record = harness.evaluate("http:word-bag", tasks=[str(task_file)], **settings)
            break
        except ModelError:
            endpoint.faults = [None, None, None, refused, refused]
    else:
        pytest.fail("it never finished")
    encoding = record.document["tasks"][0]["encoding"]
    assert len(endpoint.paid) == encoding["distinct"]
    again = harness.evaluate("http:word-bag", tasks=[str(task_file)], **settings)
    assert again.document["tasks"][0]["encoding"]["encoded"] == 0
    assert len(endpoint.paid) == encoding["distinct"]


def test_no_passage_of_a_corpus_is_paid_for_twice(
    endpoint: Endpoint, url: str, tmp_path: Path
) -> None:
    """Each try of a shard gets on by what the one before was answered."""
    settings: dict[str, Any] = {"base_url": url, "batch_size": 4, "concurrency": 1}
    task = str(write_miracl(tmp_path))
    for _ in range(40):
        endpoint.faults = [*[None, None, status(403)] * 3, *[None] * 4, status(403)]
        try:
            harness.evaluate("http:word-bag", tasks=[task], shard_size=30, resamples=0, **settings)
            break
        except (ModelError, ShardError):
            pass
    else:
        pytest.fail("it never finished")
    assert len(endpoint.paid) == len(set(endpoint.paid)) > 100


def test_the_key_is_in_no_record_no_message_and_no_log(
    endpoint: Endpoint,
    url: str,
    task_file: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.faults = [status(429, {"Retry-After": "0"})]
    given = ["run", "--model", "http:word-bag", "--base-url", url, "--task", str(task_file)]
    out = ["--output", str(tmp_path / "out"), "--resamples", "0"]
    done = CliRunner().invoke(main, [*given, *out])
    assert done.exit_code == 0, done.output
    endpoint.faults = [status(400, body=f"bad key {KEY}".encode())] * 9
    failed = CliRunner().invoke(main, [*given, *out, "--no-store"])
    assert failed.exit_code == 2 and "bad key [key]" in failed.output
    written = "".join(
        p.read_text("utf-8", "replace") for p in tmp_path.rglob("*.json") if p.is_file()
    )
    assert '"usage"' in written
    for place in (done.output, failed.output, caplog.text, written):
        assert KEY not in place

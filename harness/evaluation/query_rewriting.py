"""Query rewriting: queries are translated, or expanded, before they are encoded.

    --translate-queries ENGINE --into en   LAReQA's translate-test (arXiv 2004.05484, section 5)
    --expand-queries command:COMMAND       a program that writes a passage for each query
    --expand-queries http:NAME             a model behind an OpenAI-compatible endpoint

Expansion appends what a generative model writes in response to the query (Wang et al., query2doc,
arXiv 2303.07678; across languages arXiv 2511.19325). Prompt and joining are ours and are in the
record. Responses are cached, so that nothing is requested twice. A query
without a response is left unchanged, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from harness.base.languages import is_language
from harness.base.progress import Progress
from harness.errors import ModelError, UsageError
from harness.evaluation.layout import Prepared, RewrittenQueries
from harness.evaluation.options import RunOptions
from harness.models.endpoint import Endpoint, PassingError
from harness.models.translation.engine import Command, EngineOptions, Translated
from harness.models.translation.memory import Memory
from harness.models.translation.open_engine import open_engine

PROMPT = (
    "Write a short passage that answers the question, in the language of the question. "
    "Give the passage alone.\n\nQuestion: {query}"
)
_TOKENS = 128
"""Maximum tokens of a response to one query."""


class Writer(Protocol):
    """Rewrites texts of one language."""

    batch_size: int

    def facts(self, source: str, target: str) -> Mapping[str, Any]:
        """Everything that changes what it writes; JSON."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[Translated]:
        """One text for each, in order; an empty string if there is no response."""


@dataclass
class QueryRewriter:
    """Rewriting of queries by ``writer``; ``facts`` is known after rewriting a task's queries."""

    name: str
    writer: Writer
    into: str | None
    """Target language of the queries; ``None``: each stays in its own."""
    join: Callable[[str, str], str]
    """(query, response) -> the rewritten query."""
    made_by: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Query language -> the writer's facts."""
    left: int = 0
    """Number of queries without a response."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """The writer by language, and the number of unchanged queries."""
        return {
            "name": self.name,
            "into": self.into,
            "by_language": dict(self.made_by),
            "left_as_they_were": self.left,
        }

    def apply(self, prepared: Prepared, progress: Progress) -> Prepared:
        """``prepared`` with its queries rewritten.

        Raises:
            ModelError, UsageError: the writer cannot write in a language, or fails.
            StoreError: its texts cannot be cached.
        """
        spoken = {x: prepared.encoded_in("query", x) for x in prepared.relevant}
        texts = {x: prepared.query_texts(x) for x in prepared.relevant}
        todo = [x for x in prepared.relevant if spoken[x] != self.into]
        # Before the first request, so that unsupported languages are reported at once.
        for language in todo:
            source = spoken[language]
            self.made_by[language] = self.writer.facts(source, self._target(source))
        progress.start(
            f"{self.name} {prepared.spec.name}", sum(len(set(texts[x])) for x in todo), "queries"
        )
        found = {x: RewrittenQueries(spoken[x], tuple(texts[x])) for x in prepared.relevant}
        for language in todo:
            target = self._target(spoken[language])
            written = self._written(texts[language], spoken[language], target, progress)
            self.left += sum(not written[text].strip() for text in texts[language])
            found[language] = RewrittenQueries(
                target,
                tuple(
                    self.join(text, written[text].strip()) if written[text].strip() else text
                    for text in texts[language]
                ),
            )
        progress.finish()
        return replace(prepared, rewritten=found)

    def _target(self, language: str) -> str:
        return language if self.into is None else self.into

    def _written(
        self, texts: Sequence[str], source: str, target: str, progress: Progress
    ) -> dict[str, str]:
        memory = Memory({"task": self.name, **self.writer.facts(source, target), "to": target})
        try:
            missing = memory.missing(texts)
            progress.advance(len(set(texts)) - len(missing))
            for start in range(0, len(missing), self.writer.batch_size):
                batch = missing[start : start + self.writer.batch_size]
                memory.put(batch, self.writer.translate(batch, source, target))
                progress.advance(len(batch))
            return {text: memory.require(text).text for text in texts}
        finally:
            memory.close()


def query_rewriters(options: RunOptions) -> list[QueryRewriter]:
    """The rewritings for ``--translate-queries`` and ``--expand-queries``; translation comes first.

    Raises:
        UsageError: no such engine, or a flag without the one it belongs to.
        ModelError: an engine's folder or program is missing.
    """
    translate, into = options.translate_queries, options.into
    expand, expand_url = options.expand_queries, options.expand_url
    found: list[QueryRewriter] = []
    if translate is not None:
        if not is_language(into):
            raise UsageError(f"--into {into!r} is not a language code, such as en")
        where = EngineOptions(device=options.model.device, offline=options.model.offline)
        engine = open_engine(translate, where)
        found.append(QueryRewriter(f"queries in {into}", engine, into, lambda query, new: new))
    if expand_url is not None and not (expand or "").startswith("http:"):
        raise UsageError("--expand-url needs --expand-queries http:NAME")
    if expand is not None:
        found.append(
            QueryRewriter(
                "queries expanded",
                _expander(expand, expand_url),
                None,
                lambda query, new: f"{query} {new}",
            )
        )
    return found


def _expander(spec: str, url: str | None) -> Writer:
    kind, _, rest = spec.partition(":")
    if kind == "command" and rest.strip():
        return Command(rest, EngineOptions())
    if kind == "http" and rest.strip():
        return ChatWriter(rest, url)
    raise UsageError(f"--expand-queries {spec!r}: write command:COMMAND or http:NAME")


class ChatWriter:
    """A generative model behind an endpoint's ``chat/completions``."""

    batch_size = 16
    """The number of responses that a killed run may lose."""

    def __init__(self, name: str, url: str | None) -> None:
        """Nothing is sent yet.

        Raises:
            ModelError: no URL, or one with credentials.
        """
        self.name = name
        self._endpoint = Endpoint(url, f"--expand-queries http:{name}", flag="--expand-url")
        self.usage = self._endpoint.usage

    def facts(self, source: str, target: str) -> Mapping[str, Any]:
        """Model, endpoint, prompt and length."""
        return {
            "writer": "chat",
            "endpoint": self._endpoint.url,
            "model": self.name,
            "prompt": PROMPT,
            "max_tokens": _TOKENS,
            "temperature": 0,
        }

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[Translated]:
        """One passage for each query."""
        return [Translated(self._passage(text)) for text in texts]

    def _passage(self, query: str) -> str:
        body = {
            "model": self.name,
            "messages": [{"role": "user", "content": PROMPT.format(query=query)}],
            "max_tokens": _TOKENS,
            "temperature": 0,
        }
        try:
            return self._endpoint.ask("chat/completions", body, _content)
        except ModelError as error:
            raise ModelError(f"--expand-queries http:{self.name}: {error}") from error


def _content(answer: Any) -> str:
    try:
        text = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise PassingError("answered with something other than a message") from None
    return " ".join(str(text or "").split())

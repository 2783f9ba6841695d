"""The worker for a device."""

from __future__ import annotations

from harness.search.candidates import Corpus, PassQueries, Reached
from harness.search.cpu_worker import CpuWorker
from harness.search.exact import Decisions
from harness.search.parts import PartTexts


def worker_on(
    device: str,
    corpus: Corpus,
    language: int,
    pass_queries: PassQueries,
    k: int,
    decisions: Decisions,
    reached: Reached,
    thread: int,
) -> CpuWorker:
    """The worker for a device as torch names it; ``cpu:0`` takes torch's loops on the CPU.

    Texts of several parts are searched on the CPU.
    """
    if isinstance(pass_queries.queries, PartTexts):
        from harness.search.parts_worker import PartsWorker

        return PartsWorker(corpus, language, pass_queries, k, decisions, reached, thread)
    if device == "cpu":
        return CpuWorker(corpus, language, pass_queries, k, decisions, reached, thread)
    from harness.search.device_worker import DeviceWorker

    return DeviceWorker(corpus, language, pass_queries, k, decisions, reached, thread, device)

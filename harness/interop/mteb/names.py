"""What tasks are called in mteb: ours there, and mteb's own that have the texts of ours.

Nothing of mteb is imported: it takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from harness.data.task import KINDS, Kind, TaskSpec, list_tasks

SPLIT = "test"
MAIN_SCORE = "ndcg_at_10"
_NAMES = {"xquad-r": "XQuADR", "mlqa-r": "MLQAR", "miracl": "MIRACLHarness"}
"""Task of ours -> its name in mteb, where files named so must not be taken for another task's."""


def mteb_name(spec: TaskSpec) -> str:
    """What a task of ours is called in mteb: never the name of one of mteb's own tasks."""
    return _NAMES.get(spec.name, f"Harness-{spec.name}")


@cache
def our_tasks() -> Mapping[str, str]:
    """Name in mteb -> task of ours."""
    return {mteb_name(t): t.name for t in list_tasks()}


@dataclass(frozen=True)
class TheirTask:
    """A task of mteb's own, whose texts and judgements are those of a task of ours."""

    splits: Mapping[str, str]
    """Split -> task of ours."""
    main: str = "ndcg@10"
    """Its main score, by our name."""
    kinds: tuple[Kind, ...] = ("mono",)
    """Kinds of setting in which it searches the pool that ours does."""
    other_pool: str = ""
    """What it searches in the others."""
    text: str | None = None
    """What it encodes of a passage, where that is not the default of our task."""
    options: str = ""
    """What sets it apart from the other task of mteb with the same texts."""


_NEUCLIR = "ndcg@20"
THEIR_TASKS: Mapping[str, TheirTask] = {
    "XQuADRetrieval": TheirTask({"validation": "xquad"}),
    "MLQARetrieval": TheirTask(
        {"test": "mlqa", "validation": "mlqa-dev"},
        other_pool="only those passages that have a question in the other language",
    ),
    "BelebeleRetrieval": TheirTask({"test": "belebele"}, kinds=KINDS),
    "MIRACLRetrieval": TheirTask({"dev": "miracl"}, text="title-space-text"),
    "MIRACLRetrievalHardNegatives": TheirTask({"dev": "miracl-hard-negatives"}),
    "MIRACLRetrievalHardNegatives.v2": TheirTask(
        {"dev": "miracl-hard-negatives"}, options="prompts of MIRACLRetrievalHardNegatives.v2"
    ),
    "NeuCLIR2022Retrieval": TheirTask({"test": "neuclir-2022"}, _NEUCLIR),
    "NeuCLIR2023Retrieval": TheirTask({"test": "neuclir-2023"}, _NEUCLIR),
    "NeuCLIR2022RetrievalHardNegatives": TheirTask(
        {"test": "neuclir-2022-hard-negatives"}, _NEUCLIR
    ),
    "NeuCLIR2023RetrievalHardNegatives": TheirTask(
        {"test": "neuclir-2023-hard-negatives"}, _NEUCLIR
    ),
}

OTHER_TEXTS: Mapping[str, str] = {
    "MMarcoRetrieval": "some 100,000 passages drawn from mMARCO's Chinese collection",
    "MMarcoRetrievalMultilingual": "106,813 passages drawn from mMARCO's collections",
}
"""Tasks of mteb's own that are easily taken for one of ours -> what they search."""

_MIRACL = (
    "MIRACL",
    "MIRACLRetrieval",
    "MIRACLRetrievalHardNegatives",
    "MIRACLRetrievalHardNegatives.v2",
    "MIRACLReranking",
)
_OF_TASK: Mapping[str, tuple[str, ...]] = {
    "xquad": ("XQuADRetrieval",),
    "xquad-r": ("XQuADRetrieval",),
    "mlqa": ("MLQARetrieval",),
    "mlqa-dev": ("MLQARetrieval",),
    "mlqa-r": ("MLQARetrieval",),
    "belebele": ("BelebeleRetrieval",),
    "miracl": _MIRACL,
    "miracl-hard-negatives": _MIRACL,
    "mmarco": ("MMARCO", "mMARCO-NL", "mmarco-chinese", *OTHER_TEXTS),
    "neuclir-2022": ("NeuCLIR2022Retrieval", "NeuCLIR2022RetrievalHardNegatives"),
    "neuclir-2022-hard-negatives": ("NeuCLIR2022Retrieval", "NeuCLIR2022RetrievalHardNegatives"),
    "neuclir-2023": ("NeuCLIR2023Retrieval", "NeuCLIR2023RetrievalHardNegatives"),
    "neuclir-2023-hard-negatives": ("NeuCLIR2023Retrieval", "NeuCLIR2023RetrievalHardNegatives"),
}


def training_data_of(task: str) -> frozenset[str]:
    """What mteb calls training data that are of a task of ours, whichever split of it."""
    return frozenset(_OF_TASK.get(task, ()))

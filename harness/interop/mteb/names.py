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
"""Our task -> its name in mteb, where the plain name would be that of another task."""


def mteb_name(spec: TaskSpec) -> str:
    """The name of one of our tasks in mteb; never that of one of mteb's own tasks."""
    return _NAMES.get(spec.name, f"Harness-{spec.name}")


@cache
def our_tasks() -> Mapping[str, str]:
    """Name in mteb -> our task."""
    return {mteb_name(t): t.name for t in list_tasks()}


@dataclass(frozen=True)
class TheirTask:
    """A task of mteb's own with the texts and judgements of one of our tasks."""

    splits: Mapping[str, str]
    """Split -> our task."""
    main: str = "ndcg@10"
    """Its main score, by our name."""
    kinds: tuple[Kind, ...] = ("mono",)
    """Kinds of setting in which it searches the pool that ours does."""
    other_pool: str = ""
    """What it searches in the other kinds of setting."""
    text: str | None = None
    """The text option: what it encodes of a passage, if not our task's default."""
    options: str = ""
    """How it differs from mteb's other task with the same texts."""


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
"""mteb's own tasks that look like one of ours -> what they search instead."""

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
    """Names that mteb gives to training data from one of our tasks, whatever the split."""
    return frozenset(_OF_TASK.get(task, ()))

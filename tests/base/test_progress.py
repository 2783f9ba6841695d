"""Time and memory of stages."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from harness.base.progress import Stages, resident_memory


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a peak is the whole process's")
def test_a_stage_within_another_takes_neither_its_time_nor_its_peak() -> None:
    stages = Stages()
    size = 200 << 20
    before = resident_memory()
    with stages.stage("outer"):
        large = np.ones(size, np.uint8)
        del large
        with stages.stage("inner"):
            pass
    assert stages.peak_bytes["outer"] - before > 0.9 * size
    assert stages.peak_bytes["inner"] - before < 0.5 * size
    assert stages.seconds["inner"] < stages.seconds["outer"]

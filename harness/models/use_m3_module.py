"""Where folders of trained models look for ``use-m3``: their ``modules.json`` names this module."""

from __future__ import annotations

from harness.models.use_m3.module import UseM3Module

__all__ = ["UseM3Module"]

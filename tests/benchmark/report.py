"""Rows of a measurement beside their goals, printed and written with the machine and the versions."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "benchmark"
PACKAGES = ("torch", "openai-whisper", "faster-whisper", "onnxruntime", "numpy", "sqlalchemy")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ``value`` None: its input was missing, and it does not hold. ``goal`` None: for information."""

    name: str
    value: float | None
    unit: str
    goal: float | None = None
    better: Literal["higher", "lower"] = "lower"
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        if self.value is None:
            return False
        if self.goal is None:
            return True
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal


def machine() -> str:
    """The processor, its cores, and the system."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if "model name" in line
        ]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def versions() -> dict[str, str]:
    """The packages that the figures depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def publish(name: str, rows: list[Row]) -> int:
    """Print the rows, write build/benchmark/NAME.json, and say by the exit status whether every goal is reached."""
    table = Table(title=f"{name}: {machine()}", title_justify="left", box=None)
    for heading in ("what", "value", "unit", "goal", "holds", "note"):
        table.add_column(heading, justify="right" if heading in ("value", "goal") else "left")
    for row in rows:
        value = "input missing" if row.value is None else f"{row.value:.2f}"
        goal = "" if row.goal is None else f"{'<=' if row.better == 'lower' else '>='} {row.goal:g}"
        table.add_row(
            row.name,
            value,
            row.unit,
            goal,
            "" if row.goal is None else ("yes" if row.holds else "NO"),
            row.note,
        )
    Console(width=140).print(table)
    BUILD.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine(),
        "versions": versions(),
        "rows": [{**asdict(row), "holds": row.holds} for row in rows],
    }
    (BUILD / f"{name}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 0 if all(row.holds for row in rows) else 1

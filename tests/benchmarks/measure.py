"""What the benchmarks share: repeated figures with their noise, tables, and where they were measured."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

out = Console(width=140, highlight=False)


@dataclass(frozen=True)
class Figure:
    """One thing measured several times."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{shown(self.median)}  ({shown(min(self.values))}–{shown(max(self.values))})"

    def beside(self, other: "Figure") -> str:
        """How many times the other figure this one is."""
        return f"{self.median / other.median:.2f}×" if other.median else "–"


def shown(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; all columns but the first are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for number, name in enumerate(columns):
        made.add_column(name, justify="right" if number else "left")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    out.print(made)


def machine() -> str:
    """Date, processors and Python, in one line."""
    load = Path("/proc/loadavg").read_text("ascii").split()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {os.cpu_count()} CPUs, load {load} · "
        f"{platform.python_implementation()} {platform.python_version()} · median (min–max)"
    )

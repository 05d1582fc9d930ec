"""Run every benchmark: `python -m tests.benchmarks`, `--quick` for a short run, names to choose some."""

import argparse
import importlib
import inspect
from pathlib import Path

from tests.benchmarks.measure import machine, out

HERE = Path(__file__).parent


def main() -> None:
    """Every module here that has a `main` is a benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("names", nargs="*")
    chosen = parser.parse_args()
    names = chosen.names or sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("__"))
    for name in names:
        run = getattr(importlib.import_module(f"tests.benchmarks.{name}"), "main", None)
        if run is None:
            continue
        out.print(f"\n[bold]{name}[/bold] · {machine()}")
        run(**({"quick": chosen.quick} if "quick" in inspect.signature(run).parameters else {}))


if __name__ == "__main__":
    main()

"""Mutation testing of the tally: `python -m tests.mutants`, with mutmut installed beside the development libraries.

Each mutant counts the worked cases and thousands of random ones, whose results the second tally gave. What survives
must stand in mutants.toml, with the reason why it is no other count.
"""

import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings

from handlers.tally import result
from tests.handlers import second_tally
from tests.handlers.elections import poll_cases, statutory_cases

ROOT = Path(__file__).parents[1]
EXPLAINED = ROOT / "tests" / "mutants.toml"
STATUTORY, POLLS = 3000, 1500
CONFIG = """
[tool.pytest.ini_options]
pythonpath = ["."]
addopts = "--import-mode=importlib"
[tool.mutmut]
source_paths = ["handlers"]
only_mutate = ["handlers/tally.py"]
also_copy = ["corpus.pickle"]
pytest_add_cli_args_test_selection = ["tests/test_corpus.py", "tests/handlers/test_tally.py"]
pytest_add_cli_args = ["-k", "not drawn and not alike"]
"""
NEEDED = {
    "__init__.py",
    "votes",
    "dev.json",
    "schema.json",
    "second_tally.py",
    "elections.py",
    "test_tally.py",
}
TEST = """
import pickle
from pathlib import Path
from handlers.tally import count, count_poll, result, what_follows

CORPUS = pickle.loads(Path("corpus.pickle").read_bytes())

def test_all():
    for case, counted, published in CORPUS:
        assert ((count_poll if case.get("poll") else count)(case) == counted)
        assert (result(case) == published)
        if case.get("poll"):
            follows = what_follows(case["poll"], published)
            assert (follows == {name: published[name] for name in follows})
            if case["poll"]["question"] == "yes_no":  # what does not add up is not believed
                counts = {**published["counts"], "against": {"area": "0.01", "heads": 10**6}}
                assert (what_follows(case["poll"], {**published, "counts": counts}) == follows)
            assert ({"cast", "decided", "counts", "quorum_met", "adopted", "reason"} == set(follows))
"""


def corpus() -> list[tuple[Any, Any, Any]]:
    """Random votes with what the second tally counts, and with what is published besides."""
    made: list[tuple[Any, Any, Any]] = []
    once = settings(deadline=None, derandomize=True, database=None, phases=[Phase.generate])

    @settings(once, max_examples=STATUTORY)
    @given(statutory_cases())
    def draw(case: dict[str, Any]) -> None:
        if len(made) % 5 == 0:  # areas of more decimals than the law's
            for unit in case["roster"]["units"]:
                unit.update({"area": unit["area"] + "0405"} if "area" in unit else {})
        made.append((case, second_tally.count(case), result(case)))

    @settings(once, max_examples=POLLS)
    @given(poll_cases())
    def draw_polls(case: dict[str, Any]) -> None:
        made.append((case, second_tally.count_poll(case), result(case)))

    draw()
    draw_polls()
    return made


def run(folder: Path) -> list[tuple[str, str]]:
    """Run all mutants there; what survived, as the lines that stood there and that took their place."""
    for name in ("handlers", "conversations", "store", "moderation"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copytree(
        ROOT / "tests" / "handlers",
        folder / "tests" / "handlers",
        ignore=lambda _, names: [name for name in names if name not in NEEDED],
    )
    (folder / "tests" / "__init__.py").touch()
    (folder / "tests" / "test_corpus.py").write_text(TEST, encoding="utf-8")
    (folder / "pyproject.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "corpus.pickle").write_bytes(pickle.dumps(corpus()))
    mutmut = [str(Path(sys.executable).with_name("mutmut"))]
    subprocess.run([*mutmut, "run"], cwd=folder, check=True)
    listed = subprocess.run([*mutmut, "results"], cwd=folder, check=True, capture_output=True, text=True)
    names = re.findall(r"^\s*(\S+): (?!no tests|killed|timeout)", listed.stdout, re.MULTILINE)
    shown = [
        subprocess.run([*mutmut, "show", name], cwd=folder, check=True, capture_output=True, text=True).stdout
        for name in names
    ]
    return [(_lines(diff, "-"), _lines(diff, "+")) for diff in shown]


def _lines(diff: str, mark: str) -> str:
    """The lines of a diff with this mark, as one."""
    return " ".join(
        line[1:].strip()
        for line in diff.splitlines()
        if line.startswith(mark) and not line.startswith(mark * 3)
    )


def main() -> None:
    """Print the survivors that nobody has explained; none is a success."""
    with tempfile.TemporaryDirectory() as folder:
        survived = run(Path(folder))
    explained = {
        (each["was"], each["becomes"]) for each in tomllib.loads(EXPLAINED.read_text("utf-8"))["mutant"]
    }
    strange = sorted({each for each in survived if each not in explained})
    for was, becomes in strange:
        print(f"- {was}\n+ {becomes}\n")
    print(f"{len(survived)} survived, {len(strange)} of them without a reason in {EXPLAINED.name}")
    sys.exit(bool(strange))


if __name__ == "__main__":
    main()

"""The house rules that no linter knows: where code may lie, what a module is called, what no file may say."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
IGNORED = [".git/", *(ROOT / ".gitignore").read_text(encoding="utf-8").split()]
FOLDERS = {"bot", "handlers", "conversations", "store", "moderation", "tests", "docs", ".ci"}
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|misc|managers?)$|^(common|base\d+)$")
# Brackets, so that this file does not say what no file may say.
UNSAYABLE = {
    "a folder of somebody's machine": (
        r"/(hom[e]|User[s])/[A-Za-z][\w.-]*/|(?<![\w.:])/roo[t]/|[A-Z]:\\User[s]\\"
    ),
    "a package registry": r"py[p]i\.\w|pythonhoste[d]\.|npmj[s]\.|mirror[s]\.[a-z]+\.[a-z]",
}


def is_ours(path: Path) -> bool:
    """Whether .gitignore leaves a path alone; it holds names, and folders right below the root, no more."""
    return not any(
        fnmatch(path.name, pattern.strip("/"))
        for pattern in IGNORED
        if not pattern.startswith("/") or path.parent == ROOT
    )


def files_in(folder: Path) -> Iterator[Path]:
    """Every file of the project below a folder."""
    for path in sorted(filter(is_ours, folder.iterdir())):
        if path.is_dir() and not path.is_symlink():
            yield from files_in(path)
        elif path.is_file():
            yield path


def named(paths: list[Path]) -> list[str]:
    """Paths as a failing test shows them."""
    return [str(path.relative_to(ROOT)) for path in paths]


FILES = list(files_in(ROOT))
MODULES = [path for path in FILES if path.suffix == ".py" or path == ROOT / "linli"]


def test_code_lies_in_no_other_top_level_folder() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and is_ours(path)}
    assert sorted(folders - FOLDERS) == []


def test_every_module_says_what_it_is_for() -> None:
    """An empty `__init__.py` is for nothing and may stay silent."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
    silent = [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    assert named(silent) == []


def test_every_module_is_named_after_what_it_holds() -> None:
    parts = [
        path
        for path in MODULES
        for part in path.relative_to(ROOT).with_suffix("").parts
        if EMPTY_NAMES.search(part)
    ]
    assert named(parts) == []


@pytest.mark.parametrize("thing", UNSAYABLE)
def test_no_file_names(thing: str) -> None:
    pattern = re.compile(UNSAYABLE[thing])
    said = [path for path in FILES if pattern.search(path.read_bytes().decode(errors="replace"))]
    assert named(said) == []

"""The launcher, run for real in trees of its own: what it installs, what it says, and whom it hands over to.

No test reaches a network: the lock files name wheels made here, and the package index is a closed port.
"""

import ast
import errno
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = ROOT / "linli"
CLOSED = "http://127.0.0.1:9/simple"
BOT = """\
import json, os, sys
import probe
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "probe": probe.VERSION}))
sys.exit(int(os.environ.get("CODE", "0")))
"""
CHECK = """\
import os, sys
print("{name}", *sys.argv[1:], flush=True)
sys.exit(3 if os.environ.get("FAILS") == "{name}" else 0)
"""


def load_launcher() -> ModuleType:
    """The launcher as a module, for its sentences."""
    loader = SourceFileLoader("linli_launcher", str(LAUNCHER))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


linli = load_launcher()
INSTALLING = linli.INSTALLING + "\n"


class Tree:
    """A checkout with a stub of a bot, and a machine that has a Python, perhaps a uv, and no network."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "linli"
        self.bin = folder / "bin"
        self.wheels = folder / "wheels"
        for made in (self.root / "bot", self.bin, self.wheels):
            made.mkdir(parents=True)
        shutil.copy(LAUNCHER, self.root)
        (self.root / "bot" / "__main__.py").write_text(BOT)
        (self.bin / "python3").symlink_to(linli.BASE)
        if uv := linli.find_uv():
            (self.bin / "uv").symlink_to(uv)
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": CLOSED,
            "PIP_RETRIES": "0",
            "UV_HTTP_RETRIES": "0",
            "UV_NO_CONFIG": "1",
        }
        self.lock("requirements.lock", self.wheel("probe", "1", {"probe.py": "VERSION = 1\n"}))

    def wheel(self, name: str, version: str, files: dict[str, str]) -> str:
        """Build a wheel: its line for a lock file."""
        path = self.wheels / f"{name}-{version}-py3-none-any.whl"
        about = f"{name}-{version}.dist-info"
        files = files | {
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])
        with zipfile.ZipFile(path, "w") as archive:
            for file, content in (files | {f"{about}/RECORD": record}).items():
                archive.writestr(file, content)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return f"{name} @ {path.as_uri()} --hash=sha256:{digest}\n"

    def lock(self, name: str, *lines: str) -> None:
        """Write a lock file."""
        (self.root / name).write_text("".join(lines))

    def lock_for_development(self) -> None:
        """Write the development lock: the runtime's, and stubs of the checks that print how they are run."""
        checks = {f"{name}/__main__.py": CHECK.format(name=name) for name in ("ruff", "mypy", "pytest")}
        script = {"pytest-9.data/scripts/lint-imports": "#!python\n" + CHECK.format(name="lint-imports")}
        stubs = self.wheel("pytest", "9", checks | script)
        self.lock("requirements-dev.lock", (self.root / "requirements.lock").read_text(), stubs)

    def run(
        self, *arguments: str, folder: Path | None = None, launcher: Path | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the launcher as a person does."""
        return subprocess.run(
            [launcher or self.root / "linli", *arguments],
            cwd=folder or self.root,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def without(self, *modules: str) -> str:
        """A PYTHONPATH on which these modules of the standard library cannot be imported."""
        folder = self.root.parent / "without"
        folder.mkdir(exist_ok=True)
        for module in modules:
            (folder / f"{module}.py").write_text(f"raise ImportError('no {module} here')\n")
        return str(folder)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A tree in which nothing is installed yet."""
    return Tree(tmp_path)


def test_the_first_start_installs_and_the_second_only_starts(tree: Tree) -> None:
    first, second = tree.run("board"), tree.run("board")
    expected = {"arguments": ["board"], "folder": str(tree.root), "probe": 1}
    assert (json.loads(first.stdout), first.stderr, first.returncode) == (expected, INSTALLING, 0)
    assert (json.loads(second.stdout), second.stderr, second.returncode) == (expected, "", 0)


def test_a_changed_lock_is_installed_and_what_it_dropped_removed(tree: Tree) -> None:
    extra = tree.wheel("extra", "1", {"extra.py": ""})
    tree.lock("requirements.lock", (tree.root / "requirements.lock").read_text(), extra)
    tree.run()
    assert len(list(tree.root.glob(".venv/lib/*/site-packages/extra.py"))) == 1
    tree.lock("requirements.lock", tree.wheel("probe", "12", {"probe.py": "VERSION = 12\n"}))
    again = tree.run()
    assert (json.loads(again.stdout)["probe"], again.stderr) == (12, INSTALLING)
    assert list(tree.root.glob(".venv/lib/*/site-packages/extra.py")) == []


def test_it_works_through_a_link_from_another_folder(tree: Tree, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "bot").mkdir(parents=True)
    (elsewhere / "bot" / "__main__.py").write_text("print('not ours')")
    (elsewhere / "link").symlink_to(tree.root / "linli")
    done = tree.run("judge", "a b.txt", folder=elsewhere, launcher=elsewhere / "link")
    expected = {"arguments": ["judge", "a b.txt"], "folder": str(elsewhere), "probe": 1}
    assert json.loads(done.stdout) == expected


def test_the_exit_code_is_the_commands(tree: Tree) -> None:
    assert tree.run(CODE="42").returncode == 42


def garble_stamp(tree: Tree) -> None:
    (tree.root / ".venv" / "linli-stamp").write_bytes(b"\xff\x00")


def leave_half_finished(tree: Tree) -> None:
    next(tree.root.glob(".venv/lib/*/site-packages/probe.py")).unlink()
    (tree.root / ".venv" / "linli-stamp").write_text("unfinished\n")


def take_away_python(tree: Tree) -> None:
    python = tree.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python3")


def take_away_all_but_the_stamp(tree: Tree) -> None:
    stamp = (tree.root / ".venv" / "linli-stamp").read_text()
    shutil.rmtree(tree.root / ".venv")
    (tree.root / ".venv").mkdir()
    (tree.root / ".venv" / "linli-stamp").write_text(stamp)


def put_a_file_there(tree: Tree) -> None:
    shutil.rmtree(tree.root / ".venv")
    (tree.root / ".venv").write_text("")


def move(tree: Tree) -> None:
    tree.root = tree.root.rename(tree.root.with_name("moved"))


@pytest.mark.parametrize(
    "harm",
    [
        garble_stamp,
        leave_half_finished,
        take_away_python,
        take_away_all_but_the_stamp,
        put_a_file_there,
        move,
    ],
)
def test_a_broken_installation_is_repaired(tree: Tree, harm: Callable[[Tree], None]) -> None:
    tree.run()
    harm(tree)
    repaired, after = tree.run(), tree.run()
    assert (json.loads(repaired.stdout)["probe"], repaired.stderr) == (1, INSTALLING)
    assert (json.loads(after.stdout)["probe"], after.stderr) == (1, "")


def test_two_at_once_install_once(tree: Tree) -> None:
    both = [
        subprocess.Popen(
            [tree.root / "linli"],
            env=tree.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert "".join(said).count(INSTALLING) == 1


def test_without_pip_and_venv_it_names_the_line_that_helps(tree: Tree) -> None:
    (tree.bin / "uv").unlink(missing_ok=True)
    done = tree.run(PYTHONPATH=tree.without("pip", "ensurepip"))
    assert (done.stdout, done.stderr, done.returncode) == ("", linli.NO_PIP + "\n", 1)
    assert linli.NO_PIP.splitlines()[-1] == "    sudo apt install -y python3-pip"
    assert not (tree.root / ".venv").exists()


def test_without_uv_and_a_way_to_get_it_venv_and_pip_do(tree: Tree) -> None:
    (tree.bin / "uv").unlink(missing_ok=True)
    done = tree.run()
    assert (json.loads(done.stdout)["probe"], done.stderr) == (1, INSTALLING)


def test_without_a_network_it_says_so(tree: Tree) -> None:
    tree.lock("requirements.lock", f"unreachable==1 --hash=sha256:{'0' * 64}\n")
    done = tree.run()
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith(INSTALLING)
    assert done.stderr.endswith((linli.NO_NETWORK + "\n", linli.NOT_THERE + "\n"))


def test_a_file_that_is_not_the_locked_one_is_refused(tree: Tree) -> None:
    line = (tree.root / "requirements.lock").read_text()
    tree.lock("requirements.lock", line.partition("sha256:")[0] + "sha256:" + "0" * 64 + "\n")
    done = tree.run()
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.endswith(linli.WRONG_HASH + "\n")


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, linli.NO_SPACE),
        (errno.EACCES, linli.NO_WRITE.format("here")),
        (errno.EROFS, linli.NO_WRITE.format("here")),
        (errno.EIO, f"{os.strerror(errno.EIO)}: here\n{linli.FAILED}"),
    ],
)
def test_an_error_of_the_disk_is_a_sentence(number: int, sentence: str) -> None:
    assert linli.sentence_for(OSError(number, os.strerror(number), "here")) == sentence


def test_an_old_python_can_parse_it() -> None:
    ast.parse(LAUNCHER.read_text(encoding="utf-8"), feature_version=(3, 6))


def ask_for_a_newer_python_than_any(tree: Tree) -> None:
    """Raise the floor in this copy, so that every real Python is too old."""
    text = (tree.root / "linli").read_text(encoding="utf-8")
    (tree.root / "linli").write_text(text.replace("OLDEST = (3, 11)", "OLDEST = (99, 0)"), encoding="utf-8")


def test_an_old_python_is_told_so(tree: Tree) -> None:
    ask_for_a_newer_python_than_any(tree)
    done = tree.run()
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr == (
        f"Python 版本太旧：需要 99.0 或更新的版本，这里是 {here}。\n"
        f"This Python is too old: 99.0 or newer is needed, this is {here}.\n"
    )


def test_an_old_python_hands_over_to_a_newer_one(tree: Tree) -> None:
    ask_for_a_newer_python_than_any(tree)
    newer = tree.bin / "python99.1"
    newer.write_text('#!/bin/sh\necho "$@"\n')
    newer.chmod(0o755)
    assert tree.run("board").stdout == f"{tree.root / 'linli'} board\n"


def test_the_tests_run_every_check_and_pytest_last(tree: Tree) -> None:
    tree.lock_for_development()
    done = tree.run("test")
    *checks, last = done.stdout.splitlines()
    assert checks == ["ruff check", "ruff format --check", "mypy", "lint-imports"]
    assert last.startswith("pytest -n auto ")
    assert done.returncode == 0


def test_the_first_check_that_fails_ends_the_tests(tree: Tree) -> None:
    tree.lock_for_development()
    done = tree.run("test", FAILS="mypy")
    assert done.stdout.splitlines() == ["ruff check", "ruff format --check", "mypy"]
    assert done.stderr.splitlines()[-2:] == ["mypy 没有通过。", "mypy found something to mend."]
    assert done.returncode == 3


def test_arguments_go_to_pytest_alone(tree: Tree, tmp_path: Path) -> None:
    tree.lock_for_development()
    (tmp_path / "test_it.py").write_text("")
    done = tree.run("test", "-k", "repair", "test_it.py::test_x", folder=tmp_path, FAILS="pytest")
    assert done.stdout == f"pytest -k repair {tmp_path / 'test_it.py'}::test_x\n"
    assert done.returncode == 3


def test_a_start_keeps_the_development_libraries(tree: Tree) -> None:
    tree.lock_for_development()
    tree.run("test")
    start, check = tree.run(), tree.run("test", "-q")
    assert (json.loads(start.stdout)["probe"], start.stderr) == (1, "")
    assert check.stdout == "pytest -q\n"

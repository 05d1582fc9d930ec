"""./linli verify and ./linli tally: what anybody can do with a published vote, without bot, settings or database."""

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from handlers.bundle import case_of
from handlers.bundle_file import README, RESULT, files_of
from handlers.tally import count
from handlers.tx import Tx
from handlers.votes import cast, open_vote
from store.tables import Person
from tests.bot.test_command_line import linli as command
from tests.bot.test_command_line import said
from tests.people import Building
from tests.published import Vote, ballot, receipt_of, unit

ROOT = Path(__file__).resolve().parents[2]
VOTE = Vote()


def linli(*arguments: str, cwd: Path = ROOT, port: str = "wrong") -> subprocess.CompletedProcess[bytes]:
    """Run a command where no settings can be read, unless the port is right."""
    return command(*arguments, cwd=cwd, LINLI_WEB__PORT=port)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    file = tmp_path / "投票.zip"
    file.write_bytes(VOTE.packed())
    return file


def case(name: str, **changed: Any) -> dict[str, Any]:
    bundle = VOTE.bundle()
    made = case_of(bundle.policy, bundle.roster, bundle.log)
    return {**{key: value for key, value in made.items() if key != "poll"}, "name": name, **changed}


def vectors(folder: Path, *cases: Any) -> str:
    file = folder / "vectors.json"
    file.write_text(json.dumps({"format": "owner-vote-vectors/1", "set": "x", "cases": cases}), "utf-8")
    return str(file)


# --- verify -----------------------------------------------------------------------------------------


def test_a_vote_that_holds_is_told_with_its_result_in_both_languages(published: Path, tmp_path: Path) -> None:
    done = linli("verify", str(published), cwd=tmp_path)
    words = said(done)
    assert done.returncode == 0 and done.stderr == b""
    for part in (
        "✓ 全部核对相符",
        "All holds",
        "3 号楼加装充电桩",
        "记录 11 条，选票 6 张",
        "结果：未通过",
        "Result:",
    ):
        assert part in words
    assert words.count(receipt_of(VOTE.bundle(), 11)) >= 2  # the head, to be compared
    assert [path.name for path in tmp_path.iterdir()] == [published.name]


@pytest.mark.parametrize("typed", ["{}", "回执 {}", "{lower}", "{spaced}"])
def test_a_receipt_tells_what_it_holds(published: Path, typed: str) -> None:
    receipt = receipt_of(VOTE.bundle(), 2)
    words = typed.format(receipt, lower=receipt.lower(), spaced=receipt.replace("-", " "))
    done = linli("verify", str(published), words)
    assert (done.returncode, "第 2 条：1-101、1-102，赞成，2026-11-02 09:00:00，已计入" in said(done)) == (
        0,
        True,
    )


def test_a_receipt_may_be_typed_in_several_words(published: Path) -> None:
    receipt = receipt_of(VOTE.bundle(), 11).split("-")
    done = linli("verify", str(published), *receipt)
    assert (done.returncode, "it is the same history" in said(done)) == (0, True)


@pytest.mark.parametrize(
    ("receipt", "words"),
    [
        ("hello", "回执是一个编号加 16 个字母或数字，例如 17-ABCD-EFGH-IJKL-MNOP"),
        ("17-ABCD-EFGH-IJKL-MNOP", "没有第 17 条记录，这个文件里只有 11 条"),
        ("2-ABCD-EFGH-IJKL-MNOP", "第 2 条，不是给您回执的那一条"),
    ],
)
def test_a_receipt_that_does_not_fit_is_said(published: Path, receipt: str, words: str) -> None:
    done = linli("verify", str(published), receipt)
    assert (done.returncode, words in said(done), done.stdout) == (1, True, b"")


def test_what_is_wrong_is_said_with_its_place(published: Path, tmp_path: Path) -> None:
    data = VOTE.packed()
    published.write_bytes(data.replace(b'"choice":"for"', b'"choice":"xor"', 1))
    done = linli("verify", str(published))
    assert (done.returncode, "✗ log.jsonl：这里有字节和公示时写的不一样" in said(done)) == (1, True)
    published.write_bytes(Vote(result={"passed": True}).packed())
    done = linli("verify", str(published))
    assert (done.returncode, "passed 应该是 False，写的是 True" in said(done)) == (1, True)
    assert "passed should be False and is True" in said(done)


def test_of_a_sealed_poll_it_is_said_that_only_the_keeper_can_count(published: Path) -> None:
    published.write_bytes(Vote(poll={"visible": "totals"}).packed())
    done = linli("verify", str(published))
    assert (done.returncode, "只有保管人能重新计票" in said(done), "全部核对相符" in said(done)) == (
        0,
        True,
        False,
    )
    published.write_bytes(Vote(poll={"visible": "totals"}, result={"counts": "\x1b[2J"}).packed())
    done = linli("verify", str(published))
    assert (done.returncode, "✗ result.json：counts 缺少" in said(done), done.stdout) == (1, True, b"")


def test_what_a_file_says_cannot_move_the_cursor(published: Path) -> None:
    evil = "\x1b[2J\x1b]0;x\x07[red]"
    vote = Vote(units=[unit(101, "1", id=evil)], acts=[ballot("1")], policy={"title": evil})
    published.write_bytes(vote.packed())
    done = linli("verify", str(published), receipt_of(vote.bundle(), 2))
    assert done.returncode == 0
    assert "\x1b" not in said(done) and "\x07" not in said(done) and "[red]" in said(done)


@pytest.mark.parametrize("command", ["verify", "tally"])
def test_what_is_no_file_is_said(tmp_path: Path, command: str) -> None:
    done = linli(command, str(tmp_path / "no.zip"))
    assert (done.returncode, "没有这个文件" in said(done)) == (1, True)
    done = linli(command, str(tmp_path))
    assert (done.returncode, "没有解压的 .zip" in said(done)) == (1, True)
    assert linli(command).returncode == 2
    done = linli(command, "README.md")
    assert (done.returncode, "公示的" in said(done)) == (1, True)


def test_the_bot_is_not_loaded(published: Path) -> None:
    script = f"""
import runpy, sys
sys.argv = ["linli", "verify", {str(published)!r}]
try:
    runpy.run_module("bot", run_name="__main__")
except SystemExit as ended:
    heavy = {{"sqlmodel", "alembic", "telegram", "jieba", "uvicorn"}} & set(sys.modules)
    sys.exit(f"{{ended.code}} {{sorted(heavy)}}")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, cwd=ROOT, capture_output=True, timeout=60
    )
    assert done.stderr.decode().strip() == "0 []"


# --- tally ------------------------------------------------------------------------------------------


def test_a_published_vote_is_counted_again(published: Path) -> None:
    done = linli("tally", str(published))
    assert (done.returncode, "结果：未通过" in said(done), "Result:" in said(done)) == (0, True, True)
    done = linli("tally", str(published), "--json")
    assert (done.returncode, done.stdout) == (0, files_of(VOTE.packed())[RESULT])


def test_a_result_that_is_another_than_the_published_one_is_said(published: Path) -> None:
    published.write_bytes(Vote(result={"passed": True}).packed())
    done = linli("tally", str(published), "--json")
    assert (done.returncode, json.loads(done.stdout)["passed"]) == (1, False)
    assert "和文件里公布的结果不一样" in said(done)


def test_what_cannot_be_counted_again_is_said(published: Path) -> None:
    published.write_bytes(Vote(poll={"visible": "totals"}).packed())
    done = linli("tally", str(published))
    assert (done.returncode, "只有保管人能重新计票" in said(done)) == (1, True)
    published.write_bytes(VOTE.packed()[:-1])
    done = linli("tally", str(published))
    assert (done.returncode, "压缩包末尾的目录" in said(done)) == (1, True)


def test_each_case_of_a_file_is_one_line_of_json(tmp_path: Path) -> None:
    cases = [case("一"), case("two", rule="special", why="", expected={})]
    done = linli("tally", vectors(tmp_path, *cases), "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and done.stderr == b""
    assert lines == [{"name": each["name"], **count(each)} for each in cases]
    assert done.stdout.startswith('{"name": "一", "total"'.encode())


def test_a_case_may_be_longer_ago_and_more_exact_than_any_vote(tmp_path: Path) -> None:
    early, late = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"
    roster = json.loads(json.dumps(case("x")["roster"]))
    roster["units"][0]["area"] = "1" * 30 + "." + "2" * 30
    options = {**case("x")["options"], "proxy_max_principals": 3.0}
    unlimited = {**options, "proxy_max_principals": 10**12}
    cases = [
        case("n" * 20_000, opens_at=early, deadline=late),
        case("area", roster=roster),
        case("integer", options=options),
        case("many", options=unlimited),
        case("none", options={**options, "proxy_max_principals": -1}),
    ]
    done = linli("tally", vectors(tmp_path, *cases))
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["name"] for each in lines] == [each["name"] for each in cases]
    assert lines[1]["total"]["area"].endswith("2" * 20)
    assert "rejected:PROXY_LIMIT" in lines[4]["ballot_outcomes"]


def test_a_malformed_case_is_named_and_the_others_are_counted(tmp_path: Path) -> None:
    half = "\ud83d"
    cases = [case("a"), case("没有名册", roster=None), 7, case("b", deadline="tomorrow"),
             case("c", options={}), case(half)]  # fmt: skip
    done = linli("tally", vectors(tmp_path, *cases))
    assert done.returncode == 1
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["a", half]
    errors = done.stderr.decode().splitlines()
    assert len(errors) == 4 and "Traceback" not in done.stderr.decode()
    for error, part in zip(errors, ("没有名册", "第 3 例", "deadline", "options"), strict=True):
        assert part in error


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"format":"owner-vote-vectors/2","cases":[]}', b'{"format":"owner-vote-vectors/1"}',
     b'{"format":"owner-vote-vectors/1","cases":7}', b"[" * 100_000, b"\xff\xfe\x00"],
)  # fmt: skip
def test_what_is_neither_a_vote_nor_cases_is_said(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    done = linli("tally", str(file))
    assert (done.returncode, "owner-vote-vectors/1" in said(done)) == (1, True)


# --- bundle -----------------------------------------------------------------------------------------


async def test_a_closed_vote_is_written_as_its_file(tmp_path: Path, sqlite_template: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "投票.zip"

    def keeper(number: int) -> tuple[int, str]:
        done = linli("bundle", str(number), str(file), "--data", str(data), port="8080")
        return done.returncode, said(done)

    data.mkdir()
    shutil.copy(sqlite_template, data / "linli.db")
    building = Building(data, f"sqlite:///{data}/linli.db")
    open_at = building.clock.now()

    def begin(session: Session) -> None:
        tx = Tx(session, open_at, building.app.house)
        vote = open_vote(
            tx, 1, kind="poll", title="充电桩", opens_at=open_at, deadline=open_at + timedelta(days=3)
        )
        owner = session.exec(select(Person).where(Person.name == "陈女士")).one()
        cast(tx, vote, owner, choice="for")

    building.app.database.write_now(begin)
    assert "还没有结束" in keeper(1)[1]
    await building.later(days=4)
    await building.close()
    assert "没有 2 号投票" in keeper(2)[1]
    assert not file.exists()
    code, words = keeper(1)
    assert (code, "核对相符" in words) == (0, True)
    assert "已存在" in keeper(1)[1]
    done = linli("verify", str(file))
    assert (done.returncode, "征求意见，非业主大会决定" in said(done)) == (0, True)
    assert "怎样自己再数一遍" in files_of(file.read_bytes())[README].decode()

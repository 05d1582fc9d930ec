"""The command line and the settings: every command, and a sentence for whatever is wrong with its surroundings."""

import asyncio
import atexit
import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock

import pytest
from sqlmodel import select

from bot import settings
from handlers import repair
from store.tables import Inbox
from tests.bot_api import BotApi
from tests.nursery import Nursery
from tests.people import Building, Phone

ROOT = Path(__file__).resolve().parents[2]
one_at_a_time = Lock()


@cache
def nursery() -> Nursery:
    """What all commands of a run are forked from."""
    made = Nursery()
    atexit.register(made.close)
    return made


def linli(
    *arguments: str, stdin: bytes = b"", cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the bot, with no settings but these."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("LINLI_")}
    known |= {"COLUMNS": "200", **environment}
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(stdin)
        for file in (given, out, err):
            file.seek(0)
        with one_at_a_time:
            nursery().fork(arguments, cwd, known, [given, out, err])
            try:
                code = nursery().exit_code(within=60)
            except TimeoutError:  # which ended it: the next command needs another one
                nursery.cache_clear()
                raise
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a person reads, which is never a traceback."""
    text = (done.stdout + done.stderr).decode()
    assert "Traceback" not in text
    return text


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "data")


def test_a_community_of_ones_own(data: str, tmp_path: Path) -> None:
    assert "已新建小区 1：阳光花园" in said(linli("community", "add", "阳光花园", "--data", data))
    again = linli("community", "add", "阳光花园", "--data", data)
    assert (again.returncode, "已经有一个小区叫「阳光花园」" in said(again)) == (1, True)
    demo = ("roster", "import", "bot/demo/roster.csv", "--data", data)
    assert "新增 10 户、新增 17 人、新增 19 个身份、新增 3 个车位" in said(linli(*demo, "--dry-run"))
    assert "已导入，新增 10 户、新增 17 人、新增 19 个身份、新增 3 个车位" in said(linli(*demo))
    assert "没有变化" in said(linli(*demo))
    copy = tmp_path / "copy.db"
    assert "已备份到" in said(linli("backup", str(copy), "--data", data))
    assert copy.stat().st_size > 0
    assert "已是最新" in said(linli("db", "upgrade", "--data", data))
    assert "没有处理失败的消息" in said(linli("inbox", "--data", data))


def test_what_a_roster_changes_is_asked_for_first(data: str, tmp_path: Path) -> None:
    file = tmp_path / "名册.csv"
    rows = "楼栋,房号,面积,业主,电话\n1,101,50,张伟,13800138000\n1,102,50,李娜,\n"
    linli("community", "add", "阳光花园", "--data", data)

    def imports(text: str, *options: str) -> tuple[int, str]:
        file.write_text(text, "gbk")
        done = linli("roster", "import", str(file), "--data", data, *options)
        return done.returncode, said(done)

    assert imports(rows)[0] == 0
    sold = rows.replace("张伟", "王芳")
    for options in ((), ("--dry-run",), ("--dry-run", "--yes")):
        code, words = imports(sold, *options)
        assert (code, "张伟不再是业主" in words) == (0 if options else 1, True)
        assert ("确定请加 --yes" in words, "只是看看" in words) == (not options, bool(options))
    assert "没有变化" in imports(rows)[1]
    code, words = imports(sold, "--yes")
    assert (code, "已导入，新增 1 人、新增 1 个身份、结束 1 个身份" in words) == (0, True)
    code, words = imports(sold.replace("50,李娜", ",李娜").replace("13800138000", "138"), "--yes")
    assert (code, words.count("第 2 行：电话「138」不对"), words.count("Row 3: there is no area")) == (
        1,
        1,
        1,
    )
    assert "没有变化" in imports(sold)[1]


def test_a_file_of_a_hundred_megabytes_is_not_even_read(data: str, tmp_path: Path) -> None:
    file = tmp_path / "big.xlsx"
    with file.open("wb") as big:
        big.truncate(100 * 1024 * 1024)
    done = linli("roster", "import", str(file), "--data", data)
    assert (done.returncode, "文件超过 20 MB" in said(done)) == (1, True)


@pytest.mark.parametrize("name", ["名册.xlsx", "名册.csv"])
def test_a_template_is_written_once_and_can_be_imported(data: str, tmp_path: Path, name: str) -> None:
    file = str(tmp_path / name)
    assert "已写好" in said(linli("roster", "template", file))
    again = linli("roster", "template", file)
    assert (again.returncode, "已存在，没有覆盖" in said(again)) == (1, True)
    linli("community", "add", "阳光花园", "--data", data)
    assert "新增 2 户、新增 4 人" in said(linli("roster", "import", file, "--data", data))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("community", "add", "x", "--time-zone", "Mars/Base"), "没有时区「Mars/Base」"),
        (("community", "add", "x", "--language", "fr"), "语言只有 zh 和 en"),
        (("roster", "import", "bot/demo/roster.csv"), "还没有小区"),
        (("roster", "import", "no/such/file.csv"), "读不了 no/such/file.csv"),
        (("roster", "import", "README.md"), "缺少列"),
        (("roster", "import", "docs/playground.png"), "不像表格"),
        (("roster", "template", "roster.doc"), "模板只有 .xlsx 和 .csv"),
        (("roster", "template", "no/such/folder/a.xlsx"), "No such file"),
        (("roster", "template", "README.csv/a.csv"), "README.csv"),
        (("backup", "copy.db"), "没有数据库"),
        (("inbox", "--run", "7F3A"), "没有编号 7F3A 的失败消息"),
        (("judge", "repair", "no/such/file"), "读不了 no/such/file"),
        (("judge", "repair", "bot"), "读不了 bot"),
        (("test",), "./linli test"),
        (("dance",), "No such command"),
        (("run", "--port", "70000"), "web.port"),
    ],
)
def test_what_cannot_be_done_is_said(data: str, arguments: tuple[str, ...], words: str) -> None:
    environment = {"LINLI_STORE__DATA": data} if arguments[0] != "judge" else {}
    done = linli(*arguments, **environment)
    assert words in said(done)
    assert done.returncode != 0


def test_judge_repair_takes_lines_and_json_lines() -> None:
    lines = '\ufeff{"id": "a", "text": "电梯里困了人"}\n'.encode()
    lines += (
        "\n路灯不亮\n{broken\n".encode()
        + b'{"id": "\\ud83d", "text": "x"}\n'
        + b"\xff\xfe\n"
        + b"x" * 1_000_000
    )
    done = linli("judge", "repair", stdin=lines)
    rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [(row["id"], row["verdict"]) for row in rows] == [
        ("a", "urgent"),
        ("3", "normal"),
        ("4", "normal"),
        ("\ud83d", "normal"),
        ("6", "normal"),
        ("7", "normal"),
    ]
    assert list(rows[0]) == ["id", "verdict", "kind", "why"]
    assert list(rows[0]["why"][0]) == ["rule", "words", "sentence"]
    assert done.returncode == 0


def test_judge_post_takes_lines_and_json_lines() -> None:
    lines = '{"id": "a", "text": "代开发票，加微信"}\n小区门口的桂花开了\n'.encode()
    done = linli("judge", "post", stdin=lines)
    rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [(row["id"], row["verdict"], row["category"]) for row in rows] == [
        ("a", "violation", "fraud"),
        ("2", "ok", None),
    ]
    assert list(rows[0]) == ["id", "verdict", "category", "why"]
    assert done.returncode == 0


async def test_corrections_are_judged_again(building: Building, owner: Phone, office: Phone) -> None:
    """The dry run over what people corrected; as lines it can be learned from."""
    environment = {"LINLI_STORE__DATA": str(building.data), "LINLI_STORE__URL": building.url}
    assert "还没有被纠正的判断" in said(linli("judge", "corrections", **environment))
    await owner.says("厨房水管爆了，电话13800138000")
    await office.taps("改为一般")
    await office.says("只是滴水")
    shown = said(linli("judge", "corrections", **environment))
    assert "只是滴水" in shown and "1 条仍判得不一样" in shown and "13800138000" not in shown
    (row,) = said(linli("judge", "corrections", "--json", **environment)).splitlines()
    assert json.loads(row) == {"text": "厨房水管爆了，电话***", "label": "normal", "kind": "pipe"}


async def test_what_staff_ruled_on_is_judged_again(building: Building, owner: Phone, office: Phone) -> None:
    """The same for posts, by the rules alone: they are what can learn from it."""
    environment = {"LINLI_STORE__DATA": str(building.data), "LINLI_STORE__URL": building.url}
    await owner.offers("出闲置发票，代开发票，专票普票都有，点数低，加我微信fp888，100 元")
    await owner.taps("判错了，申诉")
    await office.taps("没违规，放行 1")
    assert "1 条仍判得不一样" in said(linli("judge", "corrections", "--posts", **environment))
    (row,) = said(linli("judge", "corrections", "--posts", "--json", **environment)).splitlines()
    assert (json.loads(row)["label"], json.loads(row)["kind"]) == ("ok", "fraud")
    assert "还没有被纠正的判断" in said(linli("judge", "corrections", **environment))


def test_settings_show_their_value_and_origin(data: str) -> None:
    shown = said(
        linli("settings", "--data", data, LINLI_WEB__PORT="9000", LINLI_PLAYGROUND__KEY="very secret")
    )
    rows = {line.split("│")[1].strip(): line for line in shown.splitlines() if "│" in line}
    assert "9000" in rows["web.port"] and "LINLI_WEB__PORT" in rows["web.port"]
    assert "settings.toml:" in rows["web.host"]
    assert "--data" in rows["store.data"]
    assert "very secret" not in shown and "********" in rows["playground.key"]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LINLI_WEB__PROT", "1", "LINLI_WEB__PROT: 没有这个设置"),
        ("LINLI_WEB__PORT", "many", "LINLI_WEB__PORT: web.port"),
        ("LINLI_POLICY__DAY_ENDS", "6pm", "LINLI_POLICY__DAY_ENDS: policy.day_ends"),
        ("LINLI_LOG__LEVEL", "loud", "LINLI_LOG__LEVEL: log.level"),
    ],
)
def test_a_wrong_variable_stops_the_start_with_its_name(
    data: str, variable: str, value: str, words: str
) -> None:
    done = linli("run", "--data", data, **{variable: value})
    assert (done.returncode, words in said(done)) == (1, True)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("port = 8080", "prot = 8080", "web.prot"),
        ("port = 8080", 'port = "many"', "web.port"),
        ("threads = 4", "threads = 0", "store.threads"),
        ("[log]", "[lag]", "lag"),
        ("port = 8080", "port = = 8080", "settings.toml: "),
    ],
)
def test_a_wrong_line_stops_the_start_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, words: str
) -> None:
    text = settings.FILE.read_text("utf-8").replace(before, after, 1)
    file = tmp_path / "settings.toml"
    file.write_text(text, "utf-8")
    monkeypatch.setattr(settings, "FILE", file)
    monkeypatch.setitem(settings.Settings.model_config, "toml_file", file)
    with pytest.raises(settings.BadSettings) as caught:
        settings.load()
    wrong = next((n for n, line in enumerate(text.splitlines(), 1) if line.strip() == after), 0)
    assert words in str(caught.value)
    if "= =" not in after:
        assert f"settings.toml:{wrong}" in str(caught.value)
    else:
        assert f"line {wrong}" in str(caught.value)


async def test_two_programs_on_one_folder_are_refused(building: Building) -> None:
    done = linli("run", "--data", str(building.data), "--port", "0")
    assert (done.returncode, "邻里已经在运行" in said(done)) == (1, True)


@pytest.mark.parametrize(
    ("name", "value", "reached"),
    [("HOST", "0.0.0.0", "0.0.0.0"), ("ADDRESS", "https://linli.example", "linli.example")],
)
async def test_a_playground_for_strangers_needs_more_than_an_address(
    data: str, name: str, value: str, reached: str
) -> None:
    done = linli("run", "--data", data, "--port", "0", **{f"LINLI_WEB__{name}": value})
    assert (done.returncode, f"会对所有打开 {reached} 的人敞开" in said(done)) == (1, True)


async def test_a_failed_message_is_run_again_or_explained(
    building: Building, owner: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bool:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(repair, "read_free", broken)
        await owner.says("随便说说")
        await owner.says("厨房水龙头滴水")
    environment = {"LINLI_STORE__DATA": str(building.data), "LINLI_STORE__URL": building.url}
    shown = said(linli("inbox", **environment))
    assert "厨房水龙头滴水" in shown and "RuntimeError" in shown
    done = linli("inbox", "--run", "all", **environment)
    assert (done.returncode, said(done).count("已告诉发送人"), said(done).count("已处理")) == (0, 1, 1)
    assert building.read(select(Inbox.state)) == ["done", "done"]
    await building.settle()
    owner.sees("没看懂这句话")
    owner.sees("请看一下对不对", "提交")


async def test_an_invitation_lets_its_person_in_on_telegram(data: str, tmp_path: Path) -> None:
    async with BotApi() as api:
        telegram = {"LINLI_TELEGRAM__TOKEN": api.token, "LINLI_TELEGRAM__BASE_URL": api.url}

        async def invite(*name: str) -> tuple[int, str]:
            done = await asyncio.to_thread(linli, "invite", *name, "--data", data, **telegram)
            return done.returncode, said(done)

        assert "还没有小区" in (await invite())[1]
        linli("community", "add", "阳光花园", "--data", data)
        linli("roster", "import", "bot/demo/roster.csv", "--data", data)
        code, words = await invite("王师傅")
        assert code == 0
        assert re.search(r"王师傅 +维修 +https://t.me/linli_test_bot\?start=\w{5}-\w{5}\n", words)
        assert "以前的邀请（如果有）已作废" in words
        words = (await invite("--building", "3 号楼"))[1]
        assert "3 号楼 2 单元 1201" in words and "维修" not in words
        assert len(words.splitlines()) == 4
        code, words = await invite("--building", "7")
        assert (code, "没有「7」这栋楼，有：1、2、3" in words) == (1, True)
        assert len((await invite())[1].splitlines()) == 12  # all others
        code, words = await invite()
        assert (code, "加 --again 重新生成" in words) == (1, True)
        assert len((await invite("--again"))[1].splitlines()) == 17 + 1
        code, words = await invite("没有这个人")
        assert (code, "名册里没有「没有这个人」" in words) == (1, True)
    assert "请先设置 LINLI_TELEGRAM__TOKEN" in said(linli("invite", "--data", data))
    unreached = linli(
        "invite", "--data", data, LINLI_TELEGRAM__TOKEN="1:x", LINLI_TELEGRAM__BASE_URL="http://127.0.0.1:9"
    )
    assert "Telegram 连不上" in said(unreached)


async def test_invitations_are_written_as_pages_that_only_their_owner_reads(
    data: str, tmp_path: Path
) -> None:
    async with BotApi() as api:
        telegram = {"LINLI_TELEGRAM__TOKEN": api.token, "LINLI_TELEGRAM__BASE_URL": api.url}

        async def invite(file: Path, *more: str) -> tuple[int, str]:
            done = await asyncio.to_thread(
                linli, "invite", "--pdf", str(file), *more, "--data", data, **telegram
            )
            return done.returncode, said(done)

        linli("community", "add", "阳光花园", "--data", data)
        pages = tmp_path / "pages.pdf"
        code, words = await invite(pages)
        assert (code, "名册里的人都已经进来了" in words, pages.exists()) == (1, True, False)
        linli("roster", "import", "bot/demo/roster.csv", "--data", data)
        code, words = await invite(pages)
        assert (code, f"{pages}：17 张邀请" in words, "前有效" in words) == (0, True, True)
        assert "?start=" not in words
        assert pages.read_bytes().startswith(b"%PDF-")
        assert pages.stat().st_mode & 0o777 == 0o600
        before = pages.read_bytes()
        code, words = await invite(pages, "--again")
        assert (code, "已存在，没有覆盖" in words, pages.read_bytes() == before) == (1, True, True)
        code, words = await invite(tmp_path / "no" / "such.pdf", "--again")
        assert (code, "写不了" in words) == (1, True)
        other = tmp_path / "other.pdf"
        assert "加 --again 重新生成" in (await invite(other))[1]  # what was refused made no codes
        assert not other.exists()
        assert "1 张邀请" in (await invite(other, "陈女士"))[1]

"""The command line: ./linli <command>."""

import sys

from bot import votes_command

if __name__ == "__main__" and votes_command.is_asked(sys.argv[1:]):
    # Whoever checks a vote does not wait for the bot's libraries, which take seconds to load.
    votes_command.main()

import asyncio
import json
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast
from zoneinfo import ZoneInfo, available_timezones

import typer
from alembic.util import CommandError
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlmodel import Session, col, select

from bot import logs, settings
from bot.app import AlreadyRunning, App, board_page
from bot.browser import resting
from bot.delivery import Later
from bot.hook import Hook
from bot.settings import BadSettings, Settings
from bot.terminal import complain, err, fail, in_both, out
from bot.web import Server
from conversations.errors import Refused, Unclear
from conversations.spots import LONGEST_WORDS, PLACES
from conversations.words import Reader, Say
from handlers import inbox
from handlers.board_page import address as board_address
from handlers.bundle import verify
from handlers.bundle_file import Broken
from handlers.codes import CLAIM_HOURS, INVITED_HOURS, Invitation, claim_codes, invitations, withdraw
from handlers.holidays import (
    LONGEST_NAME,
    Day,
    begin_calendar,
    forget_day,
    known_years,
    official_days,
    read_days,
    set_days,
    spans_of,
)
from handlers.judge import corrections
from handlers.people import buildings_of
from handlers.policy import policy_of, uses_hook
from handlers.roster import BadRoster, add_community, apply, plan_roster, read_roster
from handlers.roster_file import MOST_BYTES
from handlers.roster_lines import Roster
from handlers.roster_plan import Plan, Progress
from handlers.roster_template import write_template
from handlers.spots import add_spot, spots_of, whereabouts
from handlers.tx import House, Tx
from handlers.votes import bundle_of
from moderation import conduct
from moderation.judge import judge_lines
from store.database import Database, StoreUnavailable
from store.migrations import backup as back_up
from store.migrations import upgrade
from store.tables import Community, Inbox, Vote
from store.vault import Vault, WrongKey

if TYPE_CHECKING:
    from bot.invitation_pages import Letterhead
    from bot.spot_pages import SpotCard, SpotHead
    from bot.telegram import Telegram
    from bot.wechat_client import Client

Answer = TypeVar("Answer")

cli = typer.Typer(
    help="邻里：小区业主和物业的聊天助手。Linli: the chat bot between owners and their property company.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
)
judge = typer.Typer(help="判断文字。Judge texts.", no_args_is_help=True)
roster = typer.Typer(help="住户名册。The roster of homes and people.", no_args_is_help=True)
community = typer.Typer(help="小区。Communities.", no_args_is_help=True)
db = typer.Typer(help="数据库。The database.", no_args_is_help=True)
calendar = typer.Typer(help="日历：节假日和调休。Holidays and make-up days.", no_args_is_help=True)
wechat = typer.Typer(help="微信公众号。The service account on WeChat.", no_args_is_help=True)
spots = typer.Typer(help="墙上的位置码。QR codes on walls.", no_args_is_help=True)
page = typer.Typer(help="紧急呼叫。Paging.", no_args_is_help=True)
groups = {
    "judge": judge,
    "roster": roster,
    "community": community,
    "calendar": calendar,
    "db": db,
    "wechat": wechat,
    "spots": spots,
    "page": page,
}
for name, group in groups.items():
    cli.add_typer(group, name=name)
cli.add_typer(votes_command.votes)

MANY = 100
"""Invitations from which drawing them takes so long that its progress is shown."""

Data = Annotated[Path | None, typer.Option("--data", help="数据目录。Folder for all data.")]
InCommunity = Annotated[
    str, typer.Option("--community", help="小区名称；只有一个小区时可不写。Needed if there are several.")
]
File = Annotated[
    Path | None, typer.Argument(help="文件，不写则读标准输入。A file; standard input without one.")
]


def loaded(data: Path | None = None, port: int | None = None) -> Settings:
    """The settings, with the command line's on top, and the logs set up by them."""
    found = settings.load(**_overrides(data, port))
    account = found.wechat
    secrets = [found.playground.key, found.telegram.token, found.privacy.key]
    secrets += [account.app_secret, account.token, account.aes_key]
    secrets += [found.paging.hook_url, found.paging.hook_secret]
    logs.set_up(found.log.level, found.log.format, [each.get_secret_value() for each in secrets])
    return found


def _overrides(data: Path | None, port: int | None = None) -> dict[str, dict[str, object]]:
    chosen: dict[str, dict[str, object]] = {
        "store": {"data": str(data.absolute())} if data else {},
        "web": {"port": port} if port is not None else {},
    }
    return {section: values for section, values in chosen.items() if values}


def database(found: Settings) -> Database:
    """The database with its schema brought up to date."""
    found.data.mkdir(parents=True, exist_ok=True)
    opened = Database(found.database_url, threads=found.store.threads)
    upgrade(opened.engine)
    return opened


@cli.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a command: run."""
    if context.invoked_subcommand is None:
        run()


@cli.command()
def run(
    data: Data = None,
    port: Annotated[int | None, typer.Option(help="网页端口。Port of the web pages.")] = None,
) -> None:
    """启动邻里（默认命令）。Start Linli (the default)."""
    asyncio.run(_run(loaded(data, port)))


async def _run(found: Settings) -> None:
    app = App(found)
    try:
        server = _server(app)
        await app.start()
        if found.playground.enabled:
            await app.browser.open()
            announce(
                f"邻里已启动，请在浏览器打开试用场：{server.address}（按 Ctrl-C 停止）\n"
                f"Linli is running, open the playground: {server.address} (Ctrl-C stops it)"
            )
        if app.telegram is not None:
            await _say_telegram(app, app.telegram)
        if app.wechat is not None:
            _say_wechat(found)
        if (app.telegram is not None or app.wechat is not None) and not found.policy.office_phone:
            announce(
                "还没有设物业电话，紧急时没有号码可说：LINLI_POLICY__OFFICE_PHONE=…"
                " The office's telephone is not set; in an emergency there is no number to say."
            )
        if uses_hook(found.policy.rings) and not found.has_hook:
            announce(
                "policy.rings 里写了 hook，但没有设置 LINLI_PAGING__HOOK_URL：那一轮只发消息，不打电话。"
                " policy.rings names the hook, but there is none: those rings only send messages."
            )
        await server.serve(sockets=[server.socket])
    finally:
        await app.stop()


async def _say_telegram(app: App, messenger: "Telegram") -> None:
    """Whether the bot is reached, and the code that claims the admin group of each community that has none."""
    if await messenger.is_reached():
        name = messenger.bot.username
        announce(f"Telegram：https://t.me/{name} 已连上。The bot @{name} is reached.")
    else:
        announce(messenger.trouble)

    def work(session: Session) -> list[tuple[str, str]]:
        return claim_codes(_tx(session, app.settings), "telegram", but=resting(session))

    for community, code in await app.database.write(work):
        announce(
            f"「{community}」还没有 Telegram 管理群：建一个群，拉进机器人，在群里发下面这一行"
            f"（{CLAIM_HOURS} 小时内有效，只能用一次）：\n"
            f"{community} has no admin group on Telegram yet. "
            f"Send this line there within {CLAIM_HOURS} hours; it works once:\n"
            f"    /claim {code}"
        )


def _say_wechat(found: Settings) -> None:
    """Where WeChat brings what people say."""
    announce(
        f"微信公众号已开通，服务器配置的 URL：{found.callback}（安全模式）。要检查设置：./linli wechat check\n"
        f"WeChat is on; it calls us at {found.callback}, in safe mode (安全模式). "
        "To check the account: ./linli wechat check"
    )


def announce(sentence: str) -> None:
    """Tell the person at the terminal, at once."""
    print(sentence, flush=True)  # noqa: T201


def _server(app: App) -> Server:
    try:
        return Server(app)
    except OSError as error:
        web = app.settings.web
        fail(
            f"{web.host}:{web.port} 打不开（{error.strerror}），可以换一个端口：./linli run --port 8081。"
            "The port cannot be opened; choose another."
        )


@cli.command()
def test() -> None:
    """运行全部检查和测试。Run everything that CI runs; further arguments go to pytest."""
    fail("请用 ./linli test 运行。Please run it as ./linli test.")


@judge.command("repair")
def judge_repair(file: File = None) -> None:
    """判断报修紧急程度：每行一条，输出 JSON。How urgent repairs are: one line in, one JSON line out."""
    _print_verdicts(judge_lines(_lines(file)))


@judge.command("post")
def judge_post(file: File = None) -> None:
    """判断发布内容是否违规：每行一条，输出 JSON。Whether posts break the rules: one line in, one JSON line out."""
    _print_verdicts(judge_lines(_lines(file), judge=conduct.judge))


def _print_verdicts(verdicts: Iterable[dict[str, Any]]) -> None:
    # A text may hold halves of characters, which JSON can write only as \\ud83d.
    cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", errors="backslashreplace")
    for verdict in verdicts:
        print(json.dumps(verdict, ensure_ascii=False), flush=True)  # noqa: T201


@judge.command("corrections")
def judge_corrections(
    lines: Annotated[
        bool, typer.Option("--json", help="每行一条 JSON，可以拿去重学。JSON lines, to learn from.")
    ] = False,
    posts: Annotated[
        bool, typer.Option("--posts", help="物业裁定过的内容，不是报修。What staff ruled on, not repairs.")
    ] = False,
    data: Data = None,
) -> None:
    """用现在的规则再判断一遍被纠正过的判断。What people corrected, judged again by the rules as they are now."""
    found = loaded(data)
    with closing(database(found)) as store, store.read() as session:
        rows = corrections(_tx(session, found), "conduct" if posts else "urgency")
        if lines:
            for example, _ in rows:
                row = {"text": example.text, "label": example.label, "kind": example.kind}
                print(json.dumps(row, ensure_ascii=False))  # noqa: T201
            return
        if not rows:
            out.print("还没有被纠正的判断。No judgement has been corrected yet.")
            return
        table = Table("内容 text", "应为 is", "当时 then", "现在 now", "依据 rule", "原因 reason")
        for example, verdict in rows:
            mark = "✓" if verdict.verdict == example.label else "✗"
            rules = ", ".join(why.rule for why in verdict.why)
            now = f"{mark} {verdict.verdict}"
            table.add_row(example.text, example.label, example.verdict, now, rules, example.reason)
        out.print(table)
        wrong = sum(verdict.verdict != example.label for example, verdict in rows)
        out.print(
            f"{len(rows)} 条，{wrong} 条仍判得不一样。{wrong} of {len(rows)} are still judged otherwise."
        )


def _lines(file: Path | None) -> Iterator[str]:
    try:
        source = sys.stdin.buffer if file is None else file.open("rb")
    except OSError as error:
        fail(f"读不了 {file}：{error.strerror}。The file cannot be read.")
    with TextIOWrapper(source, encoding="utf-8-sig", errors="replace") as lines:
        yield from lines


@community.command("add")
def community_add(
    name: Annotated[str, typer.Argument(help="小区名称。Its name.")],
    time_zone: Annotated[str, typer.Option(help="时区。Its time zone.")] = "Asia/Shanghai",
    language: Annotated[str, typer.Option(help="zh / en")] = "zh",
    data: Data = None,
) -> None:
    """新建小区。Add a community."""
    if not name.strip():
        fail("请写小区的名称。Please name the community.")
    if time_zone not in available_timezones():
        fail(f"没有时区「{time_zone}」，例如 Asia/Shanghai。There is no time zone {time_zone!r}.")
    if language not in ("zh", "en"):
        fail("语言只有 zh 和 en。The languages are zh and en.")

    def work(session: Session) -> tuple[int, list[int]]:
        tx = _tx(session, found)
        made = add_community(tx, name, time_zone=time_zone, language=language)
        return made.id, begin_calendar(tx, made)

    found = loaded(data)
    store = database(found)
    try:
        number, years = store.write_now(work)
    except ValueError:
        fail(f"已经有一个小区叫「{name}」。There is a community of that name already.")
    finally:
        store.close()
    out.print(f"已新建小区 {number}：{name}。Community {number} added.")
    if years:
        known = "、".join(map(str, years))
        out.print(f"日历里已有 {known} 年的节假日和调休。Its calendar has the official days of {known}.")


@calendar.command("show")
def calendar_show(name: InCommunity = "", data: Data = None) -> None:
    """列出今天以后的节假日和调休。The holidays and make-up working days from today on."""
    found = loaded(data)
    with closing(database(found)) as store, store.read() as session:
        tx = _tx(session, found)
        chosen = _chosen(session, name)
        today = tx.now.astimezone(ZoneInfo(chosen.time_zone)).date()
        spans, policy = spans_of(tx, chosen.id, date(today.year, 1, 1)), policy_of(tx, chosen.id)
    out.print(
        f"{chosen.name}：周一到周五 {policy.day_starts}–{policy.day_ends} 上班，下面的日子除外。"
        "Monday to Friday are working days, but for these:"
    )
    for span in (each for each in spans if each.last >= today):
        days = f"{span.first}" if span.first == span.last else f"{span.first} – {span.last}"
        out.print(f"{days}  {'班 work' if span.day.working else '休 off'}  {span.day.name}".rstrip())
    for year in (today.year, today.year + 1):
        if not any(year in (span.first.year, span.last.year) for span in spans):
            out.print(_without_days(year))


def _without_days(year: int) -> str:
    return (
        f"{year} 年没有登记节假日，按周一到周五上班算。国务院公布后（一般在前一年 11 月）："
        f"./linli calendar holidays {year}，或 ./linli calendar import 文件。"
        f"Nothing is set for {year}; Monday to Friday count as working days."
    )


@calendar.command("set")
def calendar_set(
    day: Annotated[str, typer.Argument(help="日期，例如 2026-12-31。A date.")],
    how: Annotated[str, typer.Argument(help="off 休、work 班、usual 照平常。")],
    called: Annotated[str, typer.Argument(help="名称，例如 公司年假。What it is called.")] = "",
    *,
    name: InCommunity = "",
    data: Data = None,
) -> None:
    """定一天休息、上班或照平常；已经定下的期限不变。A day off, at work, or as usual; deadlines that stand stay."""
    try:
        at = date.fromisoformat(day)
    except ValueError:
        fail(f"没看懂日期「{day}」，请写成 2026-12-31。Please write the date as 2026-12-31.")
    if how not in ("off", "work", "usual"):
        fail("请写 off（休）、work（班）或 usual（照平常）。Please say off, work or usual.")
    if len(called) > LONGEST_NAME or not called.isprintable():
        fail(f"名称最多 {LONGEST_NAME} 个字。A name has {LONGEST_NAME} characters at most.")

    def work(tx: Tx, community_id: int) -> None:
        if how == "usual":
            forget_day(tx, community_id, at)
        else:
            set_days(tx, community_id, {at: Day(how == "work", called)})

    _change_calendar(data, name, work)
    how = {"off": "休 off", "work": "班 work", "usual": "照平常 as usual"}[how]
    out.print(f"{at} {how} {called}".rstrip())


@calendar.command("holidays")
def calendar_holidays(
    year: Annotated[int, typer.Argument(help="年份，例如 2027。A year.")],
    name: InCommunity = "",
    data: Data = None,
) -> None:
    """登记一年的法定节假日和调休。China's official holidays and make-up working days of a year."""
    days = official_days(year)
    if not days:
        known = known_years()
        fail(
            f"这一版只知道 {known[0]}–{known[-1]} 年的安排。{year} 年的公布后（一般在前一年 11 月）升级邻里，"
            "或者用 ./linli calendar import 导入；在那之前按周一到周五上班算。"
            f"This release knows {known[0]} to {known[-1]} only. Upgrade once {year} is published, or import a file; "
            "until then Monday to Friday count as working days."
        )
    changed = _change_calendar(data, name, lambda tx, community_id: set_days(tx, community_id, days))
    out.print(
        f"{year} 年：{len(days)} 天已登记，其中 {changed} 天有变化。{len(days)} days set, {changed} changed."
    )


@calendar.command("import")
def calendar_import(
    file: Annotated[Path, typer.Argument(help="CSV 或 Excel，列：日期、休/班、名称。date, off/work, name.")],
    name: InCommunity = "",
    data: Data = None,
) -> None:
    """从文件登记节假日和调休，全部成功或不动。Days off and at work from a file, all of it or nothing."""
    days = _read(file, read_days)
    changed = _change_calendar(data, name, lambda tx, community_id: set_days(tx, community_id, days))
    out.print(f"{len(days)} 天已登记，其中 {changed} 天有变化。{len(days)} days set, {changed} changed.")


def _read(file: Path, read: Callable[[bytes], Answer]) -> Answer:
    """What a file holds; the end, with all its problems, if it cannot be read or is not what it should be."""
    try:
        if file.stat().st_size > MOST_BYTES:
            fail(in_both(Say("roster.file.too_large")))
        return read(file.read_bytes())
    except OSError as error:
        fail(f"读不了 {file}：{error.strerror}。The file cannot be read.")
    except BadRoster as error:
        problems = "\n".join(in_both(problem) for problem in error.problems)
        fail(f"没有导入，请先改好这些问题。Nothing was imported; please mend these first:\n{problems}")


def _change_calendar(data: Path | None, name: str, change: Callable[[Tx, int], Answer]) -> Answer:
    """Change the calendar of a community."""
    found = loaded(data)
    with closing(database(found)) as store:
        return store.write_now(lambda session: change(_tx(session, found), _chosen(session, name).id))


def _chosen(session: Session, name: str) -> Community:
    """The named community, or the only one; else the end."""
    try:
        return _community(session, name)
    except LookupError as error:
        fail(str(error))


@roster.command("import")
def roster_import(
    file: Annotated[Path, typer.Argument(help="Excel（.xlsx、.xls）或 CSV。Excel or CSV.")],
    name: InCommunity = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只看会怎样，不导入。Only show.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="不用再问。Do not ask.")] = False,
    data: Data = None,
) -> None:
    """导入住户名册，要么全部成功要么不动；先列出问题和变化。Import the roster, all of it or nothing; shown first."""
    lines = _read(file, read_roster)
    found = loaded(data)
    store = database(found)
    try:
        _import(store, found, name, lines, dry_run=dry_run, yes=yes)
    except LookupError as error:
        fail(str(error))
    finally:
        store.close()


def _import(store: Database, found: Settings, name: str, lines: Roster, *, dry_run: bool, yes: bool) -> None:
    with store.read() as session:
        chosen = _community(session, name)
        plan = plan_roster(_tx(session, found), chosen, lines)
    _show_plan(chosen, plan)
    if plan.is_empty:
        out.print("名册没有变化。The roster is as it was.")
        return
    if dry_run:
        out.print("只是看看，没有导入。This was a dry run; nothing was imported.")
        return
    if plan.touches and not yes:
        _ask_first()

    def work(session: Session, progress: Progress) -> Plan:
        made = plan_roster(_tx(session, found), session.get_one(Community, chosen.id), lines)
        apply(_tx(session, found), made, progress)
        return made

    with Bars(console=err, transient=True, disable=not err.is_terminal) as bars:
        bar = bars.add_task("导入 importing", total=None)
        done = store.write_now(
            lambda session: work(session, lambda at, total: bars.update(bar, completed=at, total=total))
        )
    out.print(f"{chosen.name}：已导入，{in_both(done.counts())}。Imported.")


def _show_plan(chosen: Community, plan: Plan) -> None:
    """What is worth a look and what would change, in the community's language, and the sum of it in both."""
    reader = Reader(chosen.language, chosen.time_zone, datetime.now(UTC))
    for words in (*plan.remarks, *plan.changes):
        out.print(f"- {reader.show(words)}")
    if plan.unnamed:
        out.print(in_both(Say("roster.unnamed", count=plan.unnamed)))
    out.print(f"{chosen.name}：{in_both(plan.counts())}")


def _ask_first() -> None:
    if not sys.stdin.isatty():
        fail("会改动现有的名册，确定请加 --yes。Rows that stand would change; add --yes to do it.")
    if not typer.confirm("要改动现有的名册，导入吗？Rows that stand change. Import?"):
        fail("没有导入，什么都没有改。Nothing was imported.")


@roster.command("template")
def roster_template(
    file: Annotated[Path, typer.Argument(help="要写的文件，.xlsx 或 .csv。Must not exist.")],
) -> None:
    """生成一份名册模板，带说明和例子。Write an empty roster with explanations and examples."""
    if file.suffix.lower() not in (".xlsx", ".csv"):
        fail("模板只有 .xlsx 和 .csv。A template is an .xlsx or a .csv file.")
    try:
        with file.open("xb") as opened:
            opened.write(write_template(file.suffix.lower()))
    except FileExistsError:
        fail(f"{file} 已存在，没有覆盖。It exists already; nothing was overwritten.")
    out.print(
        f"已写好 {file}：填好后用 ./linli roster import {file} 导入，或发到物业管理群。"
        "Fill it in, then import it, or send it to the admin group."
    )


def _community(session: Session, name: str) -> Community:
    """The named community, or the only one there is."""
    found = session.exec(select(Community).order_by(col(Community.id))).all()
    named = [each for each in found if each.name == name] if name else list(found)
    if len(named) == 1:
        return named[0]
    if not found:
        raise LookupError("还没有小区，请先：./linli community add 名称。Add a community first.")
    names = "、".join(each.name for each in found)
    raise LookupError(f"请用 --community 选一个小区：{names}。Choose one with --community.")


@cli.command()
def invite(
    who: Annotated[
        str, typer.Argument(help="姓名；不写则是还没进来的所有人。A name; or everybody not in yet.")
    ] = "",
    *,
    building: Annotated[str, typer.Option(help="只要这一栋，例如 3。This building only.")] = "",
    pdf: Annotated[
        Path | None, typer.Option(help="写成可剪开的 A4 PDF，不能已存在。As pages to cut; must not exist.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="有邀请的也重新生成，旧的作废。Anew for all; the old ones end.")
    ] = False,
    name: InCommunity = "",
    data: Data = None,
) -> None:
    """给住户和师傅生成 Telegram、微信的邀请（一次有效），印成一行行或 PDF。Invitations, as lines or a PDF."""
    from bot.invitation_pages import link  # the PDF's library takes a second to load

    found = loaded(data)
    username, follow = asyncio.run(_bot_name(found)), found.has_wechat
    if not username and not follow:
        fail(
            "请先设置 LINLI_TELEGRAM__TOKEN 或公众号（LINLI_WECHAT__…）。"
            "Please set the bot's token, or the account on WeChat, first."
        )
    on = [*(["telegram"] if username else []), *(["wechat"] if follow else [])]

    def work(session: Session) -> tuple[list[Invitation], "Letterhead"]:
        tx = _tx(session, found)
        chosen = _community(session, name)
        where = _building(tx, chosen, building)
        made = invitations(tx, chosen, who, *on, building=where, again=again)
        return made, _letterhead(tx, chosen, username)

    with closing(database(found)) as store, _new_file(pdf):
        try:
            made, head = store.write_now(work)
        except LookupError as error:
            fail(str(error))
        if not made:
            fail(_nobody(who))
        if who or again:
            err.print("他们以前的邀请（如果有）已作废。Their earlier invitations, if any, have ended.")
        if pdf is not None:
            with _withdrawn_if_it_fails(store, found, made):
                codes = [each.code for each in made]
                _write_pages(pdf, made, head, _scenes(found, store, codes, head.until) if follow else {})
            return
    for each in made:
        ways = [*([link(username, each.code)] if username else []), *([each.code] if follow else [])]
        out.print("\t".join((each.name, each.about, *ways)))
    if follow:
        err.print(
            "微信：关注公众号，把自己的码发给它。On WeChat: follow the account, then send it one's own code."
        )


def _building(tx: Tx, community: Community, typed: str) -> str:
    """The building as the roster names it; empty for all."""
    known = buildings_of(tx, community.id)
    for each in known:
        if typed.replace(" ", "") in (each, f"{each}号楼", f"{each}栋", f"{each}幢"):
            return each
    if typed:
        raise LookupError(f"没有「{typed}」这栋楼，有：{'、'.join(known)}。There is no such building.")
    return ""


def _letterhead(tx: Tx, community: Community, username: str) -> "Letterhead":
    from bot.invitation_pages import Letterhead

    return Letterhead(
        community.name,
        username,
        policy_of(tx, community.id).office_phone,
        tx.now + timedelta(hours=INVITED_HOURS),
        replace(tx.reader(community.id), lasting=True),
        board_address(tx, community.id),
    )


def _nobody(who: str) -> str:
    if who:
        return (
            f"名册里没有「{who}」，或者已经进来了。There is no {who!r} in the roster, or they are in already."
        )
    return (
        "名册里的人都已经进来了，或者手上有一张还有效的邀请（加 --again 重新生成，旧的作废）。"
        "Everybody in the roster is in already, or has an invitation; --again makes new ones."
    )


@contextmanager
def _new_file(file: Path | None) -> Iterator[None]:
    """A file that only its owner can read; it goes again if it is not written to the end."""
    if file is None:
        yield
        return
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        fail(f"{file} 已存在，没有覆盖。It exists already; nothing was overwritten.")
    except OSError as error:
        fail(f"写不了 {file}：{error.strerror}。The file cannot be written.")
    try:
        yield
    except BaseException:
        file.unlink()
        raise


@contextmanager
def _withdrawn_if_it_fails(store: Database, found: Settings, made: list[Invitation]) -> Iterator[None]:
    """Invitations that reach no paper count as never made: the next call makes them anew."""
    try:
        yield
    except BaseException:
        store.write_now(lambda session: withdraw(_tx(session, found), made))
        raise


def _scenes(found: Settings, store: Database, codes: list[str], until: datetime | None) -> dict[str, str]:
    """What the QR code for WeChat says, by the code that it brings."""
    from bot.wechat_codes import scenes

    with _progress("微信二维码 WeChat", len(codes)) as advance:
        return _ask_wechat(found, store, lambda client: scenes(client, codes, until, advance))


@contextmanager
def _progress(what: str, count: int) -> Iterator[Callable[[], None]]:
    """Show how far something is that takes a while."""
    with Bars(console=err, transient=True, disable=count < MANY) as bars:
        yield partial(bars.advance, bars.add_task(what, total=count))


def _write_pages(file: Path, made: list[Invitation], head: "Letterhead", scenes: dict[str, str]) -> None:
    """Draw and write the pages; what takes a while shows how far it is."""
    from bot.invitation_pages import invitation_pages

    with _progress("PDF", len(made)) as advance:
        pages = invitation_pages(made, head, advance, scenes)
    try:
        file.write_bytes(pages)
    except OSError as error:
        fail(
            f"写不了 {file}：{error.strerror}。请换一个地方再来一次。"
            "The file cannot be written. Please try another place."
        )
    out.print(
        f"{file}：{len(made)} 张邀请，{head.reader.show(head.until)} 前有效。"
        "印好就删掉这个文件：谁拿到码，谁就能进来。"
        f"{len(made)} invitations. Delete the file once it is printed: whoever has a code can come in."
    )


async def _bot_name(found: Settings) -> str:
    """The bot's name on Telegram; empty without a token."""
    if not found.telegram.token.get_secret_value():
        return ""
    from telegram.error import TelegramError

    from bot.telegram import bot_of

    try:
        async with bot_of(found.telegram) as bot:
            return bot.username
    except TelegramError:
        fail("Telegram 连不上，或者 token 不对。Telegram is not reached, or the token is wrong.")


@spots.command("add")
def spots_add(
    words: Annotated[str, typer.Argument(help="墙上写的，例如「2 号梯」。Its words, such as 'lift 2'.")],
    place: Annotated[str, typer.Option(help=" / ".join(PLACES))] = "other",
    building: Annotated[str, typer.Option(help="哪一栋，例如 3；不写则不属于哪一栋。Its building.")] = "",
    *,
    name: InCommunity = "",
    data: Data = None,
) -> None:
    """添加一个位置码。Add a spot, which gets a code."""
    if place not in PLACES:
        fail(f"地方只有 {'、'.join(PLACES)}。The places are {', '.join(PLACES)}.")
    if not 0 < len(words.strip()) <= LONGEST_WORDS:
        fail(f"请写 1 到 {LONGEST_WORDS} 个字。Please write 1 to {LONGEST_WORDS} characters.")
    found = loaded(data)

    def work(session: Session) -> str:
        tx = _tx(session, found)
        chosen = _community(session, name)
        where = _building(tx, chosen, building)
        spot, is_new = add_spot(tx, chosen.id, place=place, building=where, words=words)
        already = "" if is_new else "已经有了。It is there already. "
        return f"{already}#{spot.number} {tx.reader(chosen.id).show(whereabouts(spot))}：位置 {spot.code}"

    with closing(database(found)) as store:
        try:
            out.print(store.write_now(work))
        except LookupError as error:
            fail(str(error))


@spots.command("list")
def spots_list(name: InCommunity = "", data: Data = None) -> None:
    """列出位置码：编号、码、位置。List the spots: number, code, place."""
    found = loaded(data)
    with closing(database(found)) as store, store.read() as session:
        try:
            chosen = _community(session, name)
        except LookupError as error:
            fail(str(error))
        reader = _tx(session, found).reader(chosen.id)
        for each in spots_of(_tx(session, found), chosen.id):
            out.print("\t".join((str(each.number), each.code, reader.show(whereabouts(each)))))


@spots.command("pdf")
def spots_pdf(
    file: Annotated[Path, typer.Argument(help="要写的 PDF，不能已存在。Must not exist.")],
    *,
    building: Annotated[str, typer.Option(help="只要这一栋，例如 3。This building only.")] = "",
    name: InCommunity = "",
    data: Data = None,
) -> None:
    """把位置码印成可剪开的 A4 PDF，贴在墙上。Print the spots as A4 pages of cards for the walls."""
    found = loaded(data)
    username, follow = asyncio.run(_bot_name(found)), found.has_wechat
    if not username and not follow:
        fail(
            "还没有连上 Telegram 或微信，二维码扫了没有去处，所以没有印。请先设置 LINLI_TELEGRAM__TOKEN 或公众号"
            "（LINLI_WECHAT__…）；在试用场里打「位置」和码就能试（./linli spots list）。"
            "Neither Telegram nor WeChat is set, so the QR codes would lead nowhere; nothing was printed. "
            "In the playground type 位置 and the code to try it."
        )
    with closing(database(found)) as store, _new_file(file):
        with store.read() as session:
            try:
                cards, head = _spot_cards(_tx(session, found), _community(session, name), building, username)
            except LookupError as error:
                fail(str(error))
        codes = [each.code for each in cards]
        scenes = _scenes(found, store, codes, None) if follow else {}
        _write_spots(file, cards, head, scenes)


def _spot_cards(
    tx: Tx, chosen: Community, building: str, username: str
) -> tuple[list["SpotCard"], "SpotHead"]:
    from bot.spot_pages import SpotCard, SpotHead

    where, reader = _building(tx, chosen, building), tx.reader(chosen.id)
    cards = [
        SpotCard(reader.show(whereabouts(each)), each.code)
        for each in spots_of(tx, chosen.id)
        if where in ("", each.building)
    ]
    if not cards:
        raise LookupError(
            "还没有位置码，请先添加：./linli spots add --building 3 --place lift '2 号梯'，或在管理群里发「位置码」。"
            "There are no spots yet; add one first."
        )
    phone = policy_of(tx, chosen.id).office_phone
    return cards, SpotHead(chosen.name, username, phone, reader, board_address(tx, chosen.id))


def _write_spots(file: Path, cards: list["SpotCard"], head: "SpotHead", scenes: dict[str, str]) -> None:
    from bot.spot_pages import spot_pages

    with _progress("PDF", len(cards)) as advance:
        pages = spot_pages(cards, head, advance, scenes)
    file.write_bytes(pages)
    out.print(
        f"{file}：{len(cards)} 个位置码，剪开贴在墙上。{len(cards)} spots, to cut out and put on the walls."
    )


@wechat.command("check")
def wechat_check(data: Data = None) -> None:
    """检查公众号的设置：哪些对、哪些要改、怎么改。What of the account is right, and what to do about the rest."""
    from bot.wechat_check import check

    found = loaded(data)
    with closing(database(found)) as store:
        findings = _ask_wechat(found, store, partial(check, found))
    for each in findings:
        mark, colour = {True: ("✓", "green"), False: ("✗", "red"), None: ("…", "yellow")}[each.ok]
        out.print(Text.assemble((mark, colour), f" {each.what}"))
        if each.advice:
            out.print(f"  {each.advice}")
    if any(each.ok is False for each in findings):
        raise typer.Exit(1)


@wechat.command("menu")
def wechat_menu(data: Data = None) -> None:
    """设置聊天下面的菜单（换掉原来的）。Put Linli's menu under everybody's chat, instead of the one there."""
    from bot.wechat_check import MENU

    found = loaded(data)
    if not found.has_wechat:
        fail(
            "还没有设置公众号，请看 ./linli wechat check。The account is not set yet; see ./linli wechat check."
        )
    with closing(database(found)) as store:
        _ask_wechat(found, store, lambda client: client.create_menu(MENU))
    for button in MENU["button"]:
        within = "、".join(each["name"] for each in button.get("sub_button", ()))
        out.print(f"{button['name']}：{within}" if within else button["name"])
    out.print("菜单已设好，一天之内会出现在每个人的聊天下面。The menu is set; phones show it within a day.")


def _ask_wechat(
    found: Settings, store: Database, ask: Callable[["Client"], Coroutine[Any, Any, Answer]]
) -> Answer:
    """What the service account answers; what goes wrong there ends in a sentence."""
    from bot.wechat_check import advice
    from bot.wechat_client import Away, Client, Trouble

    async def asked() -> Answer:
        client = Client(found.wechat, store, found.vault)
        try:
            return await ask(client)
        finally:
            await client.close()

    try:
        return asyncio.run(asked())
    except (Trouble, Away) as error:
        fail(advice(error))


@page.command("test")
def page_test(
    phone: Annotated[
        list[str] | None, typer.Option("--phone", help="真的拨这个号码，可写几次。A number that is to ring.")
    ] = None,
    data: Data = None,
) -> None:
    """给呼叫电话、短信的网址（paging.hook_url）发一次试呼，看它怎么回答。Send the web hook a trial page."""
    found = loaded(data)
    if not found.has_hook:
        fail(
            "还没有设置 LINLI_PAGING__HOOK_URL 和 LINLI_PAGING__HOOK_SECRET。"
            "There is no web hook yet: set both of these."
        )
    status, reason = asyncio.run(_try_hook(found, phone or []))
    if 200 <= status < 300:
        out.print(f"{reason}：HTTP {status}，已收下。It took the trial page.")
    elif status:
        fail(
            f"{reason}：HTTP {status}，没有收下；请看那边的日志（签名、地址）。"
            "It did not take the trial page; please look into its log."
        )
    else:
        fail(
            f"连不上，或者 5 秒内没有回答（{reason}）。It is not reached, or does not answer within 5 seconds."
        )
    if not uses_hook(found.policy.rings):
        out.print(
            "还没有一轮会用到它：请在 LINLI_POLICY__RINGS 里写上 + hook。No ring uses it yet: see policy.rings."
        )


async def _try_hook(found: Settings, phones: list[str]) -> tuple[int, str]:
    """The status with which the web hook answers a trial, and where it is; 0 and why, if it does not."""
    hook = Hook(found.paging)
    call = {
        "id": f"test-{int(datetime.now(UTC).timestamp())}",
        "test": True,
        "community": "试呼 trial",
        "number": 0,
        "ring": 1,
        "text": "这是一次试呼，没有紧急情况。This is a trial, there is no emergency.",
        "where": "试呼 trial",
        "call": [{"name": "试呼 trial", "phone": each} for each in phones],
    }
    try:
        return await hook.post(call), hook.host
    except Later as error:
        return 0, str(error)
    finally:
        hook.close()


@db.command("upgrade")
def db_upgrade(data: Data = None) -> None:
    """把数据库升级到当前版本（先备份）。Bring the schema up to date (after a backup)."""
    found = loaded(data)
    found.data.mkdir(parents=True, exist_ok=True)
    store = Database(found.database_url, threads=1)
    changed = upgrade(store.engine)
    store.close()
    out.print("已升级。Upgraded." if changed else "已是最新。Already up to date.")


@cli.command("settings")
def show_settings(data: Data = None) -> None:
    """列出每个设置、它的值和来源。Show each setting, its value and where it came from."""
    table = Table("设置 setting", "值 value", "来源 origin")
    for line in settings.table(loaded(data), _overrides(data)):
        table.add_row(*map(Text, (line.name, line.value, line.origin)))
    out.print(table)


@cli.command()
def backup(
    file: Annotated[Path, typer.Argument(help="备份文件，不能已存在。Must not exist.")], data: Data = None
) -> None:
    """在运行中备份 SQLite 数据库。Copy the SQLite database while it is in use."""
    found = loaded(data)
    store = Database(found.database_url, threads=1)
    if not store.is_sqlite:
        fail("PostgreSQL 请用 pg_dump 备份。Please back PostgreSQL up with pg_dump.")
    if not (found.data / "linli.db").exists():
        fail(f"{found.data} 里没有数据库。There is no database there.")
    if file.exists():
        fail(f"{file} 已存在，没有覆盖。It exists already; nothing was overwritten.")
    back_up(store.engine, file)
    store.close()
    out.print(f"已备份到 {file}；照片在 {found.data / 'media'}，请一并复制。Backed up; copy the photos too.")


@cli.command()
def bundle(
    number: Annotated[int, typer.Argument(help="投票的编号。The vote's number.")],
    file: Annotated[Path, typer.Argument(help="公示文件 .zip，不能已存在。The file; must not exist.")],
    name: InCommunity = "",
    data: Data = None,
) -> None:
    """把结束的投票写成公示文件，谁都能核对。Write a closed vote as the file to publish, which anybody can check."""
    found = loaded(data)
    with closing(database(found)) as store:
        with store.read() as session:
            try:
                packed = _packed(_tx(session, found), _community(session, name), number)
            except LookupError as error:
                fail(str(error))
        try:
            head = verify(packed).head
        except Broken as error:
            fail(in_both(error.words))
    with _new_file(file):
        file.write_bytes(packed)
        file.chmod(0o644)  # it is to be published
    out.print(
        f"已写好 {file}，核对相符；末条回执 {head}，应和公示栏上的一样。"
        f"Written and checked; its head {head} should be the one on the board."
    )


def _packed(tx: Tx, chosen: Community, number: int) -> bytes:
    """The file of a community's vote; LookupError if there is none of this number, or it goes on."""
    query = select(Vote).where(Vote.community_id == chosen.id, Vote.number == number)
    vote = tx.session.exec(query).first()
    if vote is None:
        raise LookupError(f"没有 {number} 号投票。There is no vote {number}.")
    if vote.state != "closed":
        raise LookupError(f"{number} 号投票还没有结束。Vote {number} is not closed yet.")
    return bundle_of(tx, vote)


@cli.command("inbox")
def show_inbox(
    again: Annotated[
        str, typer.Option("--run", help="重新处理：编号，或 all。Run again: a reference, or all.")
    ] = "",
    data: Data = None,
) -> None:
    """列出处理失败的消息，或重新处理。Show the messages that failed, or run them again."""
    found = loaded(data)
    store = database(found)
    try:
        with store.read() as session:
            rows = inbox.failed(session)
        if not again:
            _show_failed(rows, found.vault)
            return
        chosen = [row for row in rows if again.lower() in ("all", inbox.reference(row.id).lower())]
        if not chosen and again.lower() != "all":
            fail(f"没有编号 {again} 的失败消息。No message with this reference has failed.")
        results = [_run_again(store, found, row) for row in chosen]
        if not all(results):
            raise typer.Exit(1)
    finally:
        store.close()


def _show_failed(rows: list[Inbox], vault: Vault) -> None:
    if not rows:
        out.print("没有处理失败的消息。No message has failed.")
        return
    table = Table("编号 reference", "时间 received", "从 from", "内容 said", "错误 error")
    for row in rows:
        said = vault.reveal(row.payload.get("text", "")) or row.payload.get("tap") or "…"
        at = f"{row.received_at:%Y-%m-%d %H:%M}"
        cells = (inbox.reference(row.id), at, row.messenger, said[:60], row.error[:120])
        table.add_row(*map(Text, cells))
    out.print(table)


def _run_again(store: Database, found: Settings, row: Inbox) -> bool:
    """Let one message act; whether it is settled now."""
    reference, house = inbox.reference(row.id), _house(found)
    work = partial(inbox.run_again, inbox_id=row.id, house=house, now=datetime.now(UTC))
    try:
        store.write_now(work)
        out.print(f"{reference}：已处理。Done.")
    except (Unclear, Refused) as error:
        explain = partial(
            inbox.explain_again, error=error, inbox_id=row.id, house=house, now=datetime.now(UTC)
        )
        store.write_now(explain)
        out.print(
            f"{reference}：已经不能这样做（{error.key}），已告诉发送人。Not possible; its sender was told."
        )
    except Exception as error:
        out.print(f"{reference}：仍然失败：{error!r}。It failed again.")
        return False
    return True


def _house(found: Settings) -> House:
    # What is printed leads to where everybody can open it, or nowhere.
    shown = board_page(found.web.address)
    return House(found.vault, found.policy.model_dump(), hook=found.has_hook, board_page=shown)


def _tx(session: Session, found: Settings) -> Tx:
    return Tx(session, datetime.now(UTC), _house(found))


def main() -> None:
    """Run the command line; what is wrong with the surroundings ends in a sentence."""
    try:
        cli(prog_name="linli")
    except BadSettings as error:
        sentence = f"设置有误，没有启动。The settings are wrong:\n{error}"
    except WrongKey:
        sentence = (
            "电话是用另一个 LINLI_PRIVACY__KEY（或 data/key）加密的，没有启动。"
            "The telephone numbers were sealed with another key; nothing was started."
        )
    except AlreadyRunning as error:
        sentence = f"邻里已经在运行（进程 {error}），用的是同一个数据目录。Linli is running there already."
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sentence = f"{error.filename or ''}：{error.strerror or error}。It cannot be read or written."
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        sentence = f"store.url 不对，例如 postgresql+psycopg://用户:密码@主机/库。Wrong URL: {error}"
    except CommandError as error:
        sentence = f"数据库是更新版本的程序建的，请升级程序。The database is of a newer release: {error}"
    except sqlite3.Error as error:
        sentence = f"数据库打不开：{error}。The database cannot be used."
    except (StoreUnavailable, DBAPIError) as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        sentence = f"数据库打不开：{reason}。The database cannot be used."
    else:
        return
    complain(sentence)
    sys.exit(1)


if __name__ == "__main__":
    main()

"""The table of a published vote, ballots.csv, for owners to look at: each home, who voted for it, what became of that.

Pure. The words are part of the format (section 5 of docs/votes.md): changed, no older bundle would hold any more.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from handlers.ballot_log import receipt
from handlers.tally import Electorate, area_of, instant

HOME = ("房屋", "楼栋", "单元", "楼层", "面积（㎡）")
BALLOT = ("序号", "回执", "投票人", "替谁投", "身份", "选择", "方式", "时间", "结果", "代码")
CAPACITIES = {"self": "本人", "proxy": "受托人", "guardian": "监护人", "legal_rep": "法定代表人"}
CHOICES = {"for": "赞成", "against": "反对", "abstain": "弃权"}
BLANK, NONE_OF_THESE = "空白", "以上都不选"
CHANNELS = {"bot": "线上", "paper": "纸质"}
OUTCOMES = {
    "counted": "计入",
    "conflict": "与共有人不一致",
    "superseded": "被另一张票取代",
    "rejected:EARLY": "不计：还没开始",
    "rejected:LATE": "不计：已经截止",
    "rejected:INVALID_CHOICE": "不计：选择无效",
    "rejected:NOT_ENTITLED": "不计：不是业主",
    "rejected:WARD_CANNOT_VOTE": "不计：应由监护人投",
    "rejected:AGENT_INVALID": "不计：没有登记为代理人",
    "rejected:PROXY_BARRED": "不计：不能当受托人",
    "rejected:PROXY_INVALID": "不计：没有有效的书面委托",
    "rejected:PROXY_LIMIT": "不计：受托的业主太多",
    "rejected:NOT_REPRESENTATIVE": "不计：由另一位共有人投",
    "rejected:DUPLICATE": "不计：已经投过",
}
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What makes a program for tables compute a cell instead of showing it."""


def is_sealed(policy: Mapping[str, Any]) -> bool:
    """Whether only totals are published: nobody but the keeper then knows what a ballot says."""
    poll = policy.get("poll")
    return bool(poll and poll["visible"] == "totals")


def principal_of(ballot: Mapping[str, Any]) -> str:
    """Whose choice a ballot is."""
    return str(ballot["voter"] if ballot["on_behalf_of"] is None else ballot["on_behalf_of"])


def write_sheet(
    policy: Mapping[str, Any],
    roster: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    electorate: Electorate,
    outcomes: Sequence[str],
) -> bytes:
    """The table: a line for each home in scope and each ballot that touches it, in the order of roster and log.

    Homes without a ballot have a line with empty cells; ballots that touch no home stand at the end, without a home.
    `outcomes` are those of the ballots, in the order of the log.
    """
    out = io.StringIO(newline="")
    table = csv.writer(out)
    homes = (unit for unit in roster["units"] if unit["id"] in electorate.slot_of)
    if is_sealed(policy):
        table.writerow(HOME)
        table.writerows(map(_home, homes))
        return out.getvalue().encode("utf-8-sig")
    table.writerow((*HOME, *BALLOT))
    in_slot: list[list[int]] = [[] for _ in electorate.slots]
    nowhere: list[int] = []
    lines = list(_ballots(policy, roster, log, outcomes))
    for at, entry in enumerate(each for each in log if each["kind"] == "ballot"):
        touched = electorate.touched(principal_of(entry["body"]), entry["body"]["units"])
        for holding in [in_slot[slot] for slot in touched] or [nowhere]:
            holding.append(at)
    for unit in homes:
        home, touching = _home(unit), in_slot[electorate.slot_of[unit["id"]]]
        table.writerows((*home, *lines[at]) for at in touching)
        if not touching:
            table.writerow((*home, *("" for _ in BALLOT)))
    table.writerows((*("" for _ in HOME), *lines[at]) for at in nowhere)
    return out.getvalue().encode("utf-8-sig")


def _home(unit: Mapping[str, Any]) -> tuple[str, ...]:
    cells = (unit["id"], unit["building"], unit["entrance"], unit.get("floor"), area_of(unit))
    return tuple(_cell("" if cell is None else str(cell)) for cell in cells)


def _ballots(
    policy: Mapping[str, Any],
    roster: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    outcomes: Sequence[str],
) -> Iterator[tuple[str, ...]]:
    """The cells of each ballot."""
    names, zone = roster.get("names", {}), ZoneInfo(policy["time_zone"])
    ballots = (entry for entry in log if entry["kind"] == "ballot")
    for entry, outcome in zip(ballots, outcomes, strict=True):
        body = entry["body"]
        other = body["on_behalf_of"]
        yield (
            str(entry["n"]),
            str(receipt(entry["n"], entry["hash"])),
            _cell(names.get(body["voter"], body["voter"])),
            "" if other is None else _cell(names.get(other, other)),
            CAPACITIES[body["capacity"]],
            _cell(_choice(body["choice"])),
            CHANNELS[body["channel"]],
            f"{instant(body['at']).astimezone(zone):%Y-%m-%d %H:%M:%S}",
            OUTCOMES[outcome],
            outcome,
        )


def _choice(choice: Any) -> str:
    if choice is None:
        return BLANK
    if isinstance(choice, str):
        return CHOICES.get(choice, choice)
    return "、".join(choice) or NONE_OF_THESE


def _cell(text: str) -> str:
    """The text as a cell that is shown, whatever it begins with."""
    return f"'{text}" if text.startswith(FORMULA) else text

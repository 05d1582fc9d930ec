"""The commands for a published vote: whether it holds, and what it comes to. They need no settings and no database."""

import json
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from rich.text import Text

from bot.terminal import complain, err, fail, in_lines, out
from conversations.words import LANGUAGES
from handlers.ballot_log import canonical
from handlers.bundle import Verified, open_bundle, recount
from handlers.bundle import verify as verified
from handlers.bundle_file import MOST_BYTES, Broken, shown
from handlers.tally import count
from handlers.vote_shapes import misfit_of_case
from handlers.vote_words import in_words

VECTORS = "owner-vote-vectors/1"
WHOM_TO_ASK = (
    "请重新下载一次；还是这样，请保留这个文件，告诉监票人或业委会。",
    "Please download it once more; if it stays so, keep this file and tell the\nscrutineers or the owners' committee.",
)

votes = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def is_asked(arguments: Sequence[str]) -> bool:
    """Whether the command line asks for one of these commands."""
    return arguments[:1] in (["verify"], ["tally"])


def main() -> NoReturn:
    """Run one of these commands, and nothing else."""
    try:
        votes(prog_name="linli")
    except KeyboardInterrupt:
        sys.exit(130)
    except MemoryError:
        complain("内存不够，没有看完。There is not enough memory to look at it all.")
        sys.exit(1)
    except OSError as error:
        complain(f"{error.filename or ''}：{error.strerror or error}。It cannot be read or written.")
        sys.exit(1)
    sys.exit(0)


@votes.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="公示的 .zip 文件。The published zip file.")],
    receipt: Annotated[
        list[str] | None, typer.Argument(help="回执，例如 17-ABCD-EFGH-IJKL-MNOP。A receipt.")
    ] = None,
) -> None:
    """核对公示的投票：有没有被改过，重新计票，找到回执的那张票。Check a published vote, count again, find a receipt."""
    with err.status("正在核对… Checking…"):
        try:
            found = verified(_read(bundle), " ".join(receipt or ()))
        except Broken as error:
            fail("\n".join((in_lines(error.words), *(WHOM_TO_ASK if error.where else ()))))
    policy = found.bundle.policy
    words = _in_words(policy, found.bundle.result)
    kind = {"statutory": "业主大会表决 owners' decision", "poll": "征求意见，非业主大会决定 poll"}[
        policy["kind"]
    ]
    out.print(
        Text.assemble(("✓ ", "green"), "全部核对相符，重新计票一致。All holds, and the recount agrees.")
        if not found.is_sealed
        else Text.assemble(
            ("✓ ", "green"),
            "只公示总数：只有保管人能重新计票；其他都核对相符。"
            "Only totals were published: only the keeper can count again. All else holds.",
        )
    )
    out.print(f"{shown(policy['title'])}（{kind}）")
    out.print(
        f"记录 {found.entries} 条，选票 {found.ballots} 张，末条回执 {found.head}。\n"
        f"{found.entries} entries, {found.ballots} ballots; the head is {found.head}."
    )
    out.print(words)
    if found.held is not None:
        out.print(Text.assemble(("✓ ", "green"), in_lines(found.held)))
    else:
        _ask_for_receipts(found)


def _ask_for_receipts(found: Verified) -> None:
    """What no file can say of itself."""
    out.print(
        "文件本身看不出整份记录是不是后来重做的：请和公示栏、监票人手里的\n"
        f"末条回执 {found.head} 比对，或加上您的回执再核对。\n"
        "No file shows whether all of it was made anew: compare the head with the\n"
        "one on the board and that of the scrutineers, or check with your receipt."
    )


@votes.command()
def tally(
    file: Annotated[Path, typer.Argument(help="公示的 .zip，或计票用例。A published zip, or vectors.")],
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON。Print JSON.")] = False,
) -> None:
    """重新计票：公示的投票，或一份用例（每例一行 JSON）。Count a published vote again, or each case of a file."""
    # A name may hold halves of characters, which JSON can write only as \\ud83d.
    cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", errors="backslashreplace")
    data = _read(file)
    if data.startswith(b"PK"):
        _tally_bundle(data, as_json)
    else:
        _tally_cases(file, data)


def _tally_bundle(data: bytes, as_json: bool) -> None:
    try:
        bundle = open_bundle(data)
        result = recount(bundle)
    except Broken as error:
        fail(in_lines(error.words))
    err.print(
        "只重新计票，没有核对文件有没有被改过；要核对请用 ./linli verify。\n"
        "Counted only; whether the file was changed was not checked: ./linli verify does."
    )
    if as_json:
        print(canonical(result).decode(), flush=True)  # noqa: T201
    else:
        out.print(_in_words(bundle.policy, result))
    if canonical(result) != canonical(bundle.result):
        fail(
            "和文件里公布的结果不一样，请用 ./linli verify 看哪里不对。"
            "The published result is another; ./linli verify says what is wrong."
        )


def _tally_cases(file: Path, data: bytes) -> None:
    wrong = False
    for number, case in enumerate(_cases(file, data), 1):
        name = case.get("name") if isinstance(case, dict) else None
        problem, counted = _counted(case)
        if problem:
            complain(f"第 {number} 例 case {number}（{shown(name)}）：{problem}")
            wrong = True
        else:
            print(json.dumps({"name": name, **counted}, ensure_ascii=False), flush=True)  # noqa: T201
    if wrong:
        raise typer.Exit(1)


def _counted(case: Any) -> tuple[str, dict[str, Any]]:
    """What is wrong with a case, or what it comes to."""
    try:
        where = misfit_of_case(case)
        if where is None:
            return "", count({**case, "poll": None})
    except Exception as error:  # one case must not keep the others from being counted
        return f"数不出来 cannot be counted：{shown(repr(error))}", {}
    return f"{shown(where)} 缺少或写法不对 is missing or not of its form", {}


def _cases(file: Path, data: bytes) -> list[Any]:
    """The cases of a file of vectors; ends with a sentence if it is none."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        value = None
    cases = value.get("cases") if isinstance(value, dict) and value.get("format") == VECTORS else None
    if not isinstance(cases, list):
        fail(
            f"{file} 不是公示的 .zip，也不是 {VECTORS} 的 JSON。"
            f"This is neither a published zip nor JSON of the format {VECTORS}."
        )
    return cases


def _in_words(policy: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """The result in each language, without what a terminal would obey."""
    parts = [in_words(policy, result, language).split("\n") for language in LANGUAGES]
    lines = [shown(line, len(line)) for part in parts for line in ("", *part)]
    return "\n".join([*lines, ""])


def _read(file: Path) -> bytes:
    """The file's bytes, but for what is too much; ends with a sentence if there are none."""
    if file.is_dir():
        fail(
            f"{file} 是文件夹。请给没有解压的 .zip 文件。"
            "This is a folder; please pass the zip as it was published, not unpacked."
        )
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except FileNotFoundError:
        fail(
            f"没有这个文件：{file}。请检查名字和所在的文件夹。\n"
            "There is no such file; please check its name and folder."
        )
    except OSError as error:
        fail(f"读不了 {file}：{error.strerror}。The file cannot be read.")

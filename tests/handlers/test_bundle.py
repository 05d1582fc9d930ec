"""A published vote: packed in one way, and nothing in it can be changed without being found or a receipt telling it."""

import csv
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from conversations.words import LANGUAGES, Reader
from handlers import bundle_file
from handlers.ballot_log import canonical, line, sha256
from handlers.bundle import Bundle, Verified, case_of, open_bundle, pack, recount, verify
from handlers.bundle_file import (
    LOG,
    NAMES,
    POLICY,
    README,
    RESULT,
    ROSTER,
    SHEET,
    SUMS,
    Broken,
    archive,
    files_of,
)
from handlers.tally import result
from handlers.vote_shapes import misfit_of_case
from tests.published import (
    ACTS,
    DEADLINE,
    OPENS,
    OPTIONS,
    UNITS,
    Vote,
    ballot,
    chained,
    proxy,
    receipt_of,
    rechained,
    unit,
)

FLIPS = (0x01, 0x20, 0x80, 0xFF)
DIGEST = "883accb72474204566e7e12a735e02e66d6fc2fee152c55c159a3666ae2f43d0"


@cache
def small() -> bytes:
    return Vote().packed()


def broken(data: bytes, receipt: str = "") -> tuple[str, str]:
    """Where a bundle is broken and the key of what is said; it can be said in each language."""
    with pytest.raises(Broken) as caught:
        verify(data, receipt)
    said(caught.value.words)
    return caught.value.where, caught.value.what.key.removeprefix("bundle.")


def said(words: Any) -> str:
    return "\n".join(Reader(language, "Asia/Shanghai", OPENS).show(words) for language in LANGUAGES)


def held(found: Verified) -> str:
    assert found.held is not None
    return said(found.held)


def with_files(data: bytes, **changed: bytes) -> bytes:
    """The bundle with other contents of some files, by the first part of their names, and right sums."""
    files = files_of(data)
    return archive({name: changed.get(name.partition(".")[0], files[name]) for name in NAMES if name != SUMS})


# --- packing ----------------------------------------------------------------------------------------


def test_the_same_vote_makes_the_same_bytes_and_they_hold() -> None:
    assert Vote().packed() == small()
    found = verify(small())
    assert (found.entries, found.ballots, str(found.head)) == (11, 6, receipt_of(found.bundle, 11))
    assert (found.is_sealed, found.held) == (False, None)
    assert pack(open_bundle(small())) == small()


def test_the_bytes_do_not_depend_on_the_python_that_packs() -> None:
    files = {name: name.encode() for name in NAMES if name != SUMS}
    assert hashlib.sha256(archive(files)).hexdigest() == DIGEST


def test_any_program_can_unpack_it_and_check_the_sums() -> None:
    with zipfile.ZipFile(io.BytesIO(small())) as opened:
        assert opened.testzip() is None
        assert [each.filename for each in opened.infolist()] == list(NAMES)
        assert {each.date_time for each in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {each.external_attr >> 16 for each in opened.infolist()} == {0o644}
        files = {name: opened.read(name) for name in NAMES}
    for row in files[SUMS].decode().splitlines():
        digest, _, name = row.partition("  ")
        assert hashlib.sha256(files[name]).hexdigest() == digest
    assert json.loads(files[POLICY])["title"] == "3 号楼加装充电桩"
    assert [json.loads(row)["n"] for row in files[LOG].splitlines()] == list(range(1, 12))


def test_the_case_is_what_the_tally_counts() -> None:
    bundle = Vote(acts=(*ACTS, ("extend", {"deadline": "2026-12-01T00:00:00Z"})), poll={},
                  closing={"undelivered": ["4"]}).bundle()  # fmt: skip
    case = case_of(bundle.policy, bundle.roster, bundle.log)
    assert case["deadline"] == "2026-12-01T00:00:00Z"
    assert [each["seq"] for each in case["ballots"]] == [2, 3, 5, 6, 7, 10]
    assert [each["revoked_at"] for each in case["roster"]["proxies"]] == [None, bundle.log[8]["at"]]
    assert case["roster"]["undelivered_owners"] == ["4"]
    assert result(case) == bundle.result == recount(bundle)
    statutory = Vote().bundle()
    assert misfit_of_case(case_of(statutory.policy, statutory.roster, statutory.log)) is None


# --- the table --------------------------------------------------------------------------------------


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files_of(data)[SHEET].decode("utf-8-sig"))))


def test_the_table_has_each_home_with_each_ballot_that_touches_it() -> None:
    assert files_of(small())[SHEET].startswith(b"\xef\xbb\xbf")
    rows = [(row["房屋"], row["序号"], row["选择"], row["代码"]) for row in table(small())]
    assert rows == [
        ("1-101", "2", "赞成", "counted"),
        ("1-102", "2", "赞成", "counted"),
        ("1-201", "3", "反对", "superseded"),
        ("1-201", "5", "赞成", "counted"),
        ("1-202", "", "", ""),
        ("1-301", "6", "赞成", "counted"),
        ("1-302", "10", "反对", "counted"),
        ("1-303", "7", "空白", "rejected:INVALID_CHOICE"),
    ]
    [paper] = [row for row in table(small()) if row["序号"] == "6"]
    assert (paper["投票人"], paper["替谁投"], paper["身份"], paper["方式"]) == ("1", "5", "受托人", "纸质")
    assert (paper["时间"], paper["面积（㎡）"]) == ("2026-11-02 09:00:00", "71.50")
    assert paper["回执"] == receipt_of(Vote().bundle(), 6)


def test_a_ballot_that_touches_no_home_stands_at_the_end_and_one_of_an_owner_at_all_their_homes() -> None:
    units = (*UNITS, unit(401, "7", kind="parking"))
    rows = table(Vote(units=units, acts=(ballot("7"), ballot("1", units=["1-102"]))).packed())
    assert [row["房屋"] for row in rows if row["序号"] == "3"] == ["1-101", "1-102"]
    assert (rows[-1]["房屋"], rows[-1]["代码"]) == ("", "rejected:NOT_ENTITLED")
    assert "1-401" not in {row["房屋"] for row in rows}  # out of scope


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula(first: str) -> None:
    evil = f"{first}1+1"
    vote = Vote(units=[unit(101, evil, id=evil, building=evil)], acts=[ballot(evil, evil)],
                poll={"visible": "named"}, roster={"names": {evil: evil}})  # fmt: skip
    verify(vote.packed())
    [row] = table(vote.packed())
    assert {row[name] for name in ("房屋", "楼栋", "投票人", "选择")} == {f"'{evil}"}


def test_a_named_poll_shows_names_and_a_poll_of_many_choices_shows_them() -> None:
    poll = {"visible": "named", "question": "choose", "choices": ["甲", "乙"], "most": 2}
    vote = Vote(acts=[ballot("1", ["甲", "乙"]), ballot("4", []), ballot("5", "abstain")], poll=poll,
                roster={"names": {"1": "陈女士"}})  # fmt: skip
    verify(vote.packed())
    rows = {row["房屋"]: row for row in table(vote.packed())}
    assert (rows["1-101"]["投票人"], rows["1-101"]["选择"]) == ("陈女士", "甲、乙")
    assert (rows["1-202"]["选择"], rows["1-301"]["选择"]) == ("以上都不选", "弃权")


def test_of_a_sealed_poll_the_table_has_nothing_but_homes_and_areas() -> None:
    data = Vote(poll={"visible": "totals"}).packed()
    found = verify(data)
    assert (found.is_sealed, found.ballots) == (True, 6)
    assert list(table(data)[0]) == ["房屋", "楼栋", "单元", "楼层", "面积（㎡）"]
    assert len(table(data)) == len(UNITS)
    assert b"voter" not in files_of(data)[LOG]
    with pytest.raises(Broken) as caught:
        recount(found.bundle)
    assert caught.value.what.key == "bundle.only_keeper"


# --- bytes ------------------------------------------------------------------------------------------


def test_every_byte_that_is_another_is_found() -> None:
    data = bytearray(Vote(units=UNITS[:2], acts=ACTS[:1]).packed())
    for at in range(len(data)):
        for flip in FLIPS:
            data[at] ^= flip
            with pytest.raises(Broken):
                verify(bytes(data))
            data[at] ^= flip
    verify(bytes(data))


def test_random_bytes_of_a_large_vote_are_found() -> None:
    units = [unit(number, str(number)) for number in range(1, 3001)]
    acts = [
        ballot(str(number), random.Random(number).choice(["for", "against"])) for number in range(1, 2501)
    ]
    data = bytearray(Vote(units=units, acts=acts).packed())
    verify(bytes(data))
    draw = random.Random(17)
    for _ in range(2000):
        at, flip = draw.randrange(len(data)), draw.randrange(1, 256)
        data[at] ^= flip
        with pytest.raises(Broken):
            files_of(bytes(data))
        data[at] ^= flip
    verify(bytes(data))


@pytest.mark.parametrize("name", [POLICY, ROSTER, LOG, SHEET, RESULT])
def test_every_byte_of_a_file_is_found_even_if_the_sums_are_made_anew(name: str) -> None:
    data = Vote(units=UNITS[:2], acts=ACTS[:1]).packed()
    files = files_of(data)
    content = files[name]
    for at in range(len(content)):
        for flip in FLIPS[:2]:
            changed = content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]
            assert broken(archive({**files, name: changed}))[0].partition(":")[0] in (name, LOG)


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (lambda data: b"", "", "no_zip"),
        (lambda data: b"PK", "", "missing"),
        (lambda data: b"%PDF-1.7", "", "no_zip"),
        (lambda data: b"\0" + data, "", "no_zip"),
        (lambda data: data + b"\0", "", "longer"),
        (lambda data: data[:-1], "", "directory"),
        (lambda data: data[:-300], "", "directory"),
        (lambda data: data[:5000], "", "packed"),
        (lambda data: data.replace(b"README.txt", b"readme.txt"), "", "missing"),
        (lambda data: data.replace("加装".encode(), "拆除".encode(), 1), README, "damaged"),
        (lambda data: data[:10] + b"\1" + data[11:], README, "damaged"),
    ],
)
def test_what_is_wrong_with_the_archive_is_said(
    change: Callable[[bytes], bytes], where: str, what: str
) -> None:
    assert broken(change(small())) == (where, what)


def zipped(files: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED, **changed: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as opened:
        opened.comment = changed.pop("archive_comment", b"")
        for name, content in files:
            member = zipfile.ZipInfo(name, changed.get("date_time", (1980, 1, 1, 0, 0, 0)))
            member.create_system, member.external_attr, member.compress_type = 3, 0o644 << 16, method
            for key, value in changed.items():
                setattr(member, key, value)
            opened.writestr(member, content)
    return out.getvalue()


def test_an_archive_that_another_program_made_is_refused() -> None:
    files = list(files_of(small()).items())
    assert zipped(files) == small()
    assert broken(zipped(files[1:])) == ("", "missing")
    assert broken(zipped([files[1], files[0], *files[2:]])) == ("", "missing")
    assert broken(zipped([*files, ("more.txt", b"")])) == ("", "directory")
    assert broken(zipped(files, zipfile.ZIP_DEFLATED)) == ("", "packed")
    assert broken(zipped(files, date_time=(2026, 11, 28, 8, 0, 0))) == (README, "damaged")
    for changed in ({"comment": b"x"}, {"create_system": 0}, {"archive_comment": b"x"}, {"external_attr": 1}):
        assert broken(zipped(files, **changed)) == ("", "directory")
    assert broken(zipped(files, extra=b"\1\0\1\0x")) == ("", "missing")


def test_an_archive_that_unpacks_to_more_than_it_is_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped([(name, b"\0" * 50_000_000) for name in NAMES], zipfile.ZIP_DEFLATED)
    assert broken(bomb) == ("", "packed")
    size = (0xFFFFFFFF).to_bytes(4, "little")
    assert broken(small()[:18] + size + size + small()[26:]) == ("", "packed")
    monkeypatch.setattr(bundle_file, "MOST_BYTES", 100)
    assert broken(small()) == ("", "too_large")


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (lambda sums: sums.replace(b"1", b"2"), f"{SUMS}:1", "sum"),
        (lambda sums: b"\n".join(reversed(sums.splitlines())), f"{SUMS}:1", "sum"),
        (lambda sums: sums + b"\n", SUMS, "sums_form"),
        (lambda sums: sums[:-1], SUMS, "sums_form"),
        (lambda sums: sums.replace(b"\n", b"\r\n"), f"{SUMS}:1", "sum"),
        (lambda sums: sums.splitlines()[0], SUMS, "sums_form"),
        (lambda sums: b"", f"{SUMS}:1", "sum"),
        (lambda sums: b"\xff\xfe" + sums, f"{SUMS}:1", "sum"),
    ],
)
def test_sums_that_are_others_are_found(change: Callable[[bytes], bytes], where: str, what: str) -> None:
    files = files_of(small())
    assert broken(zipped([*list(files.items())[:-1], (SUMS, change(files[SUMS]))])) == (where, what)


# --- files ------------------------------------------------------------------------------------------

DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no_json"),
        (b"\n", "no_json"),
        (b"[]\n", "no_json"),
        (b"null\n", "no_json"),
        (b'{"a":NaN}\n', "no_json"),
        (b'{"a":Infinity}\n', "no_json"),
        (b'{"a":1.0}\n', "no_json"),
        (b'{"a":1e999}\n', "no_json"),
        (b'{"a":' + b"9" * 10_000 + b"}\n", "no_json"),
        (b'{"a":"\\ud800"}\n', "no_json"),
        (b'{"a":"\xff"}\n', "no_json"),
        (b'{"a":' + DEEP + b"}\n", "no_json"),
        (b"{}", "not_canonical"),
        (b"{}\n\n", "not_canonical"),
        (b"{} \n", "not_canonical"),
        (b"\xef\xbb\xbf{}\n", "not_canonical"),
        ('{"a":1}'.encode("utf-16"), "not_canonical"),
        (b'{"a":1,"a":1}\n', "not_canonical"),
        (b'{"b":1,"a":1}\n', "not_canonical"),
        (b'{"a":-0}\n', "not_canonical"),
        (b'{"a":"\\u4e00"}\n', "not_canonical"),
        (b"{}\n", "misfit"),
    ],
)
@pytest.mark.parametrize("name", ["policy", "roster", "log"])
def test_a_file_that_is_not_canonical_json_of_its_form_is_refused(
    content: bytes, what: str, name: str
) -> None:
    where = {"policy": POLICY, "roster": ROSTER, "log": f"{LOG}:1"}[name]
    if name == "log" and content == b"":
        where, what = LOG, "not_closed"
    if name == "log" and content == b"{}\n\n":
        where, what = f"{LOG}:1", "misfit"
    assert broken(with_files(small(), **{name: content})) == (where, what)


def test_a_result_that_is_nested_as_deep_as_can_be_read_is_another_result() -> None:
    for depth in range(900, 1000):
        deep = b'{"ballot_outcomes":' + b"[" * depth + b"]" * depth + b"}\n"
        forged = rechained_close(open_bundle(small()), result=sha256(deep))
        files = {**files_of(small()), LOG: b"".join(map(line, forged.log)), RESULT: deep}
        assert broken(archive(files)) in ((RESULT, "result"), (RESULT, "no_json"))


def test_words_for_people_are_text() -> None:
    assert broken(with_files(small(), README=b"\xff")) == (README, "no_text")


HOSTILE = (None, True, -1, 0, 2**80, "", "x", "9" * 20_000, [], [None], [[]], {}, {"a": 1}, "2026-02-30T00:00:00Z",
           "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "../../etc/passwd", "１/２", "0/0", "1e9",
           "-5.00", "٣.00", ["\x1b[2J"] * 3)  # fmt: skip


def paths(value: Any) -> list[tuple[Any, ...]]:
    """The way to each part of a JSON value."""
    parts: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))[:2]
    return [()] + [(key, *rest) for key, part in parts for rest in paths(part)]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy in which one part is another; deleted where the new one is `...`."""
    if not path:
        return new
    copy = value.copy()
    if new is ... and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("poll", [None, {}, {"question": "choose", "choices": ["甲"]}, {"visible": "totals"}])
def test_whatever_stands_in_a_policy_or_roster_there_is_no_traceback(poll: dict[str, Any] | None) -> None:
    """All hashes are right, so that only the form can be wrong."""
    roster = {"legal_agents": [{"agent": "8", "principal": "4", "kind": "guardian"}], "names": {"1": "陈"}}
    bundle = Vote(units=UNITS[2:6], poll=poll, acts=[ballot("4")], roster=roster).bundle()
    files = files_of(pack(bundle))
    for name, value in ((POLICY, bundle.policy), (ROSTER, bundle.roster)):
        for path in paths(value)[1:]:
            for new in (..., *HOSTILE):
                content = line(changed(value, path, new))
                body = bundle.log[0]["body"] | {name.partition(".")[0]: sha256(content)}
                log = rechained(bundle, [{**bundle.log[0], "body": body}, *bundle.log[1:]]).log
                try:
                    verify(archive({**files, name: content, LOG: b"".join(map(line, log))}))
                except Broken as error:
                    assert said(error.words).isprintable() or "\n" in said(error.words)


def test_whatever_stands_in_an_entry_there_is_no_traceback() -> None:
    bundle = Vote(acts=(*ACTS, ("extend", {"deadline": "2026-12-01T00:00:00Z"})), poll={}).bundle()
    files = files_of(pack(bundle))
    for at, entry in enumerate(bundle.log):
        for path in paths(entry)[1:]:
            for new in (..., *HOSTILE):
                forged = changed(entry, path, new)
                if path[0] == "body" and isinstance(forged.get("body"), dict):
                    log = rechained(bundle, [*bundle.log[:at], forged, *bundle.log[at + 1 :]]).log
                else:
                    log = [*bundle.log[:at], forged, *bundle.log[at + 1 :]]
                try:
                    verify(archive({**files, LOG: b"".join(map(line, log))}))
                except Broken as error:
                    said(error.words)


def test_what_an_entry_has_beyond_its_form_is_refused() -> None:
    bundle = open_bundle(small())
    more = bundle.log[1] | {"body": bundle.log[1]["body"] | {"note": 1}}
    assert broken(forged(bundle, log=[bundle.log[0], more, *bundle.log[2:]])) == (f"{LOG}:2", "misfit")


def test_a_million_lines_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert broken(with_files(small(), log=b"\n" * 5_000_000)) == (f"{LOG}:1", "no_json")
    monkeypatch.setattr("handlers.bundle.MOST_ENTRIES", 10)
    assert broken(small()) == (LOG, "too_many")
    monkeypatch.setattr("handlers.bundle.MOST_ENTRIES", 11)
    monkeypatch.setattr("handlers.bundle.MOST_LINES", 3)
    monkeypatch.setattr("handlers.bundle.tallied", pytest.fail)  # the count keeps something for each line
    assert broken(small()) == (SHEET, "too_many")
    assert broken(with_files(small(), result=b"{}\n"))[1] == "other_file"


def test_two_homes_of_one_id_are_refused() -> None:
    files = files_of(small())
    roster = json.loads(files[ROSTER])
    roster["units"].append(roster["units"][0])
    assert broken(archive({**files, ROSTER: line(roster)})) == (ROSTER, "misfit")


# --- forgeries --------------------------------------------------------------------------------------


def forged(bundle: Bundle, **changed: Any) -> bytes:
    """Packed by somebody who knows the format: all sums, and the table if it can be made, are right."""
    bundle = replace(bundle, **changed)
    try:
        return pack(bundle)
    except Exception:
        files = {README: bundle.readme.encode(), POLICY: line(bundle.policy), ROSTER: line(bundle.roster),
                 LOG: b"".join(map(line, bundle.log)), SHEET: b"", RESULT: line(bundle.result)}  # fmt: skip
        return archive(files)


def rechained_close(bundle: Bundle, **closing: Any) -> Bundle:
    """With another closing entry, and its hash made anew."""
    last = bundle.log[-1]
    return rechained(bundle, [*bundle.log[:-1], {**last, "body": last["body"] | closing}])


def recounted(bundle: Bundle) -> Bundle:
    """What whoever holds the log could do: all hashes, counts and the result are made anew, and fit."""
    bundle = rechained(bundle, bundle.log)
    counted = result(case_of(bundle.policy, bundle.roster, bundle.log))
    closing = {"entries": len(bundle.log) - 1, "result": sha256(line(counted))}
    return replace(rechained_close(bundle, **closing), result=counted)


def without(log: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    return [entry for entry in log if entry["n"] != n]


def test_an_entry_that_is_removed_moved_added_or_changed_breaks_the_chain() -> None:
    bundle = open_bundle(small())
    log = bundle.log
    assert broken(forged(bundle, log=without(log, 3))) == (f"{LOG}:3", "number")
    assert broken(forged(bundle, log=[*log[:2], log[3], log[2], *log[4:]])) == (f"{LOG}:3", "number")
    assert broken(forged(bundle, log=[*log[:3], log[2], *log[3:]])) == (f"{LOG}:4", "number")
    assert broken(forged(bundle, log=without(log, 1))) == (f"{LOG}:1", "number")
    changed_choice = log[1] | {"body": log[1]["body"] | {"choice": "against"}}
    assert broken(forged(bundle, log=[log[0], changed_choice, *log[2:]])) == (f"{LOG}:2", "hash")
    renumbered = [entry | {"n": n} for n, entry in enumerate(without(log, 3), 1)]
    assert broken(forged(bundle, log=renumbered)) == (f"{LOG}:3", "prev")
    for name in ("at", "nonce", "prev", "hash"):
        other = log[1] | {name: log[2][name]}
        assert broken(forged(bundle, log=[log[0], other, *log[2:]]))[0] == f"{LOG}:2"


@pytest.mark.parametrize("place", range(1, 11))
def test_a_chain_that_was_made_anew_is_told_by_every_later_receipt(place: int) -> None:
    """Nothing in the file can show it: receipts and heads are what makes it impossible to keep secret."""
    bundle = open_bundle(small())
    removed = [*bundle.log[:place], *bundle.log[place + 1 :]]
    changed = [entry | ({"nonce": "f" * 32} if entry["n"] == place + 1 else {}) for entry in bundle.log]
    for forgery in (recounted(replace(bundle, log=log)) for log in (removed, changed)):
        data = forged(forgery)
        try:
            found = verify(data)
        except Broken:
            continue  # a removed proxy is missed by its ballot, the removed end by itself
        for n in range(place + 1, len(bundle.log) + 1):
            key = "receipt.other" if n <= found.entries else "receipt.no_entry"
            assert broken(data, receipt_of(bundle, n)) == ("", key)
        for n in range(1, place + 1):
            held(verify(data, receipt_of(bundle, n)))


def test_a_changed_choice_with_all_hashes_made_anew_is_told_by_its_receipt() -> None:
    bundle = open_bundle(small())
    ours = receipt_of(bundle, 2)
    choice = bundle.log[1] | {"body": bundle.log[1]["body"] | {"choice": "against"}}
    data = forged(recounted(replace(bundle, log=[bundle.log[0], choice, *bundle.log[2:]])))
    assert verify(data).bundle.result["against"] != bundle.result["against"]
    assert broken(data, ours) == ("", "receipt.other")
    head = receipt_of(bundle, 11)
    assert broken(data, head) == ("", "receipt.other")


def test_a_cut_end_is_found() -> None:
    bundle = open_bundle(small())
    for many in range(1, 11):
        assert broken(forged(bundle, log=bundle.log[:many])) == (LOG, "not_closed")
    assert broken(forged(bundle, log=[])) == (LOG, "not_closed")
    early = recounted(replace(bundle, log=[*bundle.log[:4], bundle.log[-1]]))
    assert verify(forged(early)).entries == 5  # closed anew; only a later receipt or head tells it
    assert broken(forged(early), receipt_of(bundle, 6)) == ("", "receipt.no_entry")


def test_another_roster_or_policy_than_at_the_opening_is_found() -> None:
    bundle = open_bundle(small())
    roster = {**bundle.roster, "units": bundle.roster["units"][1:]}
    assert broken(forged(bundle, roster=roster)) == (f"{LOG}:1", "other_file")
    policy = {**bundle.policy, "rule": "special"}
    assert broken(forged(bundle, policy=policy)) == (f"{LOG}:1", "other_file")
    body = {"roster": sha256(line(roster)), "policy": sha256(line(bundle.policy))}
    opened = replace(bundle, roster=roster, log=[{**bundle.log[0], "body": body}, *bundle.log[1:]])
    again = forged(recounted(opened))
    verify(again)  # the head at the opening, or any receipt, tells it
    assert broken(again, receipt_of(bundle, 1)) == ("", "receipt.other")


def test_another_result_is_found_and_where_it_differs() -> None:
    bundle = open_bundle(small())
    better = {**bundle.result, "for": {**bundle.result["for"], "area": "999.00"}}
    assert broken(forged(bundle, result=better)) == (f"{LOG}:11", "other_file")
    data = Vote(result={"for": better["for"]}).packed()
    with pytest.raises(Broken) as caught:
        verify(data)
    facts = caught.value.what.facts
    assert (caught.value.where, facts["at"], facts["found"]) == (RESULT, "for.area", "999.00")
    assert facts["expected"] == bundle.result["for"]["area"]
    for name, value in (("passed", 0), ("passed", None), ("more", 1), ("ballot_outcomes", ["counted"] * 6)):
        forged_result = {**bundle.result, name: value}
        closed = replace(rechained_close(bundle, result=sha256(line(forged_result))), result=forged_result)
        with pytest.raises(Broken) as caught:
            verify(forged(closed))
        assert caught.value.where == RESULT
        assert caught.value.what.facts["at"].startswith(name)


def test_another_table_is_found_with_its_line() -> None:
    sheet = files_of(small())[SHEET]
    assert broken(with_files(small(), ballots=sheet.replace("赞成".encode(), "反对".encode(), 1))) == (
        f"{SHEET}:2",
        "sheet",
    )
    assert broken(with_files(small(), ballots=sheet + b"x")) == (f"{SHEET}:10", "sheet")
    assert broken(with_files(small(), ballots=sheet.removeprefix(b"\xef\xbb\xbf"))) == (f"{SHEET}:1", "sheet")
    assert broken(with_files(small(), ballots=b"")) == (f"{SHEET}:1", "sheet")


LONGER = ("extend", {"deadline": "2026-11-30T00:00:00Z"})


HASHES = {"result": "0" * 64, "readme": "0" * 64}


@pytest.mark.parametrize(
    ("vote", "entry", "what"),
    [
        (Vote(acts=[LONGER]), 2, "extend_statutory"),
        (Vote(acts=[LONGER, ("extend", {"deadline": "2026-12-05T00:00:00Z"})], poll={}), 3, "extend_twice"),
        (Vote(acts=[("extend", {"deadline": "2026-11-10T00:00:00Z"})], poll={}), 2, "extend_late"),
        (Vote(acts=[("extend", {"deadline": DEADLINE.isoformat()})], poll={}), 2, "extend_late"),
        (Vote(acts=[LONGER], poll={}, policy={"deadline": OPENS.isoformat()}), 2, "extend_late"),
        (Vote(acts=[LONGER], poll={}, closing={"at": DEADLINE + timedelta(days=1)}), 3, "close_early"),
        (Vote(closing={"at": DEADLINE - timedelta(seconds=1)}), 11, "close_early"),
        (Vote(closing={"entries": 9}), 11, "close_count"),
        (Vote(acts=[("revoke", {"proxy": 1})]), 2, "revoke"),
        (Vote(acts=[("revoke", {"proxy": 2})]), 2, "revoke"),
        (Vote(acts=[("revoke", {"proxy": 3}), proxy("1", "5")]), 2, "revoke"),
        (Vote(acts=[proxy("1", "5"), ("revoke", {"proxy": 2}), ("revoke", {"proxy": 2})]), 4, "revoke"),
        (Vote(acts=[ballot("77")]), 2, "unknown"),
        (Vote(acts=[ballot("1", on_behalf_of="77", capacity="proxy")]), 2, "unknown"),
        (Vote(acts=[ballot("77", on_behalf_of="5", capacity="proxy"), proxy("77", "5")]), 2, "unknown"),
        (Vote(acts=[proxy("1", "77")]), 2, "unknown"),
        (Vote(acts=[ballot("1", on_behalf_of="5")]), 2, "misfit"),
        (Vote(acts=[ballot("1", capacity="proxy")]), 2, "misfit"),
        (Vote(acts=[("open", {"roster": "0" * 64, "policy": "0" * 64})]), 2, "open"),
        (Vote(acts=[("close", {"entries": 1, "undelivered": [], **HASHES})]), 2, "after_close"),
    ],
)  # fmt: skip
def test_what_may_not_stand_in_a_log_is_found(vote: Vote, entry: int, what: str) -> None:
    bundle = vote.bundle()
    assert broken(forged(bundle)) == (f"{LOG}:{entry}", what)


def test_floors_may_be_numbers_and_titles_may_have_wide_spaces() -> None:
    scope = {"buildings": None, "entrances": None, "floors": [-1, "2"], "homes": None}
    units = [unit(101, "1", floor=-1), unit(201, "2"), unit(301, "3")]
    vote = Vote(units=units, acts=[ballot("1")], policy={"options": {**OPTIONS, "scope": scope}})
    verify(vote.packed())
    assert [row["楼层"] for row in table(vote.packed())] == ["'-1", "2"]
    assert bundle_file.shown("一\u3000二\x1b\u202e") == "一\u3000二��"


def test_what_may_stand_in_a_log_holds() -> None:
    agent = proxy("77", "5")
    verify(Vote(acts=[agent, ballot("77", on_behalf_of="5", capacity="proxy")]).packed())
    verify(
        Vote(
            acts=[LONGER, ballot("1", at="2026-11-20T00:00:00Z")],
            poll={},
            closing={"at": DEADLINE + timedelta(days=15)},
        ).packed()
    )
    verify(Vote(closing={"at": DEADLINE}).packed())
    verify(Vote(acts=[]).packed())
    verify(Vote(units=[], acts=[], poll={"visible": "totals"}).packed())


def test_an_opening_that_is_not_the_first_is_found() -> None:
    bundle = Vote().bundle()
    log = rechained(bundle, [bundle.log[1], bundle.log[0], *bundle.log[2:]]).log
    assert broken(forged(bundle, log=log)) == (f"{LOG}:1", "open")


def test_of_a_sealed_poll_nobody_reads_whether_co_owners_chose_the_same() -> None:
    """Each has the receipts of both, so that what became of the two ballots would tell."""
    acts = [ballot("2", "for"), ballot("3", "against")]
    assert b"conflict" in files_of(Vote(acts=acts, poll={}).packed())[SHEET]
    sealed = files_of(Vote(acts=acts, poll={"visible": "totals"}).packed())
    assert all(b"ballot_outcomes" not in content for content in sealed.values())


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"reason": "NOT_ADOPTED"}, "result"),
        ({"adopted": []}, "result"),
        ({"quorum_met": False}, "result"),
        ({"silent": {"area": "0.00", "heads": 0}}, "result"),
        ({"abstain": {"area": "1.00", "heads": 1}}, "result"),
        (
            {"counts": {"for": {"area": "339.50", "heads": 9}, "against": {"area": "0.00", "heads": 0}}},
            "result",
        ),
        ({"counts": {"for": {"area": "339.50", "heads": 5}}}, "misfit"),
        ({"counts": {}}, "misfit"),
        ({"conflict": None}, "misfit"),
    ],
)
def test_of_a_sealed_poll_the_result_agrees_with_its_own_sums(changed: dict[str, Any], what: str) -> None:
    sealed = {"visible": "totals"}
    assert verify(Vote(poll=sealed).packed()).is_sealed
    assert broken(Vote(poll=sealed, result=changed).packed()) == (RESULT, what)


def test_of_a_sealed_poll_all_but_the_ballots_is_checked() -> None:
    vote = Vote(poll={"visible": "totals"})
    bundle = vote.bundle()
    choice = bundle.log[1] | {"body": {"sealed": "0" * 64}}
    assert broken(forged(bundle, log=[bundle.log[0], choice, *bundle.log[2:]])) == (f"{LOG}:2", "hash")
    assert broken(forged(bundle, result={**bundle.result, "reason": "TIED"})) == (f"{LOG}:11", "other_file")
    total = Vote(poll={"visible": "totals"}, result={"total": {"area": "1.00", "heads": 1}})
    assert broken(total.packed()) == (RESULT, "result")
    open_ballot = rechained(bundle, [bundle.log[0], {**choice, "body": ballot("1")[1]}, *bundle.log[2:]]).log
    assert broken(forged(bundle, log=open_ballot)) == (f"{LOG}:2", "misfit")
    sealed_ballot = rechained(
        Vote().bundle(), [*Vote().bundle().log[:1], choice, *Vote().bundle().log[2:]]
    ).log
    assert broken(forged(Vote().bundle(), log=sealed_ballot)) == (f"{LOG}:2", "misfit")


# --- receipts ---------------------------------------------------------------------------------------


def test_a_receipt_says_what_its_entry_holds() -> None:
    bundle = open_bundle(small())

    def tells(n: int) -> str:
        return held(verify(small(), receipt_of(bundle, n)))

    assert "第 2 条：1-101、1-102，赞成，2026-11-02 09:00:00，已计入" in tells(2)
    assert "Entry 3: 1-201; against; 2026-11-02 09:00:00; superseded by another ballot" in tells(3)
    assert "空白" in tells(7) and "选择无效" in tells(7)
    assert "第 4 条是一份委托" in tells(4)
    assert "第 9 条是撤销一份委托" in tells(9)
    assert "第 1 条是投票开始" in tells(1)
    assert "it is the same history. Entry 11 is the closing" in tells(11)
    typed = receipt_of(bundle, 2).lower().replace("-", " ")
    assert "赞成" in held(verify(small(), typed))


def test_a_receipt_names_many_homes_by_the_first_and_choices_by_their_names() -> None:
    units = [unit(number, "1") for number in range(101, 131)]
    poll = {"question": "choose", "choices": ["甲\x1b[2J", "乙"], "most": 2, "electorate": "persons"}
    vote = Vote(
        units=[*units, unit(201, "2")], acts=[ballot("1", ["甲\x1b[2J", "乙"]), ballot("2", [])], poll=poll
    )
    bundle, data = vote.bundle(), vote.packed()
    words = held(verify(data, receipt_of(bundle, 2)))
    assert "1-110 等 30 户" in words and "1-111" not in words
    assert "甲�[2J、乙" in words
    assert "以上都不选" in held(verify(data, receipt_of(bundle, 3)))


def test_a_receipt_of_a_sealed_ballot_says_that_only_the_keeper_knows_it() -> None:
    vote = Vote(poll={"visible": "totals"})
    words = held(verify(vote.packed(), receipt_of(vote.bundle(), 2)))
    assert "只有保管人知道" in words and "赞成" not in words


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("hello", "receipt.unread"),
        ("17-ABCD-EFGH-IJKL-MNO", "receipt.unread"),
        ("17-ABCD-EFGH-IJKL-MNOPQ", "receipt.unread"),
        ("17-ABCD-EFGH-IJKL-MNO9", "receipt.unread"),
        ("17-ABCD-EFGH-IJKL-MNOP", "receipt.no_entry"),
        ("0-ABCD-EFGH-IJKL-MNOP", "receipt.no_entry"),
        ("2-ABCD-EFGH-IJKL-MNOP", "receipt.other"),
    ],
)
def test_a_receipt_that_does_not_fit_gets_its_own_sentence(typed: str, what: str) -> None:
    assert broken(small(), typed) == ("", what)


def test_a_receipt_is_looked_at_last() -> None:
    assert broken(small() + b"x", "hello") == ("", "longer")


def test_canonical_is_one_way_only() -> None:
    assert canonical({"b": [1, None], "a": "一\n\x7f"}) == '{"a":"一\\n\x7f","b":[1,null]}'.encode()
    assert [entry["n"] for entry in chained([("revoke", {"proxy": 1})] * 3)] == [1, 2, 3]

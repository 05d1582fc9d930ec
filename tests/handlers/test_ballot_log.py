"""The ballot log: one way to write an entry, a chain of them, and receipts as people copy them."""

import hashlib
import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from handlers.ballot_log import (
    START,
    Receipt,
    canonical,
    entry_after,
    hash_of,
    read_receipt,
    receipt,
    sealed,
    sha256,
    written,
)

RANDOM = settings(deadline=None, derandomize=True, database=None, max_examples=300)
AT = datetime(2026, 11, 28, 8, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
receipts = st.builds(
    receipt, st.integers(1, 999_999_999), st.binary(min_size=32, max_size=32).map(lambda data: data.hex())
)


@RANDOM
@given(json_values)
def test_canonical_json_is_read_back_and_written_the_same(value: Any) -> None:
    assert json.loads(canonical(value)) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)


@RANDOM
@given(st.dictionaries(texts, st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_canonical_json_has_no_space_and_escapes_only_what_must_be() -> None:
    assert canonical({"b": [1, None], "a": '一"\\\n\x7f'}) == '{"a":"一\\"\\\\\\n\x7f","b":[1,null]}'.encode()


def test_an_entry_is_bound_to_the_one_before() -> None:
    first = entry_after(1, START, "revoke", {"proxy": 1}, AT)
    second = entry_after(2, first["hash"], "revoke", {"proxy": 1}, AT)
    assert (second["n"], second["prev"], second["hash"]) == (2, first["hash"], hash_of(second))
    assert len(first["nonce"]) == 32 and first["nonce"] != second["nonce"]
    plain = {key: value for key, value in first.items() if key != "hash"}
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert first["hash"] == hashlib.sha256(text.encode()).hexdigest()


@RANDOM
@given(st.sampled_from(["n", "prev", "at", "kind", "body", "nonce"]), json_values)
def test_whatever_is_changed_in_an_entry_changes_its_hash(name: str, value: Any) -> None:
    entry = entry_after(1, START, "revoke", {"proxy": 1}, AT, nonce="0" * 32)
    assert (hash_of({**entry, name: value}) == entry["hash"]) == (canonical(value) == canonical(entry[name]))


def test_times_are_written_in_utc() -> None:
    assert written(AT.astimezone(timezone(timedelta(hours=8)))) == "2026-11-28T08:00:00.000000Z"
    assert datetime.fromisoformat(written(AT)) == AT


def test_a_sealed_ballot_is_opened_by_its_nonce_alone() -> None:
    body = {"choice": "for"}
    assert sealed(body, "1") == {"sealed": sha256(canonical({"body": body, "nonce": "1"}))}
    assert sealed(body, "1") != sealed(body, "2")


# --- receipts ---------------------------------------------------------------------------------------


def wide(text: str) -> str:
    """As an input method writes it in full width."""
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else "\u3000" for letter in text)


def misread(text: str) -> str:
    """With the digits that look like a letter which base32 has."""
    number, _, bits = text.partition("-")
    return f"{number}-{bits.translate(str.maketrans('OIB', '018'))}"


WAYS = {
    "as it is": str,
    "in small letters": str.lower,
    "with spaces": lambda text: text.replace("-", " "),
    "with spaces and dashes": lambda text: f"  {text.replace('-', ' - ')}\n",
    "with other dashes": lambda text: text.replace("-", "—"),
    "with dots": lambda text: text.replace("-", "·"),
    "in full width": wide,
    "letters together": lambda text: text.partition("-")[0] + "-" + text.partition("-")[2].replace("-", ""),
    "without any dash": lambda text: text.replace("-", ""),
    "without the first dash": lambda text: text.replace("-", "", 1),
    "with digits for letters": misread,
    "with letters for digits": lambda text: (
        text.partition("-")[0].translate(str.maketrans("018", "OlB")) + "-" + text.partition("-")[2]
    ),
    "as No.": lambda text: f"No. {text}",
    "with English words before": lambda text: f"Your receipt: {text}.",
    "with words before": lambda text: f"回执：{text}。",
    "as a number of an entry": lambda text: "第" + text.replace("-", "条 ", 1),
    "in another form of unicode": lambda text: unicodedata.normalize("NFD", wide(text)),
}


@pytest.mark.parametrize("way", WAYS)
@RANDOM
@given(given_out=receipts)
def test_a_receipt_is_read_however_it_is_typed(way: str, given_out: Receipt) -> None:
    typed = WAYS[way](str(given_out))
    if way.startswith("without"):
        assume(not given_out.bits[:4].isdigit())  # nobody can tell then where the number ends
    assert read_receipt(typed) == given_out


def test_a_receipt_looks_as_the_page_says() -> None:
    shown = receipt(17, "00443214c74254b635cf" + "0" * 44)
    assert str(shown) == "17-ABCD-EFGH-IJKL-MNOP"
    assert read_receipt("17-ABCD-EFGH-IJKL-MNOP") == shown


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-", "17", "No.", "ABCD-EFGH-IJKL-MNOP", "17-ABCD-EFGH-IJKL-MNO", "17-ABCD-EFGH-IJKL-MNOPQ",
        "17-ABCD-EFGH-IJKL-MNO9", "1234567890-ABCD-EFGH-IJKL-MNOP", "17-АBCD-EFGH-IJKL-MNOP", "x17-ABCD-EFGH-IJKL-MNOP",
        "回执", "17-ABCD-EFGH-IJKL-MNOP 18-ABCD-EFGH-IJKL-MNOP", "9" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_none(text: str) -> None:
    """A letter too few is not taken from the number: that would be another entry's receipt."""
    assert read_receipt(text) is None


@RANDOM
@given(st.text(max_size=60) | st.from_regex(r"[0-9A-Z -]{15,25}", fullmatch=True))
def test_whatever_is_typed_is_a_receipt_or_none(text: str) -> None:
    found = read_receipt(text)
    assert found is None or read_receipt(str(found)) == found


@RANDOM
@given(receipts, st.integers(0, 15), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_one_wrong_letter_is_another_receipt(given_out: Receipt, at: int, letter: str) -> None:
    bits = given_out.bits[:at] + letter + given_out.bits[at + 1 :]
    assert (read_receipt(str(Receipt(given_out.n, bits))) == given_out) == (bits == given_out.bits)

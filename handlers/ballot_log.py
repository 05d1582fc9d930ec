"""The ballot log: entries that only ever grow, each bound to all before it by its hash, and what is handed out of them.

Pure: where the entries are kept is not its business. The format is section 4 of docs/votes.md.
"""

import base64
import hashlib
import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

START = "0" * 64
"""What stands as the hash before the first entry."""
RECEIPT_BYTES = 10
LETTERS = RECEIPT_BYTES * 8 // 5
LOOKALIKE = str.maketrans("018", "OIB")
"""What base32 has no use for, and what somebody meant who copied it by hand."""
LOOKALIKE_DIGITS = str.maketrans("OILB", "0118")
NUMBER = re.compile(r"[0-9OILB]{1,9}")
BITS = re.compile(rf"[A-Z2-7]{{{LETTERS}}}")


def canonical(value: Any) -> bytes:
    """The one way to write a value as JSON: UTF-8, sorted keys, no space."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def line(value: Any) -> bytes:
    """A value as policy.json, roster.json, result.json and each line of log.jsonl hold it."""
    return canonical(value) + b"\n"


def sha256(data: bytes) -> str:
    """The SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def written(at: datetime) -> str:
    """An instant as the log writes it: UTC with microseconds, "2026-11-28T08:00:00.000000Z"."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def hash_of(entry: Mapping[str, Any]) -> str:
    """The hash that an entry must have, by all of it but its `hash`."""
    return sha256(canonical({key: value for key, value in entry.items() if key != "hash"}))


def entry_after(
    n: int, prev: str, kind: str, body: Mapping[str, Any], at: datetime, *, nonce: str = ""
) -> dict[str, Any]:
    """The entry number `n`, after the one whose hash is `prev`; its nonce is random unless it is given."""
    entry: dict[str, Any] = {
        "n": n,
        "prev": prev,
        "at": written(at),
        "kind": kind,
        "body": dict(body),
        "nonce": nonce or secrets.token_hex(16),
    }
    return {**entry, "hash": hash_of(entry)}


def sealed(body: Mapping[str, Any], nonce: str) -> dict[str, str]:
    """What stands in the log for a ballot of which only the keeper knows the choice."""
    return {"sealed": sha256(canonical({"body": body, "nonce": nonce}))}


@dataclass(frozen=True)
class Receipt:
    """An entry's number and the first 80 bits of its hash in base32; of the last entry it is the head."""

    n: int
    bits: str

    def __str__(self) -> str:
        """As it is shown: 17-ABCD-EFGH-IJKL-MNOP."""
        return "-".join([str(self.n), *(self.bits[at : at + 4] for at in range(0, len(self.bits), 4))])


def receipt(n: int, entry_hash: str) -> Receipt:
    """The receipt of the entry `n` with this hash in hex."""
    return Receipt(n, base64.b32encode(bytes.fromhex(entry_hash)[:RECEIPT_BYTES]).decode())


def read_receipt(text: str) -> Receipt | None:
    """The receipt that somebody copied, however they spaced it; None: it is none."""
    number, *groups = re.findall(r"[0-9A-Z]+", unicodedata.normalize("NFKC", text).upper()) or [""]
    while groups and number.isalpha() and not NUMBER.fullmatch(number):  # "No.", "Receipt"
        number, *groups = groups
    number, bits = number.removeprefix("NO"), "".join(groups)
    # Without a dash the first group follows the number at once; but where one stands, a letter too few is none of it.
    if len(bits) != LETTERS and not number.isdigit():
        both = number + bits
        number, bits = both[:-LETTERS], both[-LETTERS:]
    bits = bits.translate(LOOKALIKE)
    if not NUMBER.fullmatch(number) or not BITS.fullmatch(bits):
        return None
    return Receipt(int(number.translate(LOOKALIKE_DIGITS)), bits)

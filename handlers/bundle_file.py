"""The file of a published vote: a zip of which every byte is given by what is in it, and by nothing else.

Pure. Section 5 of docs/votes.md is its format. Since it is not compressed, it is read without a library of archives:
nothing can unpack to more than was there, and what differs from the one way to write it is found.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

from conversations.words import Say
from handlers.ballot_log import sha256

README, POLICY, ROSTER, LOG = "README.txt", "policy.json", "roster.json", "log.jsonl"
SHEET, RESULT, SUMS = "ballots.csv", "result.json", "SHA256SUMS"
NAMES = (README, POLICY, ROSTER, LOG, SHEET, RESULT, SUMS)
DATE = (1980, 1, 1, 0, 0, 0)
MOST_BYTES = 2**28
"""A vote of 50,000 homes and 100,000 ballots takes a quarter; to check one takes many times its size in memory."""
LOCAL = struct.Struct("<4s22xHH")
"""Of the header before each file: its mark, and the lengths of its name and its extra field."""
SIZES = struct.Struct("<LL")


class Broken(Exception):
    """A bundle that does not hold: in which file, and at which line or entry; `what` says it with its facts."""

    def __init__(self, where: str, what: Say) -> None:
        """`where` is a file's name, with a number after a colon if it is in one line; empty: the archive itself."""
        super().__init__(f"{where} {what.key} {dict(what.facts)}")
        self.where = where
        self.what = what

    @property
    def words(self) -> Say:
        """The whole sentence, with the place before it."""
        return Say("bundle.at", where=self.where, what=self.what) if self.where else self.what


def archive(files: Mapping[str, bytes]) -> bytes:
    """The zip of these files, which are all but SHA256SUMS; the same files make the same bytes."""
    return _zipped({**files, SUMS: sums(files)})


def sums(files: Mapping[str, bytes]) -> bytes:
    """What SHA256SUMS holds, as sha256sum writes it."""
    return "".join(f"{sha256(files[name])}  {name}\n" for name in NAMES if name != SUMS).encode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as opened:
        for name in NAMES:
            member = zipfile.ZipInfo(name, DATE)
            member.create_system = 3  # Unix, whatever this runs on
            member.external_attr = 0o644 << 16
            opened.writestr(member, files[name])
    return out.getvalue()


def files_of(data: bytes) -> dict[str, bytes]:
    """The files of a bundle by their names; raises Broken unless it is, byte by byte, what `archive` writes."""
    if len(data) > MOST_BYTES:
        raise Broken("", Say("bundle.too_large", most=MOST_BYTES // 2**20))
    if not data.startswith(b"PK"):
        raise Broken("", Say("bundle.no_zip"))
    files, at = {}, 0
    for name in NAMES:
        files[name], at = _file_at(data, at, name)
    expected = _zipped(files)
    if data != expected:
        _complain(data, expected, files)
    _check_sums(files)
    return files


def _file_at(data: bytes, at: int, name: str) -> tuple[bytes, int]:
    """The content of the file whose header begins at a place, and where the next one begins."""
    header, length = LOCAL.size, len(name)
    if len(data) < at + header + length:
        raise Broken("", Say("bundle.missing", name=name))
    mark, letters, extra = LOCAL.unpack_from(data, at)
    packed, size = SIZES.unpack_from(data, at + 18)
    begin = at + header + length
    if mark != b"PK\3\4" or data[at + header : begin] != name.encode() or (letters, extra) != (length, 0):
        raise Broken("", Say("bundle.missing", name=name))
    if packed != size or begin + size > len(data):
        raise Broken("", Say("bundle.packed"))
    return data[begin : begin + size], begin + size


def _complain(data: bytes, expected: bytes, files: Mapping[str, bytes]) -> None:
    """Say in which file the first byte lies that is not the expected one."""
    if data.startswith(expected):
        raise Broken("", Say("bundle.longer"))
    end = 0
    for name in NAMES:
        begin, end = end, end + LOCAL.size + len(name) + len(files[name])
        if data[begin:end] != expected[begin:end]:
            raise Broken(name, Say("bundle.damaged"))
    raise Broken("", Say("bundle.directory"))


def _check_sums(files: Mapping[str, bytes]) -> None:
    expected = sums(files)
    there = files[SUMS].split(b"\n")
    for at, (line, found) in enumerate(zip(expected.splitlines(), there, strict=False)):
        if line != found:
            name = NAMES[at]
            raise Broken(f"{SUMS}:{at + 1}", Say("bundle.sum", name=name, sum=sha256(files[name])))
    if files[SUMS] != expected:
        raise Broken(SUMS, Say("bundle.sums_form"))


def shown(value: Any, most: int = 80) -> str:
    """A value as a sentence shows it: in one line, without what a terminal would obey, and not too long."""
    text = "".join(letter if letter.isprintable() or letter == "\u3000" else "�" for letter in str(value))
    return text if len(text) <= most else f"{text[: most - 1]}…"

"""Scrubbing finds a word in the forms in which people write it, in texts and within JSON, and nothing else."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import Session, SQLModel, select

from store import scrub
from store.database import Database
from store.scrub import Word
from store.tables import Community, Event, Inbox, Notice, Outgoing

NOW = datetime(2026, 3, 2, tzinfo=UTC)
NUMBER = scrub.number("13912345678")


@pytest.mark.parametrize(
    ("word", "text", "left"),
    [
        (NUMBER, "电话13912345678。", "电话*。"),
        (NUMBER, "139 1234 5678或139-1234-5678", "*或*"),
        (NUMBER, "139.1234.5678 / 1 3 9 1 2 3 4 5 6 7 8", "* / *"),
        (NUMBER, "+86 139 1234 5678, 008613912345678, 8613912345678", "*, *, *"),
        (NUMBER, "１３９１２３４５６７８", "*"),
        (NUMBER, "139\u30001234 5678", "*"),
        (NUMBER, "身份证 31010113912345678X", "身份证 31010113912345678X"),
        (NUMBER, "139123456789", "139123456789"),
        (NUMBER, "139\n12345678", "139\n12345678"),
        (scrub.number("+4915112345678"), "+49 151 12345678", "*"),
        (scrub.number("02155550110"), "021-5555 0110", "*"),
        (scrub.exact("139****5678"), "手机 139****5678", "手机 *"),
        (scrub.exact("5000000001"), "5000000001:17 和 15000000001", "*:17 和 15000000001"),
        (scrub.exact("o6_bm%x"), "o6_bm%x o6abmyx", "* o6abmyx"),
        (scrub.name("陈女士"), "陈女士、陈 女士、陈　女 士、陈先生", "*、*、*、陈先生"),
        (scrub.name("𠮷田さん"), "𠮷田さんへ", "*へ"),
        (scrub.name("Lin"), "Lin (Linli), Berlin", "* (Linli), Berlin"),
        (scrub.name("Mr Smith"), "Mr Smith, Mr Smithers", "*, Mr Smithers"),
    ],
)
def test_a_word_is_found_in_its_forms(store: Database, word: Word, text: str, left: str) -> None:
    """By the pattern, and by what each database is asked first, in a text and within JSON."""
    assert re.sub(word.pattern, "*", text) == left
    keep(store, text)
    clean(store, [word])
    assert kept(store) == (left, {"said": [left, {"deep": left}]})


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    made = Database(database_url, threads=1, durable=False)
    made.write_now(lambda session: session.add(Community(id=1, name="阳光花园", created_at=NOW)))
    yield made
    made.close()


def keep(store: Database, text: str) -> None:
    facts = {"said": [text, {"deep": text}]}
    add(
        store,
        Outgoing(community_id=1, lane=1, text=text, created_at=NOW),
        Event(community_id=1, about="x", at=NOW, key="k", facts=facts),
    )


def add(store: Database, *rows: SQLModel) -> None:
    store.write_now(lambda session: session.add_all(rows))


def kept(store: Database) -> tuple[str, Any]:
    with store.read() as session:
        return session.exec(select(Outgoing.text)).one(), session.exec(select(Event.facts)).one()


def clean(store: Database, words: list[Word], community: int = 1, **options: Any) -> None:
    def work(session: Session) -> None:
        scrub.scrub(session, community, words, "*", **options)

    store.write_now(work)


def test_other_communities_and_other_rows_stay(store: Database) -> None:
    keep(store, "陈女士")
    clean(store, [scrub.name("陈女士")], community=2)
    clean(store, [])
    clean(store, [scrub.name("陈女士")], among={"outgoing": Outgoing.card == "repair:1"})  # type: ignore[dict-item]
    assert kept(store)[0] == "陈女士"
    clean(store, [scrub.name("陈女士")], among={"outgoing": Outgoing.lane == 1})  # type: ignore[dict-item]
    assert kept(store) == ("*", {"said": ["陈女士", {"deep": "陈女士"}]})


def test_the_copies_of_a_notice_are_read_only_if_its_facts_held_the_word(store: Database) -> None:
    for number, what in ((1, "陈女士家"), (2, "别人家")):
        add(
            store,
            Notice(
                id=number, community_id=1, key="repair.board", facts={"what": what}, lane=3, created_at=NOW
            ),
        )
        add(
            store,
            Outgoing(community_id=1, notice_id=number, lane=3, text=f"报修：{what}", created_at=NOW),
            Outgoing(community_id=1, notice_id=number, lane=3, text=f"报修：{what}", created_at=NOW),
        )
    clean(store, [scrub.name("陈女士")])
    with store.read() as session:
        texts = session.exec(select(Outgoing.text).order_by(Outgoing.id)).all()
    assert texts == ["报修：*家", "报修：*家", "报修：别人家", "报修：别人家"]


def test_what_only_looks_like_it_stays_to_the_letter(store: Database) -> None:
    payload = {
        "text": '\\u9648 "陈" \ud83d\ude00'.encode("utf-16", "surrogatepass").decode("utf-16"),
        "n": 17,
    }
    row = Inbox(messenger="x", key="1", place="x", sender="x", state="done", received_at=NOW, payload=payload)
    row.community_id = 1
    add(store, row)
    clean(store, [scrub.name("陈女士"), NUMBER])
    with store.read() as session:
        assert session.exec(select(Inbox.payload)).one() == payload

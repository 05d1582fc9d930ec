"""What every matter has: a public timeline, photos, and, not public, recordings and letters."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlmodel import col, select

from conversations.words import Reader, Say, pack, unpack
from handlers.tx import Tx
from store.tables import Event, Letter, Media, Person, Talk


def add_event(
    tx: Tx, about: str, key: str, person: Person | None, *, community_id: int, **facts: Any
) -> None:
    """Write one line of a matter's timeline; nobody did what the clock did."""
    tx.session.add(
        Event(
            community_id=community_id,
            about=about,
            at=tx.now,
            key=key,
            facts=pack(facts),
            pseudonym=person.pseudonym if person else 0,
        )
    )


def events_of(tx: Tx, about: str) -> Sequence[Event]:
    """The timeline of a matter, oldest first."""
    return tx.session.exec(select(Event).where(Event.about == about).order_by(col(Event.id))).all()


def timeline(
    tx: Tx, about: str, reader: Reader, shown: Callable[[str], str] = lambda words: words
) -> list[str]:
    """The lines of a matter's timeline; `shown` says what of the words that people wrote this reader may see."""

    def facts(event: Event) -> dict[str, Any]:
        found = unpack(event.facts)
        return {name: shown(fact) if isinstance(fact, str) else fact for name, fact in found.items()}

    return [
        reader.say("event.line", at=event.at, what=Say(event.key, **facts(event)))
        for event in events_of(tx, about)
    ]


def photos_of(tx: Tx, about: str) -> list[int]:
    """The ids of a matter's photos, oldest first: what may go to the board and to other owners."""
    photos = select(Media.id).where(Media.about == about, Media.kind == "photo")
    return list(tx.session.exec(photos.order_by(col(Media.id))))


def files_of(tx: Tx, about: str) -> list[int]:
    """The ids of a matter's photos and recordings, oldest first: for who reported it, the crew and the staff alone."""
    return list(tx.session.exec(select(Media.id).where(Media.about == about).order_by(col(Media.id))))


def add_photos(tx: Tx, person: Person, about: str, answer: Any) -> list[int]:
    """Keep the photos and recordings of an answer as the matter's; the ids of those that it did not have yet."""
    theirs = select(Media.storage).where(Media.about == about, Media.person_id == person.id)
    known = set(tx.session.exec(theirs))
    rows = [
        Media(
            community_id=person.community_id,
            person_id=person.id,
            about=about,
            kind=file.get("kind", "photo"),
            storage=file["storage"],
            mime=file["mime"],
            size=file["size"],
            name=file.get("name", ""),
            created_at=tx.now,
        )
        for file in {each["storage"]: each for each in (answer or {}).get("files", [])}.values()
        if file["storage"] not in known
    ]
    tx.session.add_all(rows)
    tx.session.flush()
    return [row.id for row in rows]


def set_files(tx: Tx, person: Person, about: str, answer: Any) -> None:
    """Let these photos and files be the ones of something, and no others; those of a last look are taken along."""
    wanted = {each["storage"] for each in (answer or {}).get("files", [])}
    had = tx.session.exec(select(Media).where(Media.about == about)).all()
    for each in had:
        if each.storage not in wanted:
            tx.session.delete(each)
    tx.session.flush()
    missing = wanted - {each.storage for each in had}
    looked_at = select(Media).where(col(Media.about).startswith("talk:"), Media.person_id == person.id)
    for each in tx.session.exec(looked_at.where(col(Media.storage).in_(missing))).all():
        if each.storage in missing:
            missing.discard(each.storage)
            each.about = about
            tx.session.add(each)
    tx.session.flush()
    kept = {each.storage for each in had}
    add_photos(
        tx,
        person,
        about,
        {"files": [each for each in (answer or {}).get("files", []) if each["storage"] not in kept]},
    )


def looked_at(tx: Tx, person: Person, talk: Talk) -> list[int]:
    """The ids of the photos of a form's last look, kept for it."""
    set_files(tx, person, f"talk:{talk.id}", talk.answers.get("photos"))
    return photos_of(tx, f"talk:{talk.id}")


def keep_letter(tx: Tx, person: Person, about: str, message: dict[str, Any], to: Person | None) -> Letter:
    """Keep what somebody wrote through a matter, with the photos and recordings that came with it."""
    letter = Letter(
        community_id=person.community_id,
        about=about,
        person_id=person.id,
        to_id=to.id if to is not None else None,
        text=message["text"],
        at=tx.now,
    )
    tx.session.add(letter)
    tx.session.flush()
    # Not the matter's own photos, which everybody sees.
    letter.files = add_photos(tx, person, f"letter:{letter.id}", message)
    return letter

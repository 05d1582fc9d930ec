"""What members say in the community's group: judged like all that everybody reads, taken away, and brought back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, select

import moderation.conduct
from conversations.said import Change, Said
from conversations.words import Say
from handlers import judge
from handlers.conduct import Judged, drop_ruling, know_judged, known_author, rule_on, tell_author, weigh
from handlers.people import homes_of, is_guest, roles_of
from handlers.places import ANONYMOUS
from handlers.policy import policy_of
from handlers.posts_ladder import lift, strike
from handlers.posts_notice import tell_in_group, tell_stranger
from handlers.tell import NEWS, place_of, remove, tell, tell_staff
from handlers.tx import Tx
from moderation.conduct import Verdict, fingerprint
from moderation.urgency import Why
from store.tables import Member, Person, Place, Post, Ruling

RESTORED = "restored:"
"""The card of what is brought back, by its ruling."""
FLOOD = "flood"
FLOOD_SECONDS = timedelta(seconds=10)
SPLIT_SECONDS = timedelta(seconds=60)
"""How long somebody may take to say one thing in pieces."""
LATELY = timedelta(minutes=2)
"""How long the same again is the same matter."""
MOST_PIECES = 12
MOST_LATELY = 100
SAME = 3
SHORTEST_SAME = 6
"""Characters of a text that is no mere "收到", and should not be said three times in two minutes."""
LOUD = ("sticker", "animation")
PIECE, SNIPPET, FRAGMENT = 12, 6, 2
"""Characters of what may be a piece of a text, of pieces on average that surely are, and of a mere syllable."""
OPEN = ("held", "deleted", "appealed")


@dataclass(frozen=True)
class Finding:
    """What is wrong: the messages that it is about, the latest last, and their words."""

    verdict: Verdict
    posts: Sequence[Post]
    words: str
    why: Sequence[dict[str, str]] = ()


# --- what is said -----------------------------------------------------------------------------------


def heard(tx: Tx, said: Said, place: Place) -> bool:
    """Judge what a member shows to the community's group; whether it may stand.

    Nobody judges its administrators, who keep order there themselves, its channel, and the property's staff.
    """
    person = tx.person
    if said.official or said.sender in ("", ANONYMOUS):
        return True
    if person is not None and "staff" in roles_of(tx, person):
        return True
    before = _lately(tx, said, place)
    post = _noted(tx, said, place)
    if post is None:
        return True
    member = member_of(tx, place, said.sender)
    new = _is_newcomer(tx, member)
    member.heard_at = member.heard_at or tx.now
    tx.session.add(member)
    found = _find(tx, said, post, [each for each in before if each.id != post.id])
    if found is None:
        return True
    _act(tx, place, member, found, new=new)
    return post.removed_at is None


def _lately(tx: Tx, said: Said, place: Place) -> Sequence[Post]:
    """What the same member said in the last two minutes, the latest first."""
    theirs = select(Post).where(
        Post.place_id == place.id, Post.account == said.sender, Post.at > _time_of(tx, said) - LATELY
    )
    return tx.session.exec(theirs.order_by(col(Post.id).desc()).limit(MOST_LATELY)).all()


def _time_of(tx: Tx, said: Said) -> datetime:
    """When it was said, which may be long before it came to us."""
    return min(said.sent or tx.now, tx.now)


def _noted(tx: Tx, said: Said, place: Place) -> Post | None:
    """Keep what is said for some days; None for a change that says nothing else."""
    assert place.community_id is not None
    words, files = "\n".join(filter(None, (said.text, *said.beside))), _files(said)
    number = said.number or said.key
    same = select(Post).where(Post.place_id == place.id, Post.message_id == number)
    post = tx.session.exec(same).first()
    if post is not None:
        # Of a message that comes behind its own change the change counts.
        if not said.edited or post.removed_at is not None or (post.text, post.files) == (words, files):
            return None
        post.text, post.files, post.edited_at = words, files, tx.now
        drop_ruling(tx, post)
        return post
    post = Post(
        community_id=place.community_id,
        place_id=place.id,
        message_id=number,
        account=said.sender,
        person_id=tx.person.id if tx.person is not None else None,
        name=said.name,
        text=words,
        files=files,
        parts=list(said.parts),
        thread=said.thread,
        at=_time_of(tx, said),
        edited_at=tx.now if said.edited else None,
    )
    tx.session.add(post)
    tx.session.flush()
    return post


def _files(said: Said) -> list[dict[str, str]]:
    return [{"name": file.name, "remote": file.remote} for file in said.files]


def member_of(tx: Tx, place: Place, account: str) -> Member:
    """The row of a member of a group."""
    assert place.community_id is not None
    theirs = select(Member).where(Member.place_id == place.id, Member.account == account)
    found = tx.session.exec(theirs).first()
    if found is None:
        found = Member(community_id=place.community_id, place_id=place.id, account=account)
        tx.session.add(found)
        tx.session.flush()
    return found


def _is_newcomer(tx: Tx, member: Member) -> bool:
    """Whether somebody came in of late, or speaks for the first time and nobody knows who it is."""
    hours = policy_of(tx, member.community_id).newcomer_hours
    if member.joined_at is not None and tx.now - member.joined_at < timedelta(hours=hours):
        return True
    return member.heard_at is None and (tx.person is None or is_guest(tx, tx.person))


# --- what is wrong with it --------------------------------------------------------------------------


def _find(tx: Tx, said: Said, post: Post, before: Sequence[Post]) -> Finding | None:
    words = "\n".join(filter(None, (*_shown(post), said.origin)))
    verdict = weigh(tx, post.community_id, words) if words else Verdict("ok")
    if verdict.verdict == "violation":
        return Finding(verdict, [post], words)
    in_pieces = _in_pieces(tx, post, before)
    if in_pieces is not None:
        return in_pieces
    if verdict.verdict == "hold":
        return Finding(verdict, [post], words)
    return None if said.edited else _flood(tx, post, before)


def _shown(post: Post) -> list[str]:
    """What can be read of a message."""
    return [post.text, *(file["name"] for file in post.files)]


def _in_pieces(tx: Tx, post: Post, before: Sequence[Post]) -> Finding | None:
    """What somebody says in several short messages is judged as one; whatever stands between them from others.

    Whole sentences are none: of those that neighbours say within a minute, one in a hundred pairs would break a rule.
    """
    others = [
        each
        for each in before
        if abs(each.at - post.at) < SPLIT_SECONDS
        and 0 < len(fingerprint(each.text)) <= PIECE
        and each.removed_at is None
    ]
    if not others or not 0 < len(fingerprint(post.text)) <= PIECE:
        return None
    pieces = sorted([post, *others[: MOST_PIECES - 1]], key=lambda each: each.id)
    for between in ("", "\n"):
        if _judged(tx, pieces, between).verdict == "violation":
            found = _of_pieces(tx, pieces, between)
            if found is not None:
                return found
    return None


def _judged(tx: Tx, pieces: Sequence[Post], between: str) -> Verdict:
    rules = judge.conduct_rules(tx, pieces[0].community_id)
    return moderation.conduct.judge(between.join(each.text for each in pieces), rules)


def _of_pieces(tx: Tx, pieces: Sequence[Post], between: str) -> Finding | None:
    """What the pieces say together, without those that it does not need; what staff let stand is none of them.

    Whoever types a word or two at a time hides something; phrases that only together break a rule are doubtful.
    """
    core = [each for each in pieces if not _was_let_stand(tx, each)]
    for each in list(core):
        rest = [other for other in core if other is not each]
        if len(rest) > 1 and _judged(tx, rest, between).verdict == "violation":
            core = rest
    if len(core) < 2:
        return None
    needed = [each for each in pieces if each in core or len(fingerprint(each.text)) <= FRAGMENT]
    posts = needed if _judged(tx, needed, between).verdict == "violation" else core
    words = between.join(each.text for each in posts)
    verdict = weigh(tx, pieces[0].community_id, words)
    if verdict.verdict != "violation":
        return None
    length = sum(len(fingerprint(each.text)) for each in core)
    sure = length <= SNIPPET * len(core)
    return Finding(verdict if sure else Verdict("hold", verdict.category, verdict.why), posts, words)


def _was_let_stand(tx: Tx, piece: Post) -> bool:
    """Whether the rules say something against it alone, and staff do not."""
    alone = _judged(tx, [piece], "").verdict
    return alone == "violation" or (
        alone == "hold" and weigh(tx, piece.community_id, piece.text).verdict == "ok"
    )


def _flood(tx: Tx, post: Post, before: Sequence[Post]) -> Finding | None:
    """Too much at once, or the same again and again; what was said first may stand."""
    said = fingerprint(post.text)
    same = [each for each in before if fingerprint(each.text) == said] if len(said) >= SHORTEST_SAME else []
    if len(same) >= SAME - 1:
        gone = [each for each in (*reversed(same[:-1]), post) if each.removed_at is None]
        return _flooded(tx, gone, Say("post.flood_same", times=len(same) + 1))
    most = policy_of(tx, post.community_id).flood_messages
    quick = [each for each in before if each.at > post.at - FLOOD_SECONDS and _counts(each)]
    if _counts(post) and len(quick) >= most - 1:
        return _flooded(tx, [post], Say("post.flood", times=len(quick) + 1))
    return None


def _counts(post: Post) -> bool:
    """Whether it can be one too many: who shows ten photos of a thing does not flood the group."""
    return bool(post.text) or any(each["remote"].startswith(LOUD) for each in post.files)


def _flooded(tx: Tx, posts: Sequence[Post], reason: Say) -> Finding:
    last = posts[-1]
    why = judge.in_every_language(lambda language: [str(tx.reader(last.community_id, language).show(reason))])
    verdict = Verdict("violation", FLOOD, (Why(FLOOD, (), ""),))
    return Finding(verdict, posts, last.text or "—", why)


# --- what follows -----------------------------------------------------------------------------------


def _act(tx: Tx, place: Place, member: Member, found: Finding, *, new: bool) -> None:
    """Take away what breaks a rule, and what may do so from somebody new; the author hears why, and staff decide.

    What a neighbour says stays until staff have decided: everybody's phone has shown it.
    """
    violation = found.verdict.verdict == "violation"
    if violation or new:
        for each in found.posts:
            take_out(tx, place, each)
    same = _same_matter(tx, place, member, found)
    if same is not None:
        for each in found.posts:
            each.ruling_id = same.id
        return
    last, person = found.posts[-1], tx.person
    account = f"{place.messenger}:{member.account}"
    ruling = rule_on(tx, last, found.words, found.verdict, person=person, account=account, why=found.why)
    for each in found.posts:
        if each.ruling_id not in (None, ruling.id):  # a piece that was doubtful alone
            drop_ruling(tx, each)
        each.ruling_id = ruling.id
        tx.session.add(each)
    more = (
        strike(tx, place, member, person, ruling)
        if violation
        else Say("post.held_out" if new else "post.held_in")
    )
    _tell(tx, place, last, ruling, more)


def take_out(tx: Tx, place: Place, post: Post) -> None:
    """Take a message out of the group."""
    if post.removed_at is None:
        post.removed_at = tx.now
        tx.session.add(post)
        remove(tx, place, post.message_id, post.parts, card=f"post:{post.id}")


def _same_matter(tx: Tx, place: Place, member: Member, found: Finding) -> Ruling | None:
    """The ruling on the very same thing, if there is one of late: one word to its author, and one for staff."""
    theirs = select(Ruling).where(
        Ruling.community_id == member.community_id,
        Ruling.account == f"{place.messenger}:{member.account}",
        col(Ruling.at) > tx.now - LATELY,
        col(Ruling.state).in_(OPEN),
    )
    said = fingerprint(found.words)
    for ruling in tx.session.exec(theirs.order_by(col(Ruling.id).desc())):
        if ruling.category == found.verdict.category == FLOOD or fingerprint(ruling.text) == said != "":
            return ruling
    return None


def _tell(tx: Tx, place: Place, post: Post, ruling: Ruling, more: Say) -> None:
    """The author hears it in their own chat, wherever that is; without one, in the group."""
    person = tx.person
    if person is not None and place_of(tx, person) is not None:
        key = "post.deleted_flood" if ruling.category == FLOOD else ""
        tell_author(tx, person, ruling, key, more=more)
    elif not tell_stranger(tx, place, post, ruling, more):
        tell_in_group(tx, place, post)


# --- what happens in the group ----------------------------------------------------------------------


def changed(tx: Tx, place: Place, change: Change) -> None:
    """Somebody came or went; or the group does not let us keep order, which staff have to know."""
    if change.kind == "joined" and change.account:
        member = member_of(tx, place, change.account)
        member.joined_at = tx.now
        tx.session.add(member)
    elif change.kind == "left" and change.account:
        gone = select(Member).where(Member.place_id == place.id, Member.account == change.account)
        for member in tx.session.exec(gone):
            if member.silent_until is None or member.silent_until <= tx.now:
                tx.session.delete(member)
    elif change.kind == "powerless" and place.community_id is not None:
        tell_staff(tx, place.community_id, f"post.powerless_{change.reason}")


# --- what staff decide ------------------------------------------------------------------------------


def restore(tx: Tx, post: Post, ruling: Ruling) -> None:
    """Show the messages that were taken away once more, as they were; a silence because of them ends."""
    place = tx.session.get_one(Place, post.place_id)
    gone = [each for each in _posts_of(tx, ruling) if each.removed_at is not None]
    if gone and place.kind == "board":
        tell(
            tx,
            place,
            "post.restored",
            card=f"{RESTORED}{ruling.id}",
            lane=NEWS,
            thread=post.thread,
            who=_name(tx, post),
            text="\n".join(dict.fromkeys(each.text for each in gone if each.text)) or "—",
        )
    lift(tx, place, ruling)


def uphold(tx: Tx, post: Post, ruling: Ruling) -> None:
    """Take away what still stands; it counts from now on."""
    place = tx.session.get_one(Place, post.place_id)
    for each in _posts_of(tx, ruling):
        take_out(tx, place, each)
    if ruling.verdict == "hold" and place.kind == "board":
        author = known_author(tx, ruling)
        said = strike(tx, place, member_of(tx, place, post.account), author, ruling)
        if author is not None:
            tell(tx, author, "post.counted", more=said)


def _posts_of(tx: Tx, ruling: Ruling) -> Sequence[Post]:
    """The messages that a ruling is about: one, or several that said one thing."""
    return tx.session.exec(select(Post).where(Post.ruling_id == ruling.id).order_by(col(Post.id))).all()


def _name(tx: Tx, post: Post) -> Say | str:
    """How the author is called in the group, with the building of whom we know."""
    person = tx.session.get(Person, post.person_id) if post.person_id is not None else None
    homes = homes_of(tx, person) if person is not None else []
    name = post.name or (person.name if person is not None else "") or Say("person.forgotten")
    if not homes:
        return name
    return Say("post.name_where", name=name, where=Say("where.building", building=homes[0].building))


know_judged(Judged("post", Post, restore, uphold, _name))

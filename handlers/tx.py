"""tx: all that one message or one timer causes, in one database transaction, or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlmodel import Session

from conversations.said import Said
from conversations.words import Reader
from store.media import Kept
from store.tables import Account, Community, Person, Place, Talk
from store.vault import Vault

T = TypeVar("T")


@dataclass(frozen=True)
class House:
    """What the installation gives to every transaction: each community's default policy, and who can be reached.

    `messengers` are those that are served; a chat on another one is none. None: all are. `vault` seals telephone
    numbers; `file` reads a sealed file that somebody sent, by its key (FileNotFoundError if it is gone); `keep`
    stores a picture that was drawn here, `keep_file` a file that was written here; `link` is the address that brings
    the holder of a code in ("" if there is none); `follow`: they can also come in by sending the code to an account on
    WeChat, which they follow first.

    `scarce` are the messengers that let us write only for a while after their people were heard: what is soundless
    goes into a digest there at `digest_at` ("18:30", in the community's time; "": each by itself). `no_contact` are
    those on which nobody can share their own number. `page` is the address of the page of a personal link, which can
    be opened for `link_hours`, `canvass_page` that of a canvass list to print (None: no page can be reached);
    `notifications` is, by messenger, the template of one-time notifications to which
    people may agree. `vote_page` is the public page of a vote, by its community's id and its number (None: nobody
    could open it), `board_page` the address of a path below the public page of the board (None likewise). `hook`:
    there is a web hook that telephones or texts for us.
    """

    vault: Vault
    policy: Mapping[str, Any] = field(default_factory=dict)
    messengers: frozenset[str] | None = None
    file: Callable[[str], bytes] | None = None
    keep: Callable[[bytes], Kept] | None = None
    keep_file: Callable[[bytes], Kept] | None = None
    link: Callable[[str], str] | None = None
    follow: bool = False
    scarce: frozenset[str] = frozenset()
    digest_at: str = ""
    no_contact: frozenset[str] = frozenset()
    page: Callable[[str], str] | None = None
    link_hours: float = 72
    canvass_page: Callable[[str], str] | None = None
    notifications: Mapping[str, str] = field(default_factory=dict)
    vote_page: Callable[[int, int], str] | None = None
    board_page: Callable[[str], str] | None = None
    hook: bool = False


@dataclass
class Mark:
    """What was chosen under a message, to be written below its words when the message changes next."""

    card: str
    place_id: int
    line: str
    used: bool = False


@dataclass
class Tx:
    """One transaction: its session, its instant, and the message that caused it, if one did."""

    session: Session
    now: datetime
    house: House
    said: Said | None = None
    place: Place | None = None
    person: Person | None = None
    talk: Talk | None = None
    """The talk that was open in the place when the message came."""
    account: Account | None = None
    """By which account of theirs the person speaks."""
    came_back: bool = False
    """Whether they had blocked us, or were not heard for a week."""
    inbox_id: int | None = None
    fresh: set[tuple[str, int]] = field(default_factory=set)
    """Cards that this transaction sent anew, by card and place: they show the present already."""
    changes: dict[tuple[str, int], int] = field(default_factory=dict)
    """The row that changes a card in a place: one transaction changes a message once."""
    mark: Mark | None = None
    known: dict[tuple[str, int], Any] = field(default_factory=dict)

    def once(self, what: str, key: int, find: Callable[[], T]) -> T:
        """What `find` finds, asked of the database once a transaction; for what no action changes."""
        if (what, key) not in self.known:
            self.known[what, key] = find()
        found: T = self.known[what, key]
        return found

    def community(self, community_id: int) -> Community:
        """The row of a community that exists."""
        return self.once("community", community_id, lambda: self.session.get_one(Community, community_id))

    def reader(self, community_id: int, language: str | None = None) -> Reader:
        """How somebody of the community reads; `language` None: the community's own."""
        community = self.community(community_id)
        return Reader(language or community.language, community.time_zone, self.now)

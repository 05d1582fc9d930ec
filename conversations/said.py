"""Said: one thing that came in, the same for all messengers."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

MOST_CHARACTERS = 4096
NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
HIDING = re.compile("[\ue000\ue001]")


def storable(text: str) -> str:
    """The text without what no database keeps: NUL and halves of surrogate pairs become the replacement mark."""
    return NOT_STORABLE.sub("\ufffd", text)


def plain(text: str) -> str:
    """Storable, and without the marks of hidden text (`store/vault.py`): what people write is never opened as such."""
    return HIDING.sub("\ufffd", storable(text))


Words = Annotated[str, AfterValidator(plain)]


class File(BaseModel):
    """A file that came with a message; `storage` is its key in the media storage.

    `problem` is empty, or why the bytes were not kept: not_a_photo, not_a_recording, too_large, not_fetched (from the
    messenger). What is no photo is kept sealed: a recording, and a file that staff sent in their group, whose `name` is
    the sender's. `heard`: what is said in the voice message is the text that it came with. `remote` is what its
    messenger calls a file that is not fetched, so that it can be shown again.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["photo", "voice", "video", "file"] = "photo"
    storage: str = ""
    mime: str = ""
    size: int = 0
    problem: str = ""
    name: Words = ""
    heard: bool = False
    remote: str = ""


class Contact(BaseModel):
    """A telephone number that was shared by the messenger's own button; `own`: it is the sender's."""

    model_config = ConfigDict(frozen=True)

    phone: Words
    own: bool


class Change(BaseModel):
    """Something that happened to a chat, without words: who came or went, or what became of the chat itself.

    left: `account` left the group. joined: `account` came into it. added, removed: the bot itself. blocked: the private
    chat takes no messages. moved: the group is now the chat `moved_to`. undelivered: the messenger took the message
    `message` and did not bring it, because of `reason`. consents: the holder agreed to so many more notifications of
    each template; None: to none any more. powerless: the group lets us not do what its rules ask for, because of
    `reason` (rights, old or basic), with the message or the member that the row `message` is about.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal[
        "left", "joined", "added", "removed", "blocked", "moved", "undelivered", "consents", "powerless"
    ]
    account: Words = ""
    moved_to: Words = ""
    message: Words = ""
    reason: Words = ""
    consents: dict[str, int | None] = {}


class Said(BaseModel):
    """One text, tap or set of files, as its messenger delivered it.

    `key` is unique on its messenger and the same at every repetition; `place` is the chat and `sender` the
    account, both as the messenger names them, `name` what the account calls itself, `language` what it reads;
    `tap` is the value of the button that was pressed and `on` the message under which it stood; `replies_to` is the
    message of the chat to which it is a reply; `thread` is the
    topic of a group; an `edited` text was sent before in other words; an `outsider` may not be in the group where
    they press a button. `also` are the keys of further messages that came with it, one for each file after the
    first: one album.

    Of what members show each other in a group: `number` is what the messenger calls the message and `parts` the further
    ones of an album; `beside` is what else can be read in it (links behind words, a poll, a card), `origin` from where
    it was passed on; it is `official` if the group itself or one of its administrators says it. It was `sent` at a time
    of its own: what waited while we were away comes all at once, and is no flood.
    """

    model_config = ConfigDict(frozen=True)

    messenger: str
    key: Words
    place: Words
    sender: Words
    at: datetime
    place_kind: Literal["private", "group"] = "private"
    text: Words = ""
    tap: Words = ""
    on: str = ""
    replies_to: str = ""
    name: Words = ""
    language: str = ""
    thread: str = ""
    forum: bool = False
    edited: bool = False
    outsider: bool = False
    also: tuple[str, ...] = ()
    number: str = ""
    parts: tuple[str, ...] = ()
    beside: tuple[Words, ...] = ()
    origin: Words = ""
    official: bool = False
    sent: datetime | None = None
    change: Change | None = None
    files: tuple[File, ...] = ()
    contact: Contact | None = None
    other: str = ""
    """What else it was: sticker, location."""
    opens: tuple[int, float] | None = None
    """Where pushes are scarce: how many messages it lets us write freely, and for how many seconds."""

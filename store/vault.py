"""The vault: what must not be read in a stolen database is sealed with the installation's key."""

import hashlib
import hmac
import os
import re
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlmodel import Session, col, select

from store.tables import Person

HIDDEN = "\ue000\ue001"
HIDDEN_TEXT = re.compile(f"{HIDDEN[0]}([^{HIDDEN[1]}]*){HIDDEN[1]}")


class WrongKey(Exception):
    """What was sealed was sealed with another key."""


class Vault:
    """Seals texts and bytes, and hashes them so that equal ones can be found without opening any.

    `key` is any secret text; sealing, opening and hashing use keys of their own that are derived from it.
    """

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(urlsafe_b64encode(_derived(key, b"seal")))
        self._hash_key = _derived(key, b"hash")
        self.mark = hashlib.sha256(_derived(key, b"mark")).hexdigest()[:8]
        """Tells sealed texts of this key from those of another."""

    def seal(self, text: str) -> str:
        """The sealed text, different each time; of nothing it is nothing."""
        return f"{self.mark}:{self._fernet.encrypt(text.encode()).decode()}" if text else ""

    def open(self, sealed: str) -> str:
        """What was sealed; WrongKey if another key did it."""
        if not sealed:
            return ""
        mark, _, token = sealed.partition(":")
        try:
            if mark == self.mark:
                return self._fernet.decrypt(token).decode()
        except InvalidToken:
            pass
        raise WrongKey

    def hide(self, text: str) -> str:
        """The text sealed within other words, so that it is read only on its way out."""
        return f"{HIDDEN[0]}{self.seal(text)}{HIDDEN[1]}"

    def reveal(self, words: str) -> str:
        """The words with what is hidden in them opened."""
        return HIDDEN_TEXT.sub(lambda found: self.open(found[1]), words)

    def seal_bytes(self, data: bytes) -> bytes:
        """The sealed bytes, a third longer."""
        return self._fernet.encrypt(data)

    def open_bytes(self, sealed: bytes) -> bytes:
        """What was sealed; WrongKey if another key did it."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise WrongKey from None

    def hash(self, text: str) -> str:
        """The same for the same text, and telling nothing to whoever has no key; of nothing it is nothing."""
        return hmac.new(self._hash_key, text.encode(), hashlib.sha256).hexdigest() if text else ""


def without_hidden(words: str) -> str:
    """The words without what is hidden in them."""
    return HIDDEN_TEXT.sub("***", words)


def _derived(key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"linli " + purpose).derive(key.encode())


def kept_key(file: Path) -> str:
    """The key that an installation made for itself because it was given none; made at the first call.

    It guards a copy of the database alone, not one of the whole folder.
    """
    try:
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as made:
            made.write(secrets.token_urlsafe(32))
            made.flush()
            os.fsync(made.fileno())
    except FileExistsError:
        pass
    return file.read_text().strip()


def check_key(session: Session, vault: Vault) -> None:
    """WrongKey if a telephone number was sealed with another key than this installation's."""
    other = select(Person.id).where(Person.phone != "", col(Person.phone).not_like(f"{vault.mark}:%"))
    if session.exec(other.limit(1)).first() is not None:
        raise WrongKey

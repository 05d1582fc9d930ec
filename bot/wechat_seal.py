"""WeChat's callbacks: what is signed and sealed comes out as flat fields, a reply goes in; nothing else passes.

WeChat signs the ciphertext (`msg_signature`) and not what stands beside it, so only what was decrypted counts.
"""

import binascii
import hashlib
import hmac
import re
import secrets
import struct
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict
from wechatpy.crypto import PrpCrypto

LARGEST = 64 * 1024
BLOCK = 16  # bytes, of AES
PADDED = 32  # bytes, to a multiple of which WeChat pads
KEY_CHARACTERS = 43
START = re.compile(r"\ufeff?\s*+(?:<\?xml[^<>]*+>\s*+)?<xml\s*+>")
"""How each document of WeChat begins; a DOCTYPE can only stand before the root. Possessive: blanks cost no time."""
ECHO = re.compile(r"[A-Za-z0-9]{1,128}")
OPENID = re.compile(r"[A-Za-z0-9_-]{1,64}")
WHEN = re.compile(r"[0-9]{1,11}")
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no room for, not even escaped."""
NEEDED = ("ToUserName", "FromUserName", "CreateTime", "MsgType")
NESTED = {
    "subscribe_msg_popup_event": "SubscribeMsgPopupEvent",
    "subscribe_msg_change_event": "SubscribeMsgChangeEvent",
    "subscribe_msg_sent_event": "SubscribeMsgSentEvent",
}
"""The only events with something nested: a List, one or several times."""


class BadCallback(Exception):
    """What came is not WeChat's, or not whole: `status` is the answer (4xx), `reason` a few words for the log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _Crypto(PrpCrypto):  # type: ignore[misc]
    """wechatpy's cipher; it opens nothing that is not whole, and its salt cannot be guessed."""

    def get_random_string(self) -> str:
        return secrets.token_hex(8)

    def opened(self, sealed: str) -> tuple[bytes, bytes]:
        """The message and the id of the app for which it was sealed; ValueError if it is not whole."""
        data = b64decode(sealed.encode("ascii"), validate=True)
        if not data or len(data) % BLOCK:
            raise ValueError("not whole blocks")
        plain: bytes = self.cipher.decrypt(data)
        padding = plain[-1]
        if not 1 <= padding <= min(PADDED, len(plain)) or plain[-padding:] != bytes([padding]) * padding:
            raise ValueError("not padded")
        content = plain[16:-padding]  # after the salt
        if len(content) < 4:
            raise ValueError("no length")
        (length,) = struct.unpack("!I", content[:4])
        if length > len(content) - 4:
            raise ValueError("shorter than its length")
        return content[4 : 4 + length], content[4 + length :]


class Seal:
    """Opens and seals for one service account; `aes_key` is its EncodingAESKey, 43 characters (else ValueError)."""

    def __init__(self, token: str, aes_key: str, app_id: str) -> None:
        try:
            key = b64decode(f"{aes_key}=", validate=True)
        except ValueError:
            key = b""
        if len(aes_key) != KEY_CHARACTERS or len(key) != 32:
            raise ValueError("an EncodingAESKey has 43 letters and digits")
        self._token = token
        self._app_id = app_id
        self._crypto = _Crypto(key)

    def echo(self, query: Mapping[str, str]) -> str:
        """What the URL check wants to hear (its `echostr`); BadCallback if WeChat did not ask, or for markup."""
        signed = self.signature(query.get("timestamp", ""), query.get("nonce", ""))
        if not _same(signed, query.get("signature", "")):
            raise BadCallback(403, "signature")
        echo = query.get("echostr", "")
        if not ECHO.fullmatch(echo):
            raise BadCallback(400, "echostr")
        return echo

    def open(self, query: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """The fields of one message in safe mode, each a text ("" for an empty one); BadCallback (4xx) for all else.

        Of the subscribe_msg_… events the nested entries are a list of such fields, under "List".
        """
        if len(body) > LARGEST:
            raise BadCallback(413, "too large")
        if query.get("encrypt_type") != "aes":
            raise BadCallback(400, "not in safe mode")
        sealed = _parsed(body).get("Encrypt")
        if not isinstance(sealed, str) or not sealed:
            raise BadCallback(400, "nothing encrypted")
        signed = self.signature(query.get("timestamp", ""), query.get("nonce", ""), sealed)
        if not _same(signed, query.get("msg_signature", "")):
            raise BadCallback(403, "signature")
        try:
            message, app_id = self._crypto.opened(sealed)
        except ValueError as error:  # also broken base64, and what is not ASCII
            raise BadCallback(400, _named(error)) from None
        if not hmac.compare_digest(app_id, self._app_id.encode()):
            raise BadCallback(403, "another app id")
        return _fields(_parsed(message))

    def reply(self, text: str, *, to: str, from_: str, at: int) -> bytes:
        """One passive text reply, sealed; `at` is in Unix seconds, and WeChat takes 2,048 bytes of text.

        What is within the seal is the same for the same arguments; characters that XML forbids are left out.
        """
        inner = (
            f"<xml><ToUserName>{_cdata(to)}</ToUserName><FromUserName>{_cdata(from_)}</FromUserName>"
            f"<CreateTime>{at}</CreateTime><MsgType>{_cdata('text')}</MsgType>"
            f"<Content>{_cdata(text)}</Content></xml>"
        )
        sealed = self._crypto.encrypt(inner, self._app_id).decode()
        nonce = secrets.token_hex(8)
        signature = self.signature(str(at), nonce, sealed)
        return (
            f"<xml><Encrypt>{_cdata(sealed)}</Encrypt><MsgSignature>{_cdata(signature)}</MsgSignature>"
            f"<TimeStamp>{at}</TimeStamp><Nonce>{_cdata(nonce)}</Nonce></xml>"
        ).encode()

    def signature(self, *parts: str) -> str:
        """WeChat's signature of the token and these, in whatever order."""
        words = sorted(part.encode("utf-8", "replace") for part in (self._token, *parts))
        return hashlib.sha1(b"".join(words)).hexdigest()  # noqa: S324  as WeChat signs


def _same(signed: str, signature: str) -> bool:
    return hmac.compare_digest(signed.encode(), signature.encode("utf-8", "replace"))


def _cdata(text: str) -> str:
    return f"<![CDATA[{FORBIDDEN.sub('', text).replace(']]>', ']]]]><![CDATA[>')}]]>"


def _named(error: Exception) -> str:
    """Why something could not be read, without its words: the library's may repeat what came."""
    return "base64" if isinstance(error, (binascii.Error, UnicodeError)) else str(error)


def _parsed(document: bytes) -> dict[str, Any]:
    """What stands in the root of one document; BadCallback(400) if it is none, or not as WeChat writes them."""
    try:
        text = document.decode()
    except UnicodeDecodeError:
        raise BadCallback(400, "not UTF-8") from None
    if not START.match(text):
        raise BadCallback(400, "no <xml>, or something before it")
    try:
        root = xmltodict.parse(text.removeprefix("\ufeff"))["xml"]
    except (ExpatError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        raise BadCallback(400, "malformed XML") from None
    if not isinstance(root, dict):
        raise BadCallback(400, "no fields")
    return root


def _fields(root: dict[str, Any]) -> dict[str, Any]:
    event = root.get("Event")
    nested = NESTED.get(event) if isinstance(event, str) else None
    fields: dict[str, Any] = {}
    for name, value in root.items():
        if name[0] in "@#":  # an attribute, or words beside the fields
            raise BadCallback(400, "more than fields")
        if nested is not None and name in (nested, "List"):
            fields["List"] = _entries(value)
        else:
            fields[name] = _text(value)
    if not all(fields.get(name) for name in NEEDED):
        raise BadCallback(400, "a field is missing")
    if not OPENID.fullmatch(fields["FromUserName"]) or not WHEN.fullmatch(fields["CreateTime"]):
        raise BadCallback(400, "not an openid or not a time")
    return fields


def _entries(value: Any) -> list[dict[str, str]]:
    """The entries of a subscribe_msg_… event, of which xmltodict makes a dict or a list."""
    entries = value.get("List") if isinstance(value, dict) else value
    if entries is None:
        return []
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadCallback(400, "not a list of entries")
    return [{name: _text(each) for name, each in entry.items()} for entry in entries]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadCallback(400, "repeated or nested where one value is expected")
    return value

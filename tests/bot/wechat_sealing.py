"""WeChat's side of the seal, written on `cryptography` alone: what WeChat's servers would send us, and read of ours."""

import hashlib
import os
import struct
from base64 import b64decode, b64encode
from xml.etree import ElementTree

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TOKEN = "tokenOfTests"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APP_ID = "wx0123456789abcdef"
OPENID = "oOwner-1_abcdefghijklmnopqrs"
ACCOUNT = "gh_123456789abc"


def signature(*parts: str) -> str:
    """WeChat's signature of the token and these."""
    return hashlib.sha1("".join(sorted((TOKEN, *parts))).encode()).hexdigest()


def _cipher(key: str) -> Cipher[modes.CBC]:
    raw = b64decode(key + "=")
    return Cipher(algorithms.AES(raw), modes.CBC(raw[:16]))


def encrypted(plain: bytes, key: str = AES_KEY) -> str:
    """Whole blocks, as they are, in base64."""
    encryptor = _cipher(key).encryptor()
    return b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def padded(content: bytes) -> bytes:
    count = 32 - len(content) % 32
    return content + bytes([count]) * count


def sealed(message: str | bytes, app_id: str = APP_ID, key: str = AES_KEY) -> str:
    """One message as WeChat encrypts it."""
    data = message.encode() if isinstance(message, str) else message
    return encrypted(padded(os.urandom(16) + struct.pack("!I", len(data)) + data + app_id.encode()), key)


def request(encrypt: str, beside: str = "") -> tuple[dict[str, str], bytes]:
    """The query and the body of one signed callback."""
    query = {
        "timestamp": "1764300000",
        "nonce": "1320562132",
        "encrypt_type": "aes",
        "msg_signature": signature("1764300000", "1320562132", encrypt),
        "signature": signature("1764300000", "1320562132"),
        "openid": OPENID,
    }
    body = f"<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>{beside}<Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
    return query, body.encode()


def message(inner: str = "", kind: str = "text", sender: str = OPENID) -> str:
    """The XML of one message with whatever stands in it."""
    return (
        f"<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>"
        f"<FromUserName><![CDATA[{sender}]]></FromUserName>\n"
        f"<CreateTime>1764300000</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>{inner}</xml>"
    )


def opened(reply: bytes) -> str:
    """The XML within a sealed reply, read and checked as WeChat does."""
    outer = {each.tag: each.text or "" for each in ElementTree.fromstring(reply)}
    encrypt = outer["Encrypt"]
    assert outer["MsgSignature"] == signature(outer["TimeStamp"], outer["Nonce"], encrypt)
    decryptor = _cipher(AES_KEY).decryptor()
    plain = decryptor.update(b64decode(encrypt)) + decryptor.finalize()
    content = plain[16 : -plain[-1]]
    (length,) = struct.unpack("!I", content[:4])
    assert content[4 + length :].decode() == APP_ID
    return content[4 : 4 + length].decode()

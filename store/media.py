"""The files that people send: photos checked and freed of their hidden data, others sealed; named by their hash.

A recording (a voice message or a video) keeps its hidden data, a place for example, and a voice: it is sealed.
"""

import hashlib
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image, ImageOps

from store.database import StoreUnavailable
from store.vault import Vault

MOST_BYTES = 20 * 1024 * 1024
MOST_PIXELS = 60_000_000
MOST_PIXELS_PLAIN = 25_000_000
EDGE = 2048
MOST_AS_PNG = 5_000_000  # bytes; messengers take photos of 10 MB
Problem = Literal["", "not_a_photo", "not_a_recording", "too_large"]
RECORDED = ("audio/", "video/")
"""What the types of recordings begin with."""
SEALED = (*RECORDED, "application/")
"""What the types of all that is sealed begin with: of all but photos."""
SOUND = "voice"
ENDINGS = {
    "audio/amr": ".amr", "audio/ogg": ".ogg", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/webm": ".webm",
    "audio/wav": ".wav", "audio/flac": ".flac", "audio/aac": ".aac", "audio/3gpp": ".3gp", "audio/x-matroska": ".mka",
    "video/mp4": ".mp4", "video/quicktime": ".mov", "video/webm": ".webm", "video/3gpp": ".3gp", "video/ogg": ".ogv",
    "video/x-matroska": ".mkv", "video/x-msvideo": ".avi",
}  # fmt: skip
"""The types of recordings that are kept, and how the names of their files end."""
FORMS = (
    (b"#!AMR", b"", "audio/amr", "audio/amr"),
    (b"OggS", b"", "audio/ogg", "video/ogg"),
    (b"\x1aE\xdf\xa3", b"webm", "audio/webm", "video/webm"),
    (b"\x1aE\xdf\xa3", b"", "audio/x-matroska", "video/x-matroska"),
    (b"RIFF", b"WAVE", "audio/wav", "audio/wav"),
    (b"RIFF", b"AVI ", "video/x-msvideo", "video/x-msvideo"),
    (b"fLaC", b"", "audio/flac", "audio/flac"),
    (b"ID3", b"", "audio/mpeg", "audio/mpeg"),
    *(
        (bytes([0xFF, second]), b"", "audio/mpeg", "audio/mpeg")
        for second in (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)
    ),
    *((bytes([0xFF, second]), b"", "audio/aac", "audio/aac") for second in (0xF1, 0xF9)),
)
"""How recordings begin, what stands soon after, and their types if they are heard, and if they are watched."""
BOXES = (b"ftyp", b"moov", b"mdat", b"wide")
PHOTOS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
"""Brands of photos in the form of MP4."""


@dataclass(frozen=True)
class Kept:
    """A file in the storage, or the reason why there is none; `storage` is the SHA-256 of the bytes."""

    storage: str = ""
    mime: str = ""
    size: int = 0
    problem: Problem = ""


class MediaStorage:
    """A folder of files named by their hash; the same photo twice is one file."""

    def __init__(self, folder: Path, vault: Vault) -> None:
        self.folder = folder
        self.vault = vault
        self.lock = threading.Lock()  # a file that is kept again must not be dropped at that moment

    def keep_photo(self, data: bytes) -> Kept:
        """Check, turn upright, shrink to 2,048 pixels and store a photo; EXIF (place, time, camera) is dropped.

        StoreUnavailable when it cannot be written.
        Costs up to a second of processor time for a large photo: never call it from a writer thread.
        """
        if len(data) > MOST_BYTES:
            return Kept(problem="too_large")
        try:
            clean, mime = _clean(data)
        except (_TooLarge, Image.DecompressionBombError):
            return Kept(problem="too_large")
        except Exception:  # Pillow's readers raise anything on hostile bytes
            return Kept(problem="not_a_photo")
        key = hashlib.sha256(clean).hexdigest()
        try:
            self._write(key, clean)
        except OSError as error:
            raise StoreUnavailable(str(error)) from error
        return Kept(storage=key, mime=mime, size=len(clean))

    def keep_picture(self, data: bytes) -> Kept:
        """Store a PNG that was drawn here; StoreUnavailable when it cannot be written."""
        key = hashlib.sha256(data).hexdigest()
        try:
            self._write(key, data)
        except OSError as error:
            raise StoreUnavailable(str(error)) from error
        return Kept(storage=key, mime="image/png", size=len(data))

    def keep_file(self, data: bytes) -> Kept:
        """Seal and store a file that is no photo, such as a roster; StoreUnavailable when it cannot be written."""
        if len(data) > MOST_BYTES:
            return Kept(problem="too_large")
        key = hashlib.sha256(data).hexdigest()
        try:
            self._write(key, self.vault.seal_bytes(data))
        except OSError as error:
            raise StoreUnavailable(str(error)) from error
        return Kept(storage=key, mime="application/octet-stream", size=len(data))

    def keep_recording(self, data: bytes, kind: str) -> Kept:
        """Seal and store a voice message or a video; what it is, its bytes tell, and `kind` where a form has both.

        StoreUnavailable when it cannot be written.
        """
        if len(data) > MOST_BYTES:
            return Kept(problem="too_large")
        mime = recording_type(data, kind)
        if not mime:
            return Kept(problem="not_a_recording")
        kept = self.keep_file(data)
        return Kept(kept.storage, mime, kept.size, kept.problem)

    def read_file(self, key: str) -> bytes:
        """The bytes that `keep_file` was given; FileNotFoundError if they are gone, WrongKey if the key changed."""
        return self.vault.open_bytes(self.read(key))

    def read_as(self, mime: str, key: str) -> bytes:
        """The bytes of a file of this type, whether it is sealed or not; raises as `read` and `read_file`."""
        return self.read_file(key) if mime.startswith(SEALED) else self.read(key)

    def read(self, key: str) -> bytes:
        """The bytes of a key that was returned before; FileNotFoundError for any other."""
        if len(key) != 64 or not key.isalnum():
            raise FileNotFoundError(key)
        return self._path(key).read_bytes()

    def older_than(self, limit: datetime) -> Iterator[str]:
        """The names of the files that were kept last before `limit`, and of drafts that a killed process left."""
        for folder in self.folder.iterdir() if self.folder.exists() else ():
            with os.scandir(folder) as files:
                yield from (each.name for each in files if each.stat().st_mtime < limit.timestamp())

    def drop(self, name: str, limit: datetime) -> bool:
        """Delete a file of `older_than`; False if it was kept again meanwhile, or is gone."""
        path = self._path(name)
        with self.lock:
            try:
                if path.stat().st_mtime >= limit.timestamp():
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self.lock:
            if path.exists():
                os.utime(path)  # as young as the message that will name it
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.{id(data)}")
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # the row that names it must never outlive it
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def recording_type(data: bytes, kind: str) -> str:
    """The type of a voice message or a video by its first bytes; "" if it is neither.

    The same form may hold sound or pictures: `kind` ("voice" or "video") is what its sender's program calls it.
    """
    sound = kind == "voice"
    if data[4:8] in BOXES:
        return _mp4(data[:12], sound)
    for start, inside, of_sound, of_pictures in FORMS:
        if data.startswith(start) and inside in data[:64]:
            return of_sound if sound else of_pictures
    return ""


def _mp4(start: bytes, sound: bool) -> str:
    """What the brand in its first box says; a film without one is an old QuickTime."""
    brand = start[8:12] if start[4:8] == b"ftyp" else b"qt  "
    if brand in PHOTOS:
        return ""
    if brand.startswith((b"3gp", b"3g2")):
        return "audio/3gpp" if sound else "video/3gpp"
    if sound or brand in (b"M4A ", b"M4B "):
        return "audio/mp4"
    return "video/quicktime" if brand == b"qt  " else "video/mp4"


class _TooLarge(Exception):
    """More pixels than we are willing to unpack."""


def _clean(data: bytes) -> tuple[bytes, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # broken EXIF and the like: the pixels decide
        with Image.open(BytesIO(data), formats=["JPEG", "PNG", "WEBP", "GIF", "BMP", "MPO"]) as image:
            jpeg = image.format in ("JPEG", "MPO")  # which can be unpacked at a smaller size
            if image.width * image.height > (MOST_PIXELS if jpeg else MOST_PIXELS_PLAIN):
                raise _TooLarge
            image.draft("RGB", (2 * EDGE, 2 * EDGE))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((EDGE, EDGE))
            see_through = upright.mode in {"RGBA", "LA", "P"}
            clean = upright.convert("RGBA" if see_through else "RGB")
            clean.info.clear()  # a comment, for example, would be saved again
            out = BytesIO()
            if see_through:
                clean.save(out, "PNG")
                if out.tell() <= MOST_AS_PNG:
                    return out.getvalue(), "image/png"
                out = BytesIO()
            clean.convert("RGB").save(out, "JPEG", quality=85)
            return out.getvalue(), "image/jpeg"

"""The files that people send: photos checked and freed of their hidden data, others sealed; named by their hash."""

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
Problem = Literal["", "not_a_photo", "too_large"]


@dataclass(frozen=True)
class Kept:
    """A photo in the storage, or the reason why there is none; `storage` is the SHA-256 of the kept bytes."""

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

    def read_file(self, key: str) -> bytes:
        """The bytes that `keep_file` was given; FileNotFoundError if they are gone, WrongKey if the key changed."""
        return self.vault.open_bytes(self.read(key))

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

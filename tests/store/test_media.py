"""Photos are kept clean: nothing hidden, upright, of a bearable size, and never anything else than a photo."""

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from store.media import EDGE, ENDINGS, MOST_BYTES, Kept, MediaStorage, recording_type
from store.vault import Vault

GPS = 0x8825
ORIENTATION = 0x0112
CAMERA = 0x010F


@pytest.fixture
def storage(tmp_path: Path) -> MediaStorage:
    return MediaStorage(tmp_path / "media", Vault("key"))


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def plain(width: int = 40, height: int = 30, mode: str = "RGB", color: Any = "orange") -> Image.Image:
    return Image.new(mode, (width, height), color)


def told() -> Image.Exif:
    """EXIF that tells the camera, the place and that the picture lies on its side."""
    exif = Image.Exif()
    exif[CAMERA] = "Secret Camera"
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (31.0, 13.0, 49.0)
    return exif


def kept(storage: MediaStorage, data: bytes) -> Image.Image:
    """The photo as it is kept."""
    result = storage.keep_photo(data)
    assert result.problem == ""
    return Image.open(BytesIO(storage.read(result.storage)))


def files_in(storage: MediaStorage) -> list[Path]:
    return [path for path in storage.folder.rglob("*") if path.is_file()]


# --- recordings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "heard", "watched"),
    [
        (b"OggS\0\2", "audio/ogg", "video/ogg"),
        (b"#!AMR\n", "audio/amr", "audio/amr"),
        (b"#!AMR-WB\n", "audio/amr", "audio/amr"),
        (b"ID3\4", "audio/mpeg", "audio/mpeg"),
        (b"\xff\xfb\x90\x44", "audio/mpeg", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac", "audio/aac"),
        (b"fLaC\0", "audio/flac", "audio/flac"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav", "audio/wav"),
        (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo", "video/x-msvideo"),
        (b"\0\0\0\x20ftypM4A \0\0", "audio/mp4", "audio/mp4"),
        (b"\0\0\0\x18ftypmp42\0\0", "audio/mp4", "video/mp4"),
        (b"\0\0\0\x20ftypisom\0\0", "audio/mp4", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0", "audio/mp4", "video/quicktime"),
        (b"\0\0\0\x08wide\0\0\1\0mdat", "audio/mp4", "video/quicktime"),
        (b"\0\0\0\x14ftyp3gp5\0\0", "audio/3gpp", "video/3gpp"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "audio/webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "audio/x-matroska", "video/x-matroska"),
        (b"\0\0\0\x18ftypheic\0\0", "", ""),
        (b"Hello, I am a text.", "", ""),
        (b"<html><script>", "", ""),
        (b"\x89PNG\r\n\x1a\n", "", ""),
        (b"\xff\xd8\xff\xe0", "", ""),
        (b"PK\3\4", "", ""),
        (b"\xff", "", ""),
        (b"", "", ""),
    ],
)
def test_what_a_recording_is_its_bytes_tell(start: bytes, heard: str, watched: str) -> None:
    assert recording_type(start, "voice") == heard
    assert recording_type(start, "video") == watched
    assert {heard, watched} <= {"", *ENDINGS}


def test_a_recording_is_sealed(storage: MediaStorage) -> None:
    data = b"OggS\0\2 a voice and where it was" * 100
    result = storage.keep_recording(data, "voice")
    assert (result.mime, result.size, result.problem) == ("audio/ogg", len(data), "")
    (file,) = files_in(storage)
    assert b"a voice" not in file.read_bytes()
    assert storage.read_as(result.mime, result.storage) == data
    photo = storage.keep_photo(encoded(plain()))
    assert storage.read_as(photo.mime, photo.storage) == storage.read(photo.storage)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a text that is called a.mp4", "not_a_recording"),
        (b"", "not_a_recording"),
        (b"OggS".ljust(MOST_BYTES + 1, b"\0"), "too_large"),
    ],
    ids=["text", "nothing", "21 MB"],
)
def test_what_is_no_recording_is_not_kept(storage: MediaStorage, data: bytes, problem: str) -> None:
    assert storage.keep_recording(data, "video") == Kept(problem=problem)  # type: ignore[arg-type]
    assert files_in(storage) == []


# --- nothing hidden ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {"exif": told()}),
        ("JPEG", {"exif": told(), "comment": b"Secret note"}),
        ("JPEG", {"exif": told(), "xmp": b"<x:xmpmeta>Secret</x:xmpmeta>"}),
        ("PNG", {"exif": told()}),
        ("WEBP", {"exif": told()}),
        ("MPO", {"exif": told()}),
    ],
)
def test_exif_and_place_are_gone(storage: MediaStorage, form: str, options: dict[str, Any]) -> None:
    data = encoded(plain(), form, **options)
    assert b"Secret" in data
    photo = kept(storage, data)
    assert dict(photo.getexif()) == {}
    assert dict(photo.getexif().get_ifd(GPS)) == {}
    assert b"Secret" not in b"".join(path.read_bytes() for path in files_in(storage))


def test_the_texts_of_a_png_are_gone(storage: MediaStorage) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Author", "Secret author")
    photo = kept(storage, encoded(plain(mode="RGBA"), "PNG", pnginfo=info))
    assert isinstance(photo, Image.Image)
    assert b"Secret" not in files_in(storage)[0].read_bytes()


def test_what_follows_the_picture_is_gone(storage: MediaStorage) -> None:
    kept(storage, encoded(plain()) + b"PK\x03\x04 Secret archive")
    assert b"Secret" not in files_in(storage)[0].read_bytes()


def test_a_photo_on_its_side_is_turned_upright(storage: MediaStorage) -> None:
    image = plain(40, 20, color="blue")
    image.paste("red", (0, 0, 20, 20))  # left half red; turned clockwise the upper half is
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    photo = kept(storage, encoded(image, exif=exif, quality=95)).convert("RGB")
    assert photo.size == (20, 40)
    red, _, blue = photo.getpixel((10, 5))
    assert red > 200 > 100 > blue
    red, _, blue = photo.getpixel((10, 35))
    assert blue > 200 > 100 > red


# --- what is a photo --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_photo_of_every_usual_kind_is_kept(storage: MediaStorage, form: str) -> None:
    result = storage.keep_photo(encoded(plain(), form))
    data = storage.read(result.storage)
    mime = {"GIF": "image/png"}.get(form, "image/jpeg")
    assert result == Kept(storage=result.storage, mime=mime, size=len(data))
    assert Image.open(BytesIO(data)).get_format_mimetype() == mime


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_a_photo_of_every_colour_model_is_kept(storage: MediaStorage, mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    assert kept(storage, encoded(Image.new(mode, (40, 30)), form)).size == (40, 30)


def test_a_transparent_png_stays_transparent(storage: MediaStorage) -> None:
    photo = kept(storage, encoded(plain(mode="RGBA", color=(10, 20, 30, 40)), "PNG"))
    assert (photo.mode, photo.getpixel((0, 0))) == ("RGBA", (10, 20, 30, 40))


def test_a_ten_megabyte_photo_is_kept_smaller(storage: MediaStorage) -> None:
    width, height = 2200, 1600
    noise = Image.frombytes("RGB", (width, height), os.urandom(width * height * 3))
    data = encoded(noise, "PNG", compress_level=0)
    assert len(data) > 10 * 1024 * 1024
    assert kept(storage, data).size == (EDGE, round(height * EDGE / width))


@pytest.mark.parametrize(("size", "expected"), [((40, 30), (40, 30)), ((EDGE * 2, 10), (EDGE, 5))])
def test_a_photo_is_shrunk_and_never_blown_up(
    storage: MediaStorage, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert kept(storage, encoded(plain(*size))).size == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        "厨房水龙头滴水.jpg".encode(),
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8\xff" + b"text " * 100,
        b"%PDF-1.4 \n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a",
        b"\x00" * 1000,
        encoded(plain(), "TIFF"),
        encoded(plain(400, 300))[:200],
    ],
)
def test_what_is_no_photo_is_said_to_be_none(storage: MediaStorage, data: bytes) -> None:
    assert storage.keep_photo(data) == Kept(problem="not_a_photo")
    assert not storage.folder.exists()


@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_photo_cut_off_on_its_way_is_no_photo(storage: MediaStorage, part: float) -> None:
    data = encoded(Image.effect_noise((400, 300), 90).convert("RGB"))
    assert storage.keep_photo(data[: int(len(data) * part)]) == Kept(problem="not_a_photo")


def test_too_many_bytes_are_too_large(storage: MediaStorage) -> None:
    photo = encoded(plain())
    assert storage.keep_photo(photo + b"\0" * (MOST_BYTES - len(photo))).problem == ""
    assert storage.keep_photo(photo + b"\0" * (MOST_BYTES + 1 - len(photo))) == Kept(problem="too_large")


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be enormous."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("edge", [7_750, 10_000, 20_000, 60_000])
def test_a_bomb_of_pixels_is_too_large_and_not_unpacked(storage: MediaStorage, edge: int) -> None:
    assert storage.keep_photo(bomb(edge, edge)) == Kept(problem="too_large")


# --- the storage ------------------------------------------------------------------------------------


def test_the_same_photo_twice_is_one_file(storage: MediaStorage) -> None:
    first, second = storage.keep_photo(encoded(plain())), storage.keep_photo(encoded(plain()))
    assert first == second
    assert len(files_in(storage)) == 1


def test_photos_that_differ_only_in_what_is_hidden_are_one_file(storage: MediaStorage) -> None:
    exif = Image.Exif()
    exif[CAMERA] = "another"
    assert storage.keep_photo(encoded(plain())) == storage.keep_photo(encoded(plain(), exif=exif))


def test_no_draft_is_left(storage: MediaStorage) -> None:
    result = storage.keep_photo(encoded(plain()))
    assert files_in(storage) == [storage.folder / result.storage[:2] / result.storage]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a" * 63,
        "a" * 65,
        "a" * 64,
        "../" * 21 + "x",
        "/" + "a" * 63,
        "a" * 31 + "/.." + "a" * 30,
        "a" * 63 + "\0",
        "a" * 63 + "\n",
        "." * 64,
        "中" * 64,
        "𠀀" * 64,
    ],
)
def test_a_key_that_was_never_given_finds_nothing(storage: MediaStorage, key: str) -> None:
    storage.keep_photo(encoded(plain()))
    with pytest.raises(FileNotFoundError):
        storage.read(key)


def test_a_key_is_not_a_path_out_of_the_storage(storage: MediaStorage) -> None:
    storage.keep_photo(encoded(plain()))
    (storage.folder.parent / "secret").write_text("x")
    with pytest.raises(FileNotFoundError):
        storage.read("../secret".ljust(64, "/"))

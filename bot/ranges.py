"""Sound and pictures as browsers ask for them: in parts, or some of them (Safari above all) play nothing."""

import re

from starlette.requests import Request
from starlette.responses import Response

PLAYED = (
    "audio/ogg", "audio/mpeg", "audio/mp4", "audio/webm", "audio/wav", "audio/aac", "audio/flac", "audio/amr",
    "audio/3gpp", "video/mp4", "video/quicktime", "video/webm", "video/ogg", "video/3gpp",
)  # fmt: skip
"""The types of recordings that a page may play; what a browser cannot, it says itself."""
RANGE = re.compile(r"bytes=(\d{0,12})-(\d{0,12})", re.ASCII)


def in_parts(request: Request, data: bytes, mime: str) -> Response:
    """The part of a recording that was asked for, or all of it."""
    asked = RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    headers = {"Accept-Ranges": "bytes"}
    if asked is None or not (asked[1] or asked[2]):
        return Response(data, media_type=mime, headers=headers)
    size = len(data)
    first = int(asked[1]) if asked[1] else max(size - int(asked[2]), 0)
    last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(data[first : last + 1], 206, media_type=mime, headers=headers)

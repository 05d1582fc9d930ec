"""Texts as Telegram reads them: HTML, MarkdownV2 and Markdown become a text and its entities."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.bot_api_facts import wrong

Entity = dict[str, Any]

TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
    "span": "spoiler", "a": "text_link", "code": "code", "pre": "pre", "blockquote": "blockquote",
    "tg-emoji": "custom_emoji", "tg-time": "date_time",
}  # fmt: skip
RESERVED = set("_*[]()~`>#+-=|{}.!")
COMMAND = r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z]\w{2,31})?(?![\w/<>@])"
FOUND = {
    "url": r"(?:https?://)[^\s<>\"，。！？、；：）（]+[^\s<>\".,!?;:，。！？、；：）（)]",
    "email": r"(?<![\w.@])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    "bot_command": COMMAND,
    "mention": r"(?<!\w)@[A-Za-z]\w{3,31}(?!\w)",
    "hashtag": r"(?<!\w)#\w*[^\W\d]\w*",
}


def units(text: str) -> int:
    """The length in UTF-16 code units, in which entities are counted."""
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, offset: int, length: int) -> str:
    """The part of a text that an entity covers."""
    return text.encode("utf-16-le")[2 * offset : 2 * (offset + length)].decode("utf-16-le")


def read(
    text: str, mode: str = "", entities: list[Entity] | None = None, users: Mapping[int, Entity] | None = None
) -> tuple[str, list[Entity]]:
    """What a text with markup says, and its entities: those of the markup and those that Telegram finds."""
    if mode and mode.lower() not in PARSERS:
        raise wrong("unsupported parse_mode")
    if mode:
        text, entities = PARSERS[mode.lower()](text)
    else:
        entities = [dict(entity) for entity in entities or []]
        if any(e["offset"] < 0 or e["offset"] + e["length"] > units(text) for e in entities):
            raise wrong("can't parse entities: an entity is beyond the text")
    text, entities = _trimmed(_cleaned(text), _with_users(entities, users or {}))
    taken = [(e["offset"], e["offset"] + e["length"]) for e in entities if e["type"] not in STYLES]
    for found in find(text):
        start, end = found["offset"], found["offset"] + found["length"]
        if not any(start < until and since < end for since, until in taken):
            entities.append(found)
            taken.append((start, end))
    return text, sorted(entities, key=lambda e: (e["offset"], -e["length"]))


STYLES = {"bold", "italic", "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote"}


def find(text: str) -> Iterator[Entity]:
    """The entities that Telegram finds in a plain text: commands, mentions, addresses."""
    for kind, pattern in FOUND.items():
        for match in re.finditer(pattern, text):
            yield {"type": kind, "offset": units(text[: match.start()]), "length": units(match.group())}


def _cleaned(text: str) -> str:
    return re.sub(r"[\x00-\x09\x0b-\x1f]", " ", text.replace("\r\n", "\n").replace("\r", ""))


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Telegram drops white space around a text."""
    front = len(text) - len(text.lstrip())
    text = text.strip()
    end = units(text)
    kept = []
    for entity in entities:
        since = min(max(entity["offset"] - front, 0), end)
        until = min(max(entity["offset"] + entity["length"] - front, 0), end)
        if since < until:
            kept.append({**entity, "offset": since, "length": until - since})
    return text, kept


def _with_users(entities: list[Entity], users: Mapping[int, Entity]) -> list[Entity]:
    """Links to a person become mentions with the person; of unknown people nothing stays."""
    result = []
    for entity in entities:
        match = re.fullmatch(r"tg://user\?id=(\d+)", entity.get("url", ""))
        if not match:
            result.append(entity)
        elif user := users.get(int(match[1])):
            result.append(
                {"type": "text_mention", "offset": entity["offset"], "length": entity["length"], "user": user}
            )
    return result


class Parsed:
    """A text under construction, with the entities that are open."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.parts: list[str] = []
        self.length = 0
        self.entities: list[Entity] = []
        self.open: list[Entity] = []

    def add(self, text: str) -> None:
        self.parts.append(text)
        self.length += units(text)

    def begin(self, kind: str, at: int, **more: Any) -> None:
        self.open.append({"type": kind, "offset": self.length, "at": at, **more})

    def end(self) -> None:
        entity = self.open.pop()
        for private in ("at", "tag", "until"):
            entity.pop(private, None)
        entity["length"] = self.length - entity["offset"]
        if entity["type"] == "text_link" and not entity.get("url"):
            entity["url"] = cut("".join(self.parts), entity["offset"], entity["length"])
        if entity["length"]:
            self.entities.append(entity)

    def text(self) -> tuple[str, list[Entity]]:
        return "".join(self.parts), self.entities

    def byte(self, at: int) -> int:
        return len(self.source[:at].encode())


def _html(source: str) -> tuple[str, list[Entity]]:
    out = Parsed(source)
    at = 0
    while at < len(source):
        if source[at] == "&":
            match = re.compile(r"&(#\d+|#x[0-9a-fA-F]+|lt|gt|amp|quot);").match(source, at)
            out.add(html.unescape(match.group()) if match else "&")
            at = match.end() if match else at + 1
        elif source[at] != "<":
            out.add(source[at])
            at += 1
        else:
            close = source.find(">", at)
            if close < 0:
                raise wrong(f"can't parse entities: Unclosed start tag at byte offset {out.byte(at)}")
            _tag(out, source[at + 1 : close], at)
            at = close + 1
    if out.open:
        raise wrong(
            f"can't parse entities: Can't find end tag corresponding to start tag \"{out.open[-1]['tag']}\""
        )
    return out.text()


def _tag(out: Parsed, inside: str, at: int) -> None:
    if inside.startswith("/"):
        name = inside[1:].strip().lower()
        if not out.open:
            raise wrong(f"can't parse entities: Unexpected end tag at byte offset {out.byte(at)}")
        if name and name != out.open[-1]["tag"]:
            raise wrong(
                f"can't parse entities: Unmatched end tag at byte offset {out.byte(at)}, expected "
                f'"</{out.open[-1]["tag"]}>", found "</{name}>"'
            )
        out.end()
        _merge_pre(out)
        return
    name, _, rest = inside.partition(" ")
    name = name.strip().lower()
    if name not in TAGS:
        raise wrong(f'can\'t parse entities: Unsupported start tag "{name}" at byte offset {out.byte(at)}')
    attributes = {
        key.lower(): html.unescape(quoted or single or bare)
        for key, quoted, single, bare in re.findall(
            r"([\w-]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+)))?", rest
        )
    }
    if name == "span" and attributes.get("class") != "tg-spoiler":
        raise wrong(
            f'can\'t parse entities: Tag "span" must have class "tg-spoiler" at byte offset {out.byte(at)}'
        )
    if name == "tg-emoji" and not attributes.get("emoji-id", "").isdigit():
        raise wrong("can't parse entities: Invalid custom emoji identifier specified")
    out.begin(_kind(name, attributes), at, tag=name, **_more(name, attributes))


def _kind(name: str, attributes: dict[str, str]) -> str:
    return "expandable_blockquote" if name == "blockquote" and "expandable" in attributes else TAGS[name]


def _more(name: str, attributes: dict[str, str]) -> dict[str, Any]:
    if name == "a" and attributes.get("href"):
        return {"url": attributes["href"]}
    if name == "tg-emoji":
        return {"custom_emoji_id": attributes["emoji-id"]}
    if name == "code" and attributes.get("class", "").startswith("language-"):
        return {"language": attributes["class"].removeprefix("language-")}
    if name == "tg-time" and attributes.get("unix", "").isdigit():
        return {"unix_time": int(attributes["unix"])}
    return {}


def _merge_pre(out: Parsed) -> None:
    """`<pre><code class="language-x">` is one entity; a language anywhere else is dropped."""
    if not out.entities:
        return
    last = out.entities[-1]
    if last["type"] == "code" and "language" in last and not (out.open and out.open[-1]["tag"] == "pre"):
        del last["language"]
    if last["type"] == "pre" and len(out.entities) > 1:
        inner = out.entities[-2]
        if inner["type"] == "code" and (inner["offset"], inner["length"]) == (last["offset"], last["length"]):
            out.entities.remove(inner)
            if "language" in inner:
                last["language"] = inner["language"]


MARKS = {"**": "", "*": "bold", "_": "italic", "__": "underline", "~": "strikethrough", "||": "spoiler"}


def _markdown2(source: str) -> tuple[str, list[Entity]]:
    out = Parsed(source)
    at, size = 0, len(source)
    while at < size:
        char = source[at]
        inside = out.open[-1]["type"] if out.open else ""
        if char == "\\" and at + 1 < size and 0 < ord(source[at + 1]) <= 126:
            out.add(source[at + 1])
            at += 2
        elif inside in ("code", "pre"):
            fence = "`" if inside == "code" else "```"
            if source.startswith(fence, at):
                out.end()
                at += len(fence)
            elif char == "`":
                raise _reserved(char)
            else:
                out.add(char)
                at += 1
        elif char == "\n":
            if inside == "blockquote" and not source.startswith(">", at + 1):
                out.end()
            out.add(char)
            at += 1
        elif char not in RESERVED:
            out.add(char)
            at += 1
        else:
            at = _mark(out, at)
    if out.open and out.open[-1]["type"] == "blockquote":
        out.end()
    if out.open:
        raise _unended(out)
    return out.text()


def _mark(out: Parsed, at: int) -> int:
    """One reserved character of MarkdownV2: where to go on reading."""
    source, char = out.source, out.source[at]
    inside = out.open[-1]["type"] if out.open else ""
    two = source[at : at + 2]
    mark = two if two in ("__", "||") else char
    if mark in MARKS:
        if MARKS[mark] == inside:
            out.end()
        else:
            out.begin(MARKS[mark], at)
        return at + len(mark)
    if char == "`":
        if source.startswith("```", at):
            language = re.compile(r"([^\s`]*)\n").match(source, at + 3)
            more = {"language": language[1]} if language and language[1] else {}
            out.begin("pre", at, **more)
            return language.end() if language else at + 3
        out.begin("code", at)
        return at + 1
    if char == "[" or two == "![":
        out.begin("text_link" if char == "[" else "custom_emoji", at)
        return at + (1 if char == "[" else 2)
    if char == "]" and inside in ("text_link", "custom_emoji"):
        return _link(out, at)
    if char == ">" and (at == 0 or source[at - 1] == "\n"):
        if inside != "blockquote":
            out.begin("blockquote", at)
        return at + 1
    raise _reserved(char)


def _link(out: Parsed, at: int) -> int:
    match = re.compile(r"\]\(((?:\\.|[^)\\])*)\)").match(out.source, at)
    if not match and out.open[-1]["type"] == "custom_emoji":
        raise wrong("can't parse entities: Custom emoji entity must contain a tg://emoji URL")
    address = re.sub(r"\\(.)", r"\1", match[1]) if match else ""
    if out.open[-1]["type"] == "custom_emoji":
        out.open[-1]["custom_emoji_id"] = address.removeprefix("tg://emoji?id=")
    else:
        out.open[-1]["url"] = address
    out.end()
    return match.end() if match else at + 1


def _markdown(source: str) -> tuple[str, list[Entity]]:
    out = Parsed(source)
    at = 0
    while at < len(source):
        char = source[at]
        if char == "\\" and source[at + 1 : at + 2] in ("_", "*", "`", "["):
            out.add(source[at + 1])
            at += 2
            continue
        if char not in "_*`[":
            out.add(char)
            at += 1
            continue
        pattern = {"[": r"\[([^\]]*)\]\(([^)]*)\)", "`": r"```(?:\w+\n)?(.*?)```|`([^`]*)`"}.get(char)
        pattern = pattern or rf"\{char}([^{char}]*)\{char}"
        match = re.compile(pattern, re.S).match(source, at)
        if not match:
            raise wrong(
                f"can't parse entities: Can't find end of the entity starting at byte offset {out.byte(at)}"
            )
        fenced = match.group().startswith("```")
        kind = {"_": "italic", "*": "bold", "[": "text_link", "`": "pre" if fenced else "code"}[char]
        out.begin(kind, at, **({"url": match[2]} if char == "[" else {}))
        out.add(match[1] if match[1] is not None else match[2])
        out.end()
        at = match.end()
    return out.text()


def _reserved(char: str) -> Exception:
    return wrong(
        f"can't parse entities: Character '{char}' is reserved and must be escaped with the preceding '\\'"
    )


def _unended(out: Parsed) -> Exception:
    kind = {"text_link": "TextUrl", "pre": "PreCode"}.get(out.open[-1]["type"], out.open[-1]["type"].title())
    return wrong(
        f"can't parse entities: Can't find end of {kind} entity at byte offset {out.byte(out.open[-1]['at'])}"
    )


PARSERS = {"html": _html, "markdownv2": _markdown2, "markdown": _markdown}

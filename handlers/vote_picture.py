"""The picture of a vote's result, to be read on a phone: the verdict, each share beside what it must reach, the silent.

Pure. First everything gets its place, then it is painted: so that tests can measure what nobody can read.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from conversations.words import Say
from handlers.drawing import (
    AMBER,
    DARK,
    GREEN,
    GREY,
    INK,
    INNER,
    LEFT,
    LIGHT,
    MIDDLE,
    PALE,
    RED,
    RULE,
    WHITE,
    WIDTH,
    Box,
    Drawing,
    Line,
    Sign,
    drawable,
    painted,
    width_of,
)
from handlers.tally import BASES, READINGS, SIDES
from handlers.vote_words import (
    BOTH,
    MEASURES,
    PARTICIPATES,
    Amounts,
    Bar,
    Words,
    bar_of,
    percent,
    reader_of,
    share_of,
)

TITLE_LINES, NAME_LINES, MOST_CHOICES, MOST_CHOSEN = 3, 2, 20, 6
BAR, MARK, OVER = 40, 6, 10
"""How high a bar is, how wide the line of its threshold, and how far that stands out."""


def picture(policy: Mapping[str, Any], result: Mapping[str, Any], language: str) -> bytes:
    """The result as a PNG; `policy` and `result` as in the bundle. The same ones make the same bytes."""
    return painted(drawing(policy, result, language))


def drawing(policy: Mapping[str, Any], result: Mapping[str, Any], language: str) -> Drawing:
    """The picture, before it is painted."""
    return _Picture(policy, result, language).drawn()


class _Picture:
    """The parts of one picture, from above to below."""

    def __init__(self, policy: Mapping[str, Any], result: Mapping[str, Any], language: str) -> None:
        self.policy, self.result = policy, result
        self.words = Words(policy, result, reader_of(policy, result, language))
        self.say = self.words.reader.say
        self.poll: Any = policy.get("poll")
        self.drawing = Drawing()

    def drawn(self) -> Drawing:
        self.head()
        self.verdict()
        if self.poll:
            self.of_poll()
        else:
            self.of_statutory()
        self.drawing.skip(40)
        return self.drawing

    def head(self) -> None:
        """Which kind of vote it was, in a colour of its own, on what, and when."""
        made, kind = self.drawing, self.policy["kind"]
        made.items.append(Box(0, 0, WIDTH, 104, GREEN if kind == "statutory" else AMBER))
        made.skip(20)
        made.one(self.say(f"count.kind.{kind}"), 46, colour=WHITE, bold=True)
        made.skip(112)
        made.lines(drawable(self.policy["title"]), 48, most=TITLE_LINES, bold=True)
        made.skip(6)
        period = self.say("count.period", start=self.words.time("opens_at"), end=self.words.time("deadline"))
        made.lines(period, 32, most=2, colour=GREY)
        made.skip(24)

    def verdict(self) -> None:
        """What it came to, as large as nothing else, and in a few words why."""
        made, (sign, short, why) = self.drawing, self.outcome()
        x, width = LEFT + 164, INNER - 164 - 28
        begin = made.height
        place = len(made.items)
        made.skip(26)
        made.lines(self.say(f"picture.verdict.{short}"), 84, x=x, width=width, most=2, bold=True)
        for line in why[:MOST_CHOSEN]:
            made.lines(line, 40, x=x, width=width, most=3 if len(why) == 1 else 1)
        if len(why) > MOST_CHOSEN:
            made.lines(self.say("picture.more_chosen", count=len(why) - MOST_CHOSEN), 40, x=x, width=width)
        made.skip(26)
        height = made.height - begin
        back = Box(LEFT, begin, INNER, height, LIGHT, RULE)
        made.items[place:place] = [back, Sign(LEFT + 28, begin + (height - 108) / 2, 108, sign)]
        made.skip(34)

    def outcome(self) -> tuple[str, str, list[str]]:
        """The sign, the verdict, and lines on why it is so."""
        reason = self.result["reason"]
        if not self.poll:
            why = [self.say(f"picture.why.{reason}")]
            return ("yes", "passed", why) if self.result["passed"] else ("no", "failed", why)
        question = self.poll["question"]
        if question == "choose" and self.result["adopted"]:
            return "yes", "chosen", list(map(self.choice, self.result["adopted"]))
        why = [self.say(f"count.{question}.{reason}")]
        if reason == "QUORUM_NOT_MET":
            return "neither", "no_result", why
        if question == "choose":
            return "no", "not_chosen", why
        if reason != "TIED":  # the verdict says it already
            amount = self.words.amount(self.result["counts"]["for"])
            why = [self.say("count.sum", name=Say("count.side.for"), amount=amount)]
        return ("yes", "adopted", why) if reason == "ADOPTED" else ("no", "not_adopted", why)

    # --- a statutory vote ---

    def of_statutory(self) -> None:
        made, result = self.drawing, self.result
        base, bar = self.words.approval()
        of = share_of(self.policy)
        for measure in BOTH:
            made.one(self.measure(measure), 42, bold=True)
            made.skip(64)
            parts = [result["cast"], result["deemed"], result["conflict"]]
            self.share(
                "participation",
                measure,
                parts,
                result["participating"],
                whole=result["total"],
                bar=PARTICIPATES,
            )
            self.share("approval", measure, [result["for"]], result["for"], whole=base, bar=bar, of=of)
            made.skip(16)
        self.sums(SIDES, result)
        self.readings()

    def readings(self) -> None:
        """What each reading of silence comes to, a line each, the one that holds first."""
        made, say = self.drawing, self.say
        own, readings = self.policy["options"]["silence"], self.result["readings"]
        made.rule()
        made.one(say("picture.silence"), 36, bold=True)
        made.skip(58)
        for name in sorted((each for each in READINGS if each in readings), key=lambda each: each != own):
            verdict = self.words.verdict(readings[name])
            mark = Say("picture.own_mark") if name == own else ""
            text = say("picture.reading", reading=Say(f"count.silent.{name}"), own=mark, verdict=verdict)
            made.items.append(Sign(LEFT, made.height + 4, 34, "yes" if readings[name]["passed"] else "no"))
            made.lines(text, 30, x=LEFT + 50, width=INNER - 50, most=3, bold=name == own)
            made.skip(6)
        for line in self.words.robustness():
            made.skip(6)
            made.lines(
                line, 34, bold=bool(self.result["robust"]), colour=GREEN if self.result["robust"] else AMBER
            )

    # --- a poll ---

    def of_poll(self) -> None:
        made, result, poll = self.drawing, self.result, self.poll
        quorum = Bar(Fraction(poll["quorum"])) if Fraction(poll["quorum"]) else None
        bar = bar_of(self.policy)
        chooses, base = poll["question"] == "choose", result[BASES[poll["of"]]]
        for measure in MEASURES[poll["weight"]]:
            made.one(self.measure(measure), 42, bold=True)
            made.skip(64)
            parts = [result["cast"], {"area": "0.00", "heads": 0}, result["conflict"]]
            self.share("participation", measure, parts, result["cast"], whole=result["total"], bar=quorum)
        names = self.shown_choices() if chooses else SIDES[:2]
        alone = "" if chooses else "against"  # what need not reach anything
        for name in names:
            made.skip(8)
            self.of_choice(name, base, bar if name != alone else None)
        left = len(poll["choices"]) + 1 - len(names)
        if chooses and left:
            made.lines(self.say("picture.more", count=left), 32, colour=GREY)
        made.skip(16)
        self.sums(("abstain",), result)

    def shown_choices(self) -> list[str]:
        """The choices in the order of the question; of very many those with the most votes."""
        measure, counts = MEASURES[self.poll["weight"]][0], self.result["counts"]
        names = [*self.poll["choices"], ""]
        adopted = self.result["adopted"]
        most = sorted(
            names, key=lambda name: (name not in adopted, -self.words.number(counts[name], measure))
        )
        return [name for name in names if name in most[: MOST_CHOICES + 1]]

    def of_choice(self, name: str, base: Amounts, bar: Bar | None) -> None:
        """What chose it, and of how many."""
        made, chooses = self.drawing, self.poll["question"] == "choose"
        label = self.choice(name) if chooses else self.say(f"count.side.{name}")
        adopted = chooses and name in self.result["adopted"]
        if adopted:
            made.items.append(Sign(LEFT, made.height + 5, 42, "yes"))
        room = 56 if adopted else 0
        made.lines(label, 38, x=LEFT + room, width=INNER - room, most=NAME_LINES, bold=True)
        amounts = self.result["counts"][name]
        for measure in MEASURES[self.poll["weight"]]:
            self.share("", measure, [amounts], amounts, whole=base, bar=bar)

    def choice(self, name: str) -> str:
        """A choice by its number, which tells apart what differs by an emoji alone, and its name."""
        if not name:
            return self.say("count.none_of_these")
        number = self.poll["choices"].index(name) + 1
        shown = drawable(name) or Say("picture.nameless", number=number)
        return self.say("picture.choice", number=number, name=shown)

    # --- what both have ---

    def measure(self, measure: str) -> str:
        """What is measured, and in what."""
        return self.say(f"picture.{'area' if measure == 'area' else self.words.head}")

    def share(
        self,
        name: str,
        measure: str,
        parts: Sequence[Amounts],
        part: Amounts,
        *,
        whole: Amounts,
        bar: Bar | None,
        of: str = "",
    ) -> None:
        """One share: in percent, whether it is enough, as a bar beside what it must reach, and as a division.

        `parts` are what stands in the bar one after the other: what was cast, what is deemed, what is in conflict.
        """
        made = self.drawing
        some, all_of_it = self.words.number(part, measure), self.words.number(whole, measure)
        share = Fraction(some, all_of_it) if all_of_it else None
        enough = share is not None and (bar is None or bar.holds(share))
        value = "—" if share is None else f"{percent(share, bar.threshold if bar else None)} %"
        label = self.say(f"picture.{name}") if name else self.measure(measure)
        if of:
            label = self.say("picture.of", name=label, of=Say(f"count.of.{of}"))
        if bar is not None or name:
            right = self.enough(some, all_of_it, bar, measure) if bar is not None else 0
            made.one(f"{label}  {value}", 38, width=INNER - right, bold=True)
            made.skip(58)
        made.skip(OVER)
        amounts = [self.words.number(each, measure) for each in parts]
        colours = (GREEN if enough else RED, MIDDLE, DARK) if bar is not None else (MIDDLE,)
        mark = self.bar(amounts, colours, all_of_it, bar, rest=name == "participation")
        text = "" if bar is not None or name else f"{label}  {value}  "
        if share is not None:
            text += self.say(
                "picture.division",
                part=self.words.shown(some, measure),
                whole=self.words.shown(all_of_it, measure),
                fraction=f"{share.numerator}/{share.denominator}",
            )
        # On the side of the threshold's name where there is more room.
        before, after = mark
        if not text:
            pass
        elif before >= INNER - after:
            made.one(text, 30, colour=GREY, width=before)
        else:
            made.one(text, 30, colour=GREY, x=LEFT + after, width=INNER - after, right=True)
        made.skip(60)

    def enough(self, some: int, whole: int, bar: Bar, measure: str) -> float:
        """Whether it is enough, with its sign, at the right; the width that this takes."""
        made, share = self.drawing, Fraction(some, whole) if whole else None
        words = self.words.enough(some, whole, bar, measure) if whole else Say("picture.nothing")
        room = INNER * 0.55
        line = made.one(self.words.reader.show(words), 34, x=LEFT + INNER - room, width=room, right=True)
        kind = "yes" if share is not None and bar.holds(share) else "no"
        made.items.append(Sign(line.x - 46, made.height + 9, 36, kind))
        return line.width + 46 + 24

    @staticmethod
    def at(bar: Bar) -> int:
        """Where the line of a threshold stands."""
        return round(INNER * bar.threshold)

    def bar(
        self, amounts: Sequence[int], colours: Sequence[str], whole: int, bar: Bar | None, *, rest: bool
    ) -> tuple[float, float]:
        """A bar of `whole`, and the line that it must reach; no rounding puts it on the other side of that.

        Returns up to where there is room below it before the name of the threshold, and from where after that.
        """
        made = self.drawing
        made.items.append(Box(LEFT, made.height, INNER, BAR, PALE, RULE))
        line = self.at(bar) if bar is not None else 0
        done, begin = 0, 0
        for amount, colour in zip(amounts, colours, strict=False):
            done += amount
            end = round(Fraction(INNER * done, whole)) if whole else 0
            if bar is not None and whole:
                side = Fraction(done, whole) - bar.threshold
                end = min(end, line - MARK) if side < 0 else max(end, line + MARK) if side > 0 else line
            end = min(max(end, begin), INNER)
            if end > begin:
                made.items.append(Box(LEFT + begin, made.height, end - begin, BAR, colour))
            begin = end
        if rest:
            self.silent(begin, line)
        if bar is None:
            made.skip(BAR + OVER)
            return INNER, INNER
        made.items.append(Box(LEFT + line - MARK / 2, made.height - OVER, MARK, BAR + 2 * OVER, INK))
        made.skip(BAR + OVER)
        share = f"{bar.threshold.numerator}/{bar.threshold.denominator}"
        text = self.say("picture.more_than" if bar.passed else "picture.at_least", share=share)
        needed = width_of(text, 30)
        start = min(max(line - needed / 2, 0), INNER - needed)
        made.items.append(Line(LEFT + start, made.height, text, 30, needed, bold=True))
        return start - 24, start + needed + 24

    def silent(self, begin: int, line: int) -> None:
        """Name the rest of a bar, where there is room for it: before the line of the threshold or behind it."""
        name = self.say("count.silent_name")
        needed = width_of(name, 28)
        for start, end in ((max(begin, line), INNER), (begin, line)):
            if end - start >= needed + 28:
                self.drawing.items.append(Line(LEFT + start + 14, self.drawing.height, name, 28, needed))
                return

    def sums(self, sides: Sequence[str], sums: Mapping[str, Any]) -> None:
        """What was said, and who said nothing."""
        made = self.drawing
        made.rule()
        deemed = self.result.get("deemed", {"as": None})
        for side in sides:
            # What is deemed stands in a line of its own.
            apart = self.words.add(sums[side], deemed, -1) if deemed["as"] == side else sums[side]
            self.sum(Say(f"count.side.{side}"), apart)
        silent, heads = self.result["silent"], self.words.heads
        in_rest = deemed["as"] is None or deemed[heads] < silent[heads]
        self.sum(Say("count.silent_name"), silent, swatch=PALE if in_rest else "")
        if self.result["conflict"][heads]:
            self.sum(Say("count.conflict_name"), self.result["conflict"], swatch=DARK)
        if deemed["as"] is not None:
            its = Say(f"count.side.{deemed['as']}")
            self.legend(self.say("count.deemed", amount=self.words.amount(deemed), side=its), MIDDLE)

    def sum(self, name: Say, amounts: Amounts, swatch: str = "") -> None:
        self.legend(self.say("count.sum", name=name, amount=self.words.amount(amounts)), swatch)

    def legend(self, text: str, swatch: str) -> None:
        """A line, with the colour by which the bars show what it is about."""
        made, room = self.drawing, 48 if swatch else 0
        if swatch:
            made.items.append(Box(LEFT, made.height + 7, 32, 32, swatch, DARK))
        made.lines(text, 32, x=LEFT + room, width=INNER - room, most=3)
        made.skip(6)

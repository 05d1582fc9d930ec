"""Every word that a person reads exists in every language, is used, and means one thing; facts are shown as typed."""

import ast
import json
import re
import string
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import handlers.inbox  # noqa: F401  the door imports every matter, so that all actions are known
import moderation.urgency
from bot.telegram import TOPICS
from bot.telegram_introduction import GROUP, PRIVATE
from conversations import words
from conversations.announcement import TOPICS as DISCLOSED
from conversations.crew import TRADES
from conversations.listing import KINDS as LISTING_KINDS
from conversations.listing import PARTS
from conversations.purchase import NATURES, PAYERS
from conversations.steps import Choice, Confirm, Photos, Script
from conversations.words import LANGUAGES, Reader, Say, normal, pack, spoken, texts, unpack
from handlers import purchase_cards, repair_cards
from handlers.actions import ACTIONS
from handlers.listings import DEPOSITS
from handlers.menu import COMMANDS
from handlers.rights import RIGHTS, acts_for_community
from handlers.roster_lines import COLUMNS, STATUSES
from handlers.talk import FILES, SCRIPTS
from handlers.tally import BASES, READINGS, REASONS, SIDES
from handlers.tell import Button
from store.tables import Opening, Person, Purchase, Repair

ROOT = Path(words.__file__).parent.parent
RANDOM = settings(deadline=None, derandomize=True, database=None, max_examples=150)
STATES = ("waiting", "accepted", "on_way", "parts", "access", "done", "closed", "withdrawn", "merged")
PURCHASE_STATES = (
    *("signing", "review", "declined", "withdrawn", "opening", "voting", "objecting", "rejected", "approved"),
    *("ordered", "delivered", "installed", "done"),
)
LISTING_STATES = ("held", "open", "refused", "expired", "withdrawn")
OPENING_STATES = ("proposed", "seconding", "made", "dropped")
CONTROLS = ("back", "skip", "cancel", "change")
PLACES = ("home", "hall", "lift", "garage", "other")
BUTTONS = sorted(name for name, act in ACTIONS.items() if act.button)
KINDS = sorted({rule.kind for rule in moderation.urgency.load().rules} | {"other"})
ALL = texts("zh")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


# --- the languages agree ----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys(language: str) -> None:
    assert sorted(texts(language)) == sorted(ALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_the_same_placeholders_in_every_language(language: str) -> None:
    shown = {key: placeholders(text) for key, text in texts(language).items()}
    assert shown == {key: placeholders(text) for key, text in ALL.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_says_something_and_is_trimmed(language: str) -> None:
    joined = ("list.comma", "_mark", "repair.doubt")  # these stand beside other words
    bad = [
        key
        for key, text in texts(language).items()
        if not text.strip() or (text != text.strip() and not key.endswith(joined))
    ]
    assert bad == []


# --- what the code says -----------------------------------------------------------------------------

# Where the functions that say something take their key: the position, or the keyword.
SAYING: dict[str, tuple[int | str, ...]] = {
    "tell": (2, "key"),
    "tell_staff": (2, "key"),
    "publish": (2, "key"),
    "post": (2, "key"),
    "notify": (2, "key"),
    "_notify": (2, "key"),
    "Refused": (0,),
    "Unclear": (0,),
    "Say": (0,),
    "say": (0,),
    "ask": ("lead",),
    "start": ("lead",),
    "take": (4,),
    "_go_on": ("lead",),
    "_keep": ("lead",),
    "NotNow": (0,),
    "Sorry": (1,),
    "add_event": (2, "key"),
    "show_card": ("key",),
    "staff_card": ("key",),
    "tell_owner": (2, "key"),
    "show_to_staff": (2, "key"),
    "tell_author": (3, "key"),
    "tell_concerned": (2, "key"),
    "_tell_all": (2, "key"),
    "tell_followers": (2, "key"),
    "tell_joiners": (2, "key"),
    "_tell_joiner": (3, "key"),
    "refresh": (2, "key"),
    "_in_every_language": (2,),
    "_tell_crew": (2, "key"),
    "_tell_head": (2, "key"),
    "_tell_cast": (3, "key"),
    "give": ("key",),
    "_list": (3, "key"),
    "_answer": (3, "key"),
    "tell_here": (3, "key"),
    "tell_readers": (2, "key"),
    "send_sheet": (3, "key"),
    "outdate": (3, "key"),
    "Button": (1, "key"),
    "happened": (2, "key"),
    "_happened": (2, "key"),
    "_show": ("key",),
    "_tell_office": (2, "key"),
}
# Methods of these names that are not ours.
OTHER_SAY = {"backend", "browser"}
# Keys that a row, an error or a parameter carries: they were checked where they were written.
CARRIED = {
    "key",
    "lead",
    "error.key",
    "event.key",
    "value.key",
    "notice.key",
    "self.key",
    "sorry.key",
    "pages.refused.key",
    "key.replace('repair.', 'follow.', 1)",  # the same, for those who follow a repair
}


def label_key(script: Script, step: str, value: str) -> str:
    own = f"{script.name}.{step}.{value}"
    return own if own in ALL else f"{script.words or script.name}.{step}.{value}"


def script_keys(script: Script) -> Iterator[str]:
    """The texts of a script's questions, options and names, by convention."""
    prefix = script.words or script.name
    confirmed = any(isinstance(step, Confirm) for step in script.steps.values())
    for name, step in script.steps.items():
        yield f"{script.name}.{name}.ask"
        if isinstance(step, Photos):
            yield "photos.more"
            yield "photos.more_files"
            yield f"{prefix}.{name}.done"
        elif isinstance(step, Confirm):
            yield f"{prefix}.{name}.yes"
            yield from (f"{prefix}.{name}.{setting}" for setting in getattr(step, "more", ()))
        elif isinstance(step, Choice):
            yield from (label_key(script, name, value) for value in step.values)
        if confirmed and not isinstance(step, Confirm):
            yield f"{prefix}.{name}.name"


SCRIPT_KEYS = {key for known in SCRIPTS.values() for key in script_keys(known.script)}
# What an f-string in the code may become, by its shape.
EXPANSIONS: dict[str, set[str]] = {
    "state.{}": {f"state.{state}" for state in STATES},
    "join.state.{}": {f"join.state.{state}" for state in ("waiting", "approved", "declined")},
    "home.status.{}": {f"home.status.{status}" for status in ("delivered", "undelivered", "unsold")},
    "proxy.kind.{}": {"proxy.kind.proxy", "proxy.kind.guardian"},
    "role.{}": {
        f"role.{role}" for role in ("owner", "tenant", "family", "staff", "crew", "manager", "committee")
    },
    "act.{}": {f"act.{name}" for name, rights in RIGHTS.items() if any(map(acts_for_community, rights))},
    "crew.wrong_{}": {f"crew.wrong_{name}" for name in ("kinds", "hours", "buildings", "phone", "who")},
    "kind.{}": {f"kind.{kind}" for kind in KINDS},
    "work.cost.{}": {f"work.cost.{state}" for state in ("asked", "agreed", "refused")},
    "work.ahead.{}": {f"work.ahead.{days}" for days in (1, 3, 7)},
    "work.for_{}": {"work.for_parts", "work.for_access"},
    "button.{}": {f"button.{name}" for name in BUTTONS},
    **{
        f"{group}.{{}}": {f"{group}.{kind}" for kind in KINDS if f"{group}.{kind}" in ALL}
        for group in ("did", "purpose")
    },
    "advice.{}": {f"advice.{kind}" for kind in KINDS if f"advice.{kind}" in ALL} | {"advice.other"},
    "files.{}": {f"files.{kind}" for kind in FILES},
    "repair.entry.{}": {"repair.entry.any_time", "repair.entry.call_first"},
    "repair.place.{}": {f"repair.place.{place}" for place in PLACES},
    "control.{}": {f"control.{name}" for name in CONTROLS},
    "day.{}": {f"day.{day}" for day in range(1, 8)},
    "introduction.command.{}": {f"introduction.command.{name}" for name in {*PRIVATE, *GROUP}},
    "topic.{}": {f"topic.{kind}" for kind in TOPICS},
    **{
        f"invitation.{{}}.{line}": {f"invitation.{way}.{line}" for way in ("telegram", "wechat", "both")}
        for line in ("scan", "start", "type", "brief")
    },
    "invitation.role.{}": {f"invitation.role.{role}" for role in ("crew", "staff", "committee")},
    "roster.role.{}": {
        f"roster.role.{role}" for role in ("owner", "tenant", "family", "staff", "crew", "committee")
    },
    "roster.status.{}": {f"roster.status.{status}" for status in STATUSES},
    "roster.column.{}": {f"roster.column.{column}" for column in COLUMNS},
    "roster.template.{}": {
        f"roster.template.{name}" for name in ("homes", "columns", "heading", "other", "meaning")
    },
    "count.kind.{}": {"count.kind.statutory", "count.kind.poll"},
    "count.rule.{}": {"count.rule.ordinary", "count.rule.special"},
    "count.of.{}": {f"count.of.{of}" for of in ("participating", "chose", *BASES)},
    "count.side.{}": {f"count.side.{side}" for side in SIDES},
    "count.silent.{}": {f"count.silent.{reading}" for reading in READINGS},
    "count.number.{}{}": {
        f"count.number.{each}" for each in ("area", "home", "home_one", "person", "person_one")
    },
    "count.{}s": {"count.homes", "count.persons"},
    "count.{}.{}": {key for key in ALL if key.startswith(("count.yes_no.", "count.choose."))},
    "count.verdict.{}": {f"count.verdict.{reason}" for reason in REASONS[:7]},
    "picture.{}": {f"picture.{name}" for name in ("participation", "approval", "area", "home", "person")},
    **{
        f"vote_page.{group}{{}}": {key for key in ALL if key.startswith(f"vote_page.{group}")}
        for group in ("each.", "visible.", "state.", "file.", "objection.", "scope_")
    },
    "picture.verdict.{}": {key for key in ALL if key.startswith("picture.verdict.")},
    "picture.why.{}": {f"picture.why.{reason}" for reason in REASONS[:7]},
    **{
        f"bundle.{group}.{{}}": {key for key in ALL if key.startswith(f"bundle.{group}.")}
        for group in ("kind", "choice", "outcome")
    },
    "paper.state.{}": {f"paper.state.{state}" for state in ("waiting", "confirmed", "refused")},
    "paper.conflict.{}": {f"paper.conflict.{rule}" for rule in ("latest", "paper_wins", "electronic_wins")},
    **{
        f"{group}.{{}}": {key for key in ALL if key.startswith(f"{group}.")}
        for group in ("ballot.visible", "ballot.differs", "result.decider")
    },
    "audit.{}_mark": {
        f"audit.{table}_mark"
        for table in (
            *("repair", "purchase", "equipment", "spot", "vote", "listing", "ruling", "complaint"),
            "announcement",
        )
    },
    "ballot.by.{}_{}": {
        f"ballot.by.{by}_{of}" for by in ("homes", "persons") for of in ("heads", "area", "both")
    },
    "event.objection_{}": {f"event.objection_{state}" for state in ("upheld", "rejected")},
    "objection.{}": {f"objection.{state}" for state in ("upheld", "rejected")},
    "objection.{}_noted": {f"objection.{state}_noted" for state in ("upheld", "rejected")},
    "ruling.{}_{}": {
        f"ruling.{state}_{name}"
        for state in ("deleted", "held", "restored", "upheld")
        for name in ("listing", "post")
    },
    "ruling.done_{}": {"ruling.done_restored", "ruling.done_upheld"},
    **{
        f"listing.{group}.{{}}": {f"listing.{group}.{kind}" for kind in LISTING_KINDS}
        for group in ("kind", "hint", "done")
    },
    "listing.event.{}": {key for key in ALL if key.startswith("listing.event.")},
    "ruling.event.{}": {key for key in ALL if key.startswith("ruling.event.")},
    **{
        f"{group}.{{}}": {key for key in ALL if key.startswith(f"{group}.")}
        for group in ("my.kind", "my.complaint", "wait.kind", "wait.by", "figures.sheet")
    },
    "figures.sheet.{}_sheet": {
        key for key in ALL if key.startswith("figures.sheet.") and key.endswith("_sheet")
    },
    "figures.tile.{}": {key for key in ALL if key.startswith("figures.tile.")},
    "figures.tile.{}_note": {key for key in ALL if key.startswith("figures.tile.") and key.endswith("_note")},
    "figures.{}": {"figures.urgent", "figures.ordinary"},
    "my.{}": {"my.yours", "my.open", "my.over"},
    "overdue.{}": {
        f"overdue.{what}"
        for what in ("review", "approved", "complaint", "suggestion", "rulings", "objections")
    },
    "listing.state.{}": {f"listing.state.{state}" for state in LISTING_STATES},
    "listing.home.{}": {f"listing.home.{home}" for home in ("whole", "room", "space")},
    "listing.lets.{}": {f"listing.lets.{who}" for who in ("owner", "family", "sublet")},
    "listing.deposit.{}": {f"listing.deposit.{usual}" for usual in DEPOSITS},
    "listing.close_{}": {f"listing.close_{kind}" for kind in LISTING_KINDS},
    "listing.{}.name": {f"listing.{part}.name" for part in PARTS},
    **{
        f"{group}.{{}}": {key for key in ALL if key.startswith(f"{group}.")}
        for group in ("notify.kind", "notify.how")
    },
    "digest.{}": {"digest.new", "digest.day", "digest.week"},
    "board.{}": {"board.earlier", "board.later"},
    **{
        f"complaint.{group}.{{}}": {key for key in ALL if key.startswith(f"complaint.{group}.")}
        for group in ("called", "kind", "topic", "state")
    },
    "complaint.hint_{}": {"complaint.hint_complaint", "complaint.hint_suggestion"},
    **{
        f"{group}.{{}}": {key for key in ALL if key.startswith(f"{group}.")}
        for group in ("ruling.what", "ruling.state", "rule.category", "rule.verdict")
    },
    "rules.{}": {f"rules.{name}" for name in ("stricter", "looser", "wrong")},
    "rules.{}_none": {f"rules.{name}_none" for name in ("stricter", "looser", "wrong")},
    "{}_none": {"repair.tickets_none"},
    "board_page.kind.{}": {key for key in ALL if key.startswith("board_page.kind.")},
    "board_page.{}": {
        f"board_page.{name}" for name in ("overdue", "rules", "figures", "open", "done", "photo", "file")
    },
    "purchase.state.{}": {f"purchase.state.{state}" for state in PURCHASE_STATES},
    "opening.rule.{}": {"opening.rule.ordinary", "opening.rule.special"},
    "post.powerless_{}": {f"post.powerless_{reason}" for reason in ("rights", "basic", "old", "pin")},
    "opening.state.{}": {f"opening.state.{state}" for state in OPENING_STATES},
    "review.law.{}": {f"review.law.{item}" for item in ("5", "6", "7", "8", "9", "poll")},
    "review.kind_{}": {"review.kind_statutory", "review.kind_poll"},
    "review.payer.{}": {f"review.payer.{payer}" for payer in PAYERS},
    "review.nature.{}": {f"review.nature.{nature}" for nature in NATURES},
    **{
        f"{group}.{{}}": {key for key in ALL if key.startswith(f"{group}.")}
        for group in ("announcement.state", "announcement.public", "announcement.at", "disclosure.write")
    },
    "announcement.topic.{}": {f"announcement.topic.{topic}" for topic in DISCLOSED},
    "{}.{}.ask": SCRIPT_KEYS,
    "follow.{}": {key for key in ALL if key.startswith("follow.") and f"repair.{key[7:]}" in ALL},
    "{}.list": {"committee.list", "manager.list"},
    "{}.remove": {"committee.remove", "manager.remove"},
    "{}.yes": SCRIPT_KEYS,
    "{}.name": SCRIPT_KEYS,
    "{}.{}": SCRIPT_KEYS,
}
# What a call in the place of a key gives.
GIVEN: dict[str, set[str]] = {
    "_question": SCRIPT_KEYS,
    "_label_key": SCRIPT_KEYS,
    "file_problem": {
        f"unclear.{name}"
        for name in (
            *("photo_too_large", "not_a_photo", "not_fetched", "voice", "video"),
            *("recording_too_large", "not_a_recording", "voice_lost"),
            *("file_too_large", "not_a_document"),
        )
    },
    "_help_key": {
        f"help.{name}" for name in ("owner", "resident", "crew", "manager", "committee", "staff_private")
    },
    "_offer_key": {"follow.offer", "follow.offer_incident", "follow.own_one"},
    "_enough": {f"photos.{name}" for name in ("enough", "enough_files", "enough_documents")},
    "_card_key": {"repair.card", "repair.page", "repair.page_call", "repair.reopened_crew", "repair.ticket"},
}


class Keys(ast.NodeVisitor):
    """Collects the keys of texts that stand in one module, and what it cannot read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scope: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self.found: dict[str, str] = {}
        self.unread: list[str] = []
        tree = ast.parse(path.read_text("utf-8"))
        # The page's Button holds a label that has been said already.
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        self.others = {
            name.name for node in imports if node.module == "bot.playground" for name in node.names
        }
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.scope.append(node)
        self.generic_visit(node)
        self.scope.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.scope.append(node)
        self.generic_visit(node)
        self.scope.pop()

    def visit_Call(self, node: ast.Call) -> None:
        name, owner = "", ""
        if isinstance(node.func, ast.Name):
            name = node.func.id
        elif isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, ast.unparse(node.func.value).rpartition(".")[2]
        if name not in self.others and owner not in OTHER_SAY and not (owner and name not in {"say", "ask"}):
            for where in SAYING.get(name, ()):
                if isinstance(where, int) and where < len(node.args):
                    self.take(node.args[where])
                self.take(*(word.value for word in node.keywords if word.arg == where))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        targets = [ast.unparse(node.value), *map(ast.unparse, self.assigned(ast.unparse(node.value)))]
        if any(target.startswith("texts(") for target in targets):
            self.take(node.slice)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if ast.unparse(node.targets[0]) == "lead":  # the key of what is said before a question
            self.take(node.value)
        self.generic_visit(node)

    def take(self, *expressions: ast.expr) -> None:
        for each in expressions:
            for key in self.possible(each):
                self.found[key] = f"{self.path.name}:{each.lineno}"

    def possible(self, node: ast.expr) -> set[str]:
        """Every key that an expression may be."""
        match node:
            case ast.Constant(value=str(key)):
                return {key} - {""}
            case ast.IfExp():
                return self.possible(node.body) | self.possible(node.orelse)
            case ast.BoolOp():
                return {key for each in node.values for key in self.possible(each)}
            case ast.Dict():
                return {key for each in node.values for key in self.possible(each)}
            case ast.Subscript(value=ast.Dict() as table):
                return self.possible(table)
            case ast.JoinedStr():
                shape = "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
                if shape in EXPANSIONS:
                    return EXPANSIONS[shape]
            case ast.Call(func=ast.Name(id=name)) if name in GIVEN:
                return GIVEN[name]
            case ast.Name(id=name):
                assigned = list(self.assigned(name))
                if assigned:
                    return {key for each in assigned for key in self.possible(each)}
        if ast.unparse(node) not in CARRIED:
            self.unread.append(f"{self.path.name}:{node.lineno}: {ast.unparse(node)}")
        return set()

    def assigned(self, name: str) -> Iterator[ast.expr]:
        """What the function at hand assigns to a name."""
        for function in self.scope:
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                    yield node.value


# A key in a template: what is said there has at least one full stop.
IN_PAGE = re.compile(r"'([a-z_]+(?:\.[a-z_]+)+)'")


@cache
def in_code() -> tuple[Mapping[str, str], list[str]]:
    """The keys that the code names, each with its place, and the expressions that this test cannot read."""
    found: dict[str, str] = {}
    unread: list[str] = []
    for folder in ("handlers", "bot", "conversations"):
        for path in sorted((ROOT / folder).glob("*.py")):
            read = Keys(path)
            found |= read.found
            unread += read.unread
    for path in sorted((ROOT / "bot" / "pages").glob("*.html")):
        found |= dict.fromkeys(IN_PAGE.findall(path.read_text("utf-8")), path.name)
    return found, unread


def test_every_key_in_the_code_can_be_read_by_this_test() -> None:
    """A key that is made in a new way must be listed under EXPANSIONS or GIVEN."""
    assert in_code()[1] == []


def test_every_key_in_the_code_has_a_text() -> None:
    assert {key: place for key, place in in_code()[0].items() if key not in ALL} == {}


def test_every_question_option_and_name_has_a_text() -> None:
    assert sorted(SCRIPT_KEYS - set(ALL)) == []


def test_every_button_has_a_label() -> None:
    assert sorted(EXPANSIONS["button.{}"] - set(ALL)) == []


def test_every_kind_that_the_rules_produce_has_a_name() -> None:
    assert sorted(EXPANSIONS["kind.{}"] - set(ALL)) == []


def test_every_state_has_a_name() -> None:
    assert sorted(EXPANSIONS["state.{}"] - set(ALL)) == []


def test_the_states_are_those_of_the_code() -> None:
    """The states that this test lists are the ones that the handlers give to a repair."""
    given: set[str] = {"waiting"}
    code = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "handlers").glob("*.py")]
    for node in (each for tree in code for each in ast.walk(tree)):
        if isinstance(node, ast.Assign) and "repair.state" in ast.unparse(node.targets[0]):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            given.add(next(value.value for value in values if isinstance(value, ast.Constant)))
    assert given == set(STATES)


def test_every_kind_with_a_name_or_advice_is_one_of_the_rules() -> None:
    named = {key.partition(".")[2] for key in ALL if key.startswith(("kind.", "advice."))}
    assert sorted(named - set(KINDS)) == []


def test_no_key_is_unused() -> None:
    convention = SCRIPT_KEYS | {"list.comma"} | {key for key in ALL if key.startswith("say.")}
    convention |= EXPANSIONS["button.{}"] | EXPANSIONS["kind.{}"] | EXPANSIONS["state.{}"]
    named = set(in_code()[0])  # what a reporter is told may have words of its own for those who follow
    convention |= {
        key for key in ALL if key.startswith("follow.") and key.replace("follow", "repair", 1) in named
    }
    assert sorted(set(ALL) - convention - named) == []


# --- what people type -------------------------------------------------------------------------------


GROUPS = {"all", "answer", "chatter", "command", "consent", "control", "hour", "money", "photos", "place"} | {
    "ballot",
    "puzzled",
    "read",
    "repaired",
    "urge",
    "trade",
    "whole",
}


def test_every_group_of_typed_words_is_one_that_the_code_asks_for() -> None:
    groups = {key.split(".")[1] for key in ALL if key.startswith("say.")}
    assert groups == GROUPS


def test_what_people_type_names_what_the_code_knows() -> None:
    assert set(spoken("command").values()) == set(COMMANDS)
    assert set(spoken("control").values()) == set(CONTROLS)
    assert set(spoken("place").values()) == set(PLACES)
    assert set(spoken("answer").values()) == {"yes", "no"}
    assert set(spoken("money").values()) == {"unknown"}
    assert set(spoken("trade").values()) == set(TRADES)
    assert {kind for kinds in TRADES.values() for kind in kinds} <= set(KINDS)


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_no_typed_word_means_two_things_within_its_group(group: str) -> None:
    meanings: dict[str, set[str]] = {}
    for language in LANGUAGES:
        for key, text in texts(language).items():
            if key.startswith(f"say.{group}."):
                for word in text.split("|"):
                    meanings.setdefault(normal(word), set()).add(key)
    assert {word: keys for word, keys in meanings.items() if len(keys) > 1 or not word} == {}


def test_no_typed_word_is_both_a_command_and_a_control() -> None:
    assert set(spoken("command")) & set(spoken("control")) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_control_is_labelled_can_be_typed(language: str) -> None:
    labels = {name: spoken("control").get(normal(texts(language)[f"control.{name}"])) for name in CONTROLS}
    assert labels == {name: name for name in CONTROLS}


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("／ｒｅｐａｉｒ", "repair"),
        ("２", "2"),
        ("②", "2"),
        ("/repair", "repair"),
        (" 返 回。", "返回"),
        ("「取消」", "取消"),
        ("BACK!", "back"),
        ("", ""),
    ],
)
def test_normal_leaves_what_is_compared(typed: str, plain: str) -> None:
    assert normal(typed) == plain


# --- the buttons of one message ---------------------------------------------------------------------


def menus() -> Iterator[tuple[str, list[Button]]]:
    """Every set of buttons that one message may carry."""
    for name, known in SCRIPTS.items():
        prefix = known.script.words or known.script.name
        for step_name, step in known.script.steps.items():
            options = step.options({}, {"photos_so_far": 1})
            keys = [label_key(known.script, step_name, option.value) for option in options]
            keys += [f"control.{control}" for control in CONTROLS]
            yield f"{name}.{step_name}", [Button("x", key) for key in keys]
        changes = [f"{prefix}.{s}.name" for s in known.script.steps if f"{prefix}.{s}.name" in ALL]
        yield f"{name} changes", [Button("x", key) for key in changes]
    crew = Person(id=5, community_id=1, name="李师傅", pseudonym=1, created_at=datetime.now(UTC))
    for state, urgent, crew_id in product(STATES, (True, False), (None, 5, 6)):
        row = Repair(
            id=17, community_id=1, number=3, person_id=4, what="", state=state, urgent=urgent, crew_id=crew_id
        )
        cards = repair_cards
        for made in (cards.owner_buttons(row), cards.crew_buttons(row, crew), cards.staff_buttons(row)):
            yield f"repair {state} urgent={urgent} crew={crew_id}", made
    for state, note, insisted in product(PURCHASE_STATES, ("", "4 个"), (True, False)):
        asked = Purchase(
            id=17, community_id=1, number=3, person_id=5, what="", state=state, note=note, insisted=insisted
        )
        for made in (purchase_cards.proposer_buttons(asked), purchase_cards.staff_buttons(asked)):
            yield f"purchase {state} note={note} insisted={insisted}", made
        both = [*purchase_cards.support_button(asked), Button("purchase.show:17", number=3)]
        yield f"published purchase {state}", both
        for opened, opened_by in product(OPENING_STATES, (None, 5)):
            opening = Opening(id=1, community_id=1, purchase_id=17, state=opened, opened_by=opened_by)
            theirs = purchase_cards.opening_buttons(opening, crew, None)
            yield f"opening {opened}", [*theirs, *purchase_cards.proposer_buttons(asked)]
    yield "help.resident", [Button(name) for name in ("repair.start", "my", "language")]
    yield "help.crew", [Button(name) for name in ("repair.open", "language")]
    yield (
        "help.owner",
        [Button(name) for name in ("repair.start", "purchase.start", "my", "agents", "language")],
    )
    yield "requests", [Button(f"purchase.show:{n}", number=n) for n in (1, 2)] + [Button("purchase.start")]
    yield "language", [Button(name) for name in ("help", "language")]
    yield "list", [Button(f"repair.show:{number}", number=number) for number in range(1, 11)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_labels_of_one_message_differ(language: str) -> None:
    reader = Reader(language, "Asia/Shanghai", datetime.now(UTC))
    for message, buttons in menus():
        # What is long has one more.
        labels = [normal(button.shown(reader)["label"]) for button in (*buttons, Button("rest.show:1"))]
        assert sorted(labels) == sorted(set(labels)), message


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_label_of_an_action_is_a_command_of_another(language: str) -> None:
    """What stands on a button can be typed, so it must not mean something else there."""
    typed = {
        name: spoken("command").get(normal(texts(language)[f"button.{name}"].format(number="")))
        for name in BUTTONS
    }
    assert {name: word for name, word in typed.items() if word and COMMANDS[word] != name} == {}


# --- facts ------------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)  # a Wednesday, 12:00 in Shanghai
ZH = Reader("zh", "Asia/Shanghai", NOON)
EN = Reader("en", "Asia/Shanghai", NOON)


@pytest.mark.parametrize(
    ("when", "zh", "en"),
    [
        ("2026-03-04T18:00+08:00", "今天 18:00", "today 18:00"),
        ("2026-03-04T00:00+08:00", "今天 00:00", "today 00:00"),
        ("2026-03-03T23:59+08:00", "昨天 23:59", "yesterday 23:59"),
        ("2026-03-05T00:00+08:00", "明天 00:00", "tomorrow 00:00"),
        ("2026-03-04T16:00+00:00", "明天 00:00", "tomorrow 00:00"),
        ("2026-03-06T09:05+08:00", "周五 09:05", "Fri 09:05"),
        ("2026-03-10T18:00+08:00", "周二 18:00", "Tue 18:00"),
        ("2026-03-11T18:00+08:00", "3月11日 18:00", None),
        ("2026-03-02T18:00+08:00", "3月2日 18:00", None),
        ("2026-12-03T18:00+08:00", "12月3日 18:00", None),
    ],
)
def test_a_moment_is_said_as_people_say_it(when: str, zh: str, en: str | None) -> None:
    moment = datetime.fromisoformat(when)
    assert ZH.moment(moment) == zh
    if en is not None:
        assert EN.moment(moment).lower() == en.lower()


@pytest.mark.parametrize(
    ("now", "when", "said"),
    [
        ("2026-12-31T23:30+08:00", "2027-01-01T00:10+08:00", "明天 00:10"),
        ("2027-01-01T00:10+08:00", "2026-12-31T23:30+08:00", "昨天 23:30"),
        ("2026-12-30T12:00+08:00", "2027-01-02T12:00+08:00", "周六 12:00"),
        ("2026-12-20T12:00+08:00", "2027-01-02T12:00+08:00", "1月2日 12:00"),
    ],
)
def test_a_moment_is_right_at_the_end_of_a_year(now: str, when: str, said: str) -> None:
    reader = Reader("zh", "Asia/Shanghai", datetime.fromisoformat(now))
    assert reader.moment(datetime.fromisoformat(when)) == said


def test_what_lasts_names_another_year() -> None:
    reader = Reader("zh", "Asia/Shanghai", datetime.fromisoformat("2027-01-01T00:10+08:00"), lasting=True)
    assert reader.moment(datetime.fromisoformat("2026-12-31T15:30+00:00")) == "2026年12月31日 23:30"
    assert reader.moment(datetime.fromisoformat("2026-12-31T16:30+00:00")) == "1月1日周五 00:30"


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Asia/Shanghai", "明天 01:00"),
        ("Asia/Urumqi", "今天 23:00"),
        ("Asia/Kathmandu", "今天 22:45"),
        ("America/New_York", "明天 12:00"),
        ("UTC", "今天 17:00"),
    ],
)
def test_a_moment_is_said_in_the_reader_s_zone(zone: str, said: str) -> None:
    assert Reader("zh", zone, NOON).moment(datetime(2026, 3, 4, 17, 0, tzinfo=UTC)) == said


def test_a_day_that_is_an_hour_short_is_still_tomorrow() -> None:
    eve = datetime(2026, 3, 7, 23, 30, tzinfo=ZoneInfo("America/New_York"))
    after = datetime(2026, 3, 8, 23, 30, tzinfo=ZoneInfo("America/New_York"))
    assert Reader("zh", "America/New_York", eve).moment(after) == "明天 23:30"


def test_a_text_in_a_text_is_said_in_the_reader_s_language() -> None:
    home = Say("where.home", building="3", entrance="2", room="1201")
    nested = Say("where.reporter", home=home)
    assert ZH.show(nested) == ALL["where.reporter"].format(home="3 号楼 2 单元 1201")
    assert EN.show(nested) == texts("en")["where.reporter"].format(home="Building 3, entrance 2, 1201")


def test_a_list_is_joined_in_the_reader_s_language() -> None:
    things = [Say("repair.place.lift"), "王师傅", 3]
    assert ZH.show(things) == "电梯、王师傅、3"
    assert EN.show(things) == "Lift, 王师傅, 3"


@pytest.mark.parametrize(
    "typed",
    ["{number}", "{", "}", "{0}", "{{x}}", "{what.__class__}", "<b>粗</b>", "*_`[a](b)", "%s", "\\n", "&lt;"],
)
def test_facts_are_shown_as_typed(typed: str) -> None:
    assert ZH.say("event.line", at="1", what=typed) == f"1 {typed}"
    assert (
        ZH.say("event.line", at="1", what=Say("event.done", note=typed))
        == f"1 {ALL['event.done'].format(note='')}{typed}"
    )
    assert ZH.show([typed, typed]) == f"{typed}、{typed}"


def test_a_key_without_a_text_is_an_error() -> None:
    with pytest.raises(KeyError):
        ZH.say("no.such.key")


MOMENTS = st.builds(
    lambda seconds, hours: datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours))),
    st.integers(0, 4_000_000_000),
    st.integers(-12, 14),
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), MOMENTS)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=6).filter(
    lambda name: name not in ("self", "key")
)


def deeper(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    says = st.builds(
        lambda key, facts: Say(key, **facts),
        st.sampled_from(["kind.lift", "repair.note"]),
        st.dictionaries(NAMES, values, max_size=3),
    )
    return st.one_of(says, st.lists(values, max_size=3))


FACTS = st.dictionaries(NAMES, st.recursive(PLAIN, deeper, max_leaves=8), max_size=4)


@RANDOM
@given(FACTS)
def test_packed_facts_are_json_and_come_back_the_same(facts: dict[str, Any]) -> None:
    assert unpack(json.loads(json.dumps(pack(facts)))) == facts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_takes_its_facts(language: str) -> None:
    """No text has a placeholder that asks for more than a fact: no position, attribute, index or format."""
    shapes = {
        key: field
        for key, text in texts(language).items()
        for _, field, form, conversion in string.Formatter().parse(text)
        if field is not None and (not re.fullmatch(r"[a-z]+", field) or form or conversion)
    }
    assert shapes == {}

"""Talks: a script's questions are asked, its answers are heard, and its end is performed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import select

from conversations import steps
from conversations.errors import Refused, Unclear
from conversations.said import Said
from conversations.steps import Answers, Confirm, Facts, LazyFacts, Photos, Script
from conversations.words import LANGUAGES, Say, normal, spoken, texts
from handlers.actions import action, perform
from handlers.policy import policy_of
from handlers.tell import Button, reader_of, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Place, Talk

# The value of a question's button: the talk, the step, and an option ("=lift") or a control ("!back").
VALUE = re.compile(r"(\d{1,17})\.(\w+)([=!])(.{1,40})", re.ASCII)


@dataclass(frozen=True)
class Known:
    """A script with what the world adds to it.

    `facts` gives the ways to find out what its questions need to know; `heard` sees each new answer and says True when
    it has taken the talk over. One whose answers count as they come may expire in silence.
    """

    script: Script
    facts: Callable[[Tx, Person, Answers], dict[str, Callable[[], Any]]]
    heard: Callable[[Tx, Person, Talk], bool] | None = None
    expires_in_silence: bool = False


SCRIPTS: dict[str, Known] = {}


def know(known: Known) -> None:
    """Let talks of this script be held."""
    SCRIPTS[known.script.name] = known


def _facts(tx: Tx, person: Person, talk: Talk) -> Facts:
    """What the script's matter knows, and how many photos of an open photo question have come."""
    known = SCRIPTS[talk.script]
    so_far = [
        len(talk.answers[name]["files"])
        for name, step in known.script.steps.items()
        if isinstance(step, Photos) and name in talk.answers and not step.complete(talk.answers[name])
    ]
    return LazyFacts({**known.facts(tx, person, talk.answers), "photos_so_far": lambda: sum(so_far)})


def open_talk(tx: Tx, person: Person, place: Place) -> Talk | None:
    """The talk that a person has open in a place."""
    return tx.session.exec(select(Talk).where(Talk.person_id == person.id, Talk.place_id == place.id)).first()


def start(tx: Tx, person: Person, script: str, *, about: str = "", answers: Answers | None = None) -> Talk:
    """Open a talk where the person has just spoken, instead of one that is open there, and ask its first question.

    `answers` are what is known already.
    """
    if tx.place is None:
        raise Refused("refused.unknown")
    before = open_talk(tx, person, tx.place)
    if before is not None:
        end(tx, before)
    talk = Talk(
        community_id=person.community_id,
        person_id=person.id,
        place_id=tx.place.id,
        script=script,
        about=about,
        answers=answers or {},
        touched_at=tx.now,
    )
    tx.session.add(talk)
    tx.session.flush()
    set_timer(tx, talk.community_id, f"talk.expire:{talk.id}", _expiry(tx, talk))
    _go_on(tx, person, talk)
    return talk


def end(tx: Tx, talk: Talk) -> None:
    """Close a talk."""
    stop_timer(tx, f"talk.expire:{talk.id}")
    tx.session.delete(talk)
    tx.session.flush()


def end_about(tx: Tx, about: str) -> None:
    """Close every talk about a matter that needs no more words."""
    for talk in tx.session.exec(select(Talk).where(Talk.about == about)).all():
        end(tx, talk)


def hear(tx: Tx, person: Person, talk: Talk, said: Said) -> None:
    """Take what was said as an answer to the open question (or as back, skip, cancel, change), and go on.

    Raises Unclear, with nothing changed, when it is none of these.
    """
    known = SCRIPTS[talk.script]
    facts = _facts(tx, person, talk)
    open_step = steps.pending(known.script, talk.answers, facts)
    if open_step is None:  # a release dropped the last question: nothing is left to ask
        _go_on(tx, person, talk)
        return
    step, control, chosen = _meaning(talk, known.script, facts, open_step, said)
    if control:
        _control(tx, person, talk, step, control)
        return
    question = known.script.steps[step]
    before = talk.answers.get(step)
    lead = ""
    try:
        found = {step: question.read(said, chosen, before)}
    except Unclear:
        found = _free(known.script, step, said, talk.answers, facts)
        if not found:
            raise
        lead = "" if step in found else "talk.noted"
    _keep(tx, person, talk, {**talk.answers, **found}, lead=lead)


def _free(script: Script, step: str, said: Said, answers: Answers, facts: Facts) -> Answers:
    """Free words read as answers to other questions than the open one; empty if they are none."""
    text = steps.visible(said.text)
    return script.free(step, text, answers, facts) if script.free and text else {}


def chooses(tx: Tx, person: Person, talk: Talk, text: str) -> bool:
    """Whether the text names an option of the open question, or back, skip, cancel, change."""
    script, facts, word = SCRIPTS[talk.script].script, _facts(tx, person, talk), normal(text)
    step = steps.pending(script, talk.answers, facts)
    if word in spoken("control") or step is None:
        return True
    return _typed_option(script, step, talk.answers, facts, word) is not None


def _meaning(talk: Talk, script: Script, facts: Facts, step: str, said: Said) -> tuple[str, str, str | None]:
    """The step that is spoken of, a control or "", and the chosen option or None."""
    if said.tap:
        return _tapped(talk, script, facts, said.tap)
    word = normal(said.text)
    control = spoken("control").get(word, "")
    if control:
        return step, control, None
    return step, "", _typed_option(script, step, talk.answers, facts, word)


def _tapped(talk: Talk, script: Script, facts: Facts, value: str) -> tuple[str, str, str | None]:
    """A button of an earlier question of the same talk changes that answer; one of another talk is stale."""
    match = VALUE.fullmatch(value)
    if match is None or int(match[1]) != talk.id or match[2] not in script.steps:
        raise Unclear("unclear.stale")
    step, choice = match[2], match[4]
    if match[3] == "!":
        return step, choice, None
    question = script.steps[step]
    done = isinstance(question, Photos) and choice == "done"
    if not done and choice not in [option.value for option in question.options(talk.answers, facts)]:
        raise Unclear("unclear.stale")
    return step, "", choice


def _typed_option(script: Script, step: str, answers: Answers, facts: Facts, word: str) -> str | None:
    """The option whose number, value or label (in any language) was typed."""
    options = script.steps[step].options(answers, facts)
    for number, option in enumerate(options, 1):
        labels = (
            [option.label]
            if option.label
            else [texts(language)[_label_key(script, step, option.value)] for language in LANGUAGES]
        )
        if word in {option.number or str(number), *(normal(label) for label in labels)}:
            return option.value
    return None


def _words(script: Script, step: str) -> str:
    return f"{script.words or script.name}.{step}"


def _label_key(script: Script, step: str, value: str) -> str:
    return f"{_words(script, step)}.{value}"


def _control(tx: Tx, person: Person, talk: Talk, step: str, control: str) -> None:
    known = SCRIPTS[talk.script]
    facts = _facts(tx, person, talk)
    question = known.script.steps[step]
    if control == "cancel":
        end(tx, talk)
        tell(tx, here(tx, person), "talk.cancelled", buttons=("help",))
    elif control == "back":
        answers = steps.back(known.script, talk.answers, facts)
        if answers == talk.answers:
            ask(tx, person, talk, lead="talk.first")
        else:
            _keep(tx, person, talk, answers, new=False)
    elif control == "skip" and question.optional:
        files = (talk.answers.get(step) or {}).get("files") if isinstance(question, Photos) else None
        _keep(tx, person, talk, {**talk.answers, step: {"files": files, "done": True} if files else None})
    elif control == "skip":
        raise Unclear("unclear.needed")
    elif control == "change" and isinstance(question, Confirm):
        _offer_changes(tx, person, talk)
    elif control == "drop":
        _keep(tx, person, talk, steps.change(known.script, talk.answers, step), new=False)
    else:
        raise Unclear("unclear.stale")


def _offer_changes(tx: Tx, person: Person, talk: Talk) -> None:
    known = SCRIPTS[talk.script]
    names = steps.answered(known.script, talk.answers, _facts(tx, person, talk))
    buttons = [Button(f"{talk.id}.{name}!drop", f"{_words(known.script, name)}.name") for name in names]
    tell(tx, here(tx, person), "talk.change", buttons=buttons)


def _keep(tx: Tx, person: Person, talk: Talk, answers: Answers, *, new: bool = True, lead: str = "") -> None:
    """Store the answers, let the matter see them if they are new, and go on unless it took the talk over."""
    talk.answers, talk.touched_at = answers, tx.now
    tx.session.add(talk)
    tx.session.flush()
    heard = SCRIPTS[talk.script].heard
    if not (new and heard is not None and heard(tx, person, talk)):
        _go_on(tx, person, talk, lead=lead)


def _go_on(tx: Tx, person: Person, talk: Talk, *, lead: str = "") -> None:
    """Ask the next question, or perform the end of the talk."""
    known = SCRIPTS[talk.script]
    facts = _facts(tx, person, talk)
    if steps.pending(known.script, talk.answers, facts) is not None:
        ask(tx, person, talk, lead=lead)
        return
    answers = steps.final(known.script, talk.answers, facts)
    subject = talk.about.partition(":")[2]
    end(tx, talk)
    perform(tx, person, f"{known.script.finish}:{subject}" if subject else known.script.finish, **answers)


def ask(tx: Tx, person: Person, talk: Talk, *, lead: str = "", **lead_facts: Any) -> None:
    """Ask the open question; `lead` is the key of words to say before it."""
    script, facts = SCRIPTS[talk.script].script, _facts(tx, person, talk)
    step = steps.pending(script, talk.answers, facts)
    if step is None:
        return
    reader = reader_of(tx, person)
    tell(
        tx,
        here(tx, person),
        _question(script, step, facts),
        buttons=_buttons(talk, script, step, facts),
        lead=reader.say(lead, **lead_facts) if lead else "",
        summary=_summary(reader, script, talk.answers, facts)
        if isinstance(script.steps[step], Confirm)
        else "",
        count=facts.get("photos_so_far", 0),
        left=_left(script.steps[step], facts),
    )


def here(tx: Tx, person: Person) -> Person | Place:
    """Where an answer to the person goes: the group if they spoke there, else their own chat."""
    return tx.place if tx.place is not None and tx.place.kind != "private" else person


def _question(script: Script, step: str, facts: Facts) -> str:
    if isinstance(script.steps[step], Photos) and facts.get("photos_so_far"):
        return "photos.more"
    return f"{script.name}.{step}.ask"


def _left(step: steps.Step, facts: Facts) -> int:
    return step.most - facts.get("photos_so_far", 0) if isinstance(step, Photos) else 0


def _buttons(talk: Talk, script: Script, step: str, facts: Facts) -> list[Button]:
    question = script.steps[step]
    buttons = [
        Button(
            f"{talk.id}.{step}={option.value}",
            "" if option.label else _label_key(script, step, option.value),
            option.label,
        )
        for option in question.options(talk.answers, facts)
    ]
    controls = ["skip"] if question.optional and not facts.get("photos_so_far") else []
    controls += ["change"] if isinstance(question, Confirm) else []
    controls += ["back"] if steps.back(script, talk.answers, facts) != talk.answers else []
    controls += ["cancel"]
    return buttons + [Button(f"{talk.id}.{step}!{name}", f"control.{name}") for name in controls]


def _summary(reader: Any, script: Script, answers: Answers, facts: Facts) -> str:
    """One line an answer: 位置：电梯."""
    lines = []
    for name in steps.answered(script, answers, facts):
        label = reader.say(f"{_words(script, name)}.name")
        lines.append(reader.say("talk.line", name=label, value=_shown(script, name, answers, facts)))
    return "\n".join(lines)


def _shown(script: Script, name: str, answers: Answers, facts: Facts) -> Any:
    answer, step = answers[name], script.steps[name]
    if answer is None:
        return Say("talk.none")
    if isinstance(step, Photos):
        return len(answer["files"])
    for option in step.options(answers, facts):
        if option.value == answer:
            return option.label or Say(_label_key(script, name, option.value))
    return answer


def _expiry(tx: Tx, talk: Talk) -> Any:
    return talk.touched_at + timedelta(hours=policy_of(tx, talk.community_id).talk_hours)


@action("talk.expire", Talk)
def expire(tx: Tx, person: Person | None, talk: Talk) -> None:
    """A talk left alone is closed with a word to its owner; one that was touched since gets more time."""
    if _expiry(tx, talk) > tx.now:
        set_timer(tx, talk.community_id, f"talk.expire:{talk.id}", _expiry(tx, talk))
        return
    owner = tx.session.get_one(Person, talk.person_id)
    end(tx, talk)
    if not SCRIPTS[talk.script].expires_in_silence:
        tell(tx, owner, "talk.expired", buttons=("help",))

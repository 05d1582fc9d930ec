"""Talks: a script's questions are asked, its answers are heard, and its end is performed."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import col, select

from conversations import steps
from conversations.errors import NotNow, Refused, Unclear
from conversations.money import yuan
from conversations.said import File, Said
from conversations.steps import (
    Answers,
    Choice,
    Confirm,
    Facts,
    LazyFacts,
    Money,
    Option,
    Photos,
    Script,
    Text,
    file_problem,
    taken_in,
    whole_number,
)
from conversations.words import LANGUAGES, Say, normal, spoken, texts
from handlers.actions import action, is_grave, perform
from handlers.policy import policy_of
from handlers.reach import ask_for_consent
from handlers.tell import Button, close_last, reader_of, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Place, Talk

# The value of a question's button: the talk, the step, and an option ("=lift") or a control ("!back").
VALUE = re.compile(r"(\d{1,17})\.(\w+)([=!])(.{1,40})", re.ASCII)
CHOSEN = re.compile(r"(?:我?选第?|第)?([0-9０-９一二两三四五六七八九十]{1,3})(?:个|号|吧|项|条)*")
BUILDING = re.compile(r"([0-9一二两三四五六七八九十]{1,3})(?:号楼|号|楼|栋|幢|座)")
WAYS_ON = ("my", "help", "language", "purchases")
FILES = ("photo", "voice", "video", "file")
LONGEST_NUMBER = 2
"""Digits of a number by which one chooses."""


@dataclass(frozen=True)
class Known:
    """A script with what the world adds to it.

    `facts` gives the ways to find out what its questions need to know; `heard` sees the names of new answers and says
    True when it has taken the talk over; `urgent` takes a sentence of danger that was said in the midst of the talk;
    `dropped` says True when it has rescued what another talk pushes aside; `about` are facts for the words of the
    questions, such as whom they are about; `photos` are what is shown with the last look. One whose answers count as
    they come may end in silence.
    """

    script: Script
    facts: Callable[[Tx, Person, Answers], dict[str, Callable[[], Any]]]
    heard: Callable[[Tx, Person, Talk, Collection[str]], bool] | None = None
    urgent: Callable[[Tx, Person, Talk, str, Sequence[File]], None] | None = None
    dropped: Callable[[Tx, Person, Talk], bool] | None = None
    about: Callable[[Tx, Talk], dict[str, Any]] | None = None
    photos: Callable[[Tx, Person, Talk], Sequence[int]] | None = None
    ends_in_silence: bool = False


SCRIPTS: dict[str, Known] = {}


def no_facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """Questions that need to know nothing."""
    return {}


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


def start(
    tx: Tx,
    person: Person,
    script: str,
    *,
    about: str = "",
    answers: Answers | None = None,
    lead: str = "",
    **lead_facts: Any,
) -> Talk:
    """Open a talk where the person has just spoken, instead of one that is open there, and ask its first question.

    `answers` are what is known already; `lead` is the key of words to say before the question. The same talk asked for
    again goes on where it was.
    """
    if tx.place is None:
        raise Refused("refused.unknown")
    before = open_talk(tx, person, tx.place)
    if before is not None:
        if (before.script, before.about) == (script, about) and not answers:
            ask(tx, person, before)
            return before
        _drop(tx, person, before)
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
    _go_on(tx, person, talk, lead=lead, **lead_facts)
    return talk


def take(tx: Tx, person: Person, talk: Talk, answers: Answers, lead: str, **lead_facts: Any) -> None:
    """Take answers that were given otherwise than to the open question, and go on; `lead` as in `start`."""
    changed = {name for name, answer in answers.items() if talk.answers.get(name) != answer}
    _keep(tx, person, talk, answers, changed=changed, lead=lead, **lead_facts)


def _drop(tx: Tx, person: Person, talk: Talk) -> None:
    """Close a talk for another; what was in it is rescued, or the person hears that it was not submitted."""
    known = SCRIPTS[talk.script]
    end(tx, talk)
    if known.dropped is not None and known.dropped(tx, person, talk):
        return
    if talk.answers and not known.ends_in_silence:
        tell(tx, here(tx, person), "talk.dropped")


def end(tx: Tx, talk: Talk) -> None:
    """Close a talk. StaleDataError if another transaction has closed it in the meantime: a talk ends once."""
    stop_timer(tx, f"talk.expire:{talk.id}")
    close_last(tx, f"talk:{talk.id}", talk.place_id)
    tx.session.flush()
    gone = tx.session.connection().execute(delete(Talk).where(col(Talk.id) == talk.id))
    if not gone.rowcount:
        raise StaleDataError(f"talk {talk.id}")
    tx.session.expunge(talk)


def end_about(tx: Tx, about: str, script: str = "") -> None:
    """Close every talk about a matter that needs no more words, or those of one script."""
    for talk in tx.session.exec(select(Talk).where(Talk.about == about)).all():
        if script in ("", talk.script):
            end(tx, talk)


def end_all(tx: Tx, person: Person) -> None:
    """Close every talk of somebody whose rights have changed; a danger that was told is rescued all the same."""
    for talk in tx.session.exec(select(Talk).where(Talk.person_id == person.id)).all():
        end(tx, talk)
        dropped = SCRIPTS[talk.script].dropped
        if dropped is not None:
            dropped(tx, person, talk)


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
    found, lead = _understood(known.script, step, said, chosen, answers=talk.answers, facts=facts)
    _keep(tx, person, talk, {**talk.answers, **found}, changed=found, lead=lead)


def _understood(
    script: Script, step: str, said: Said, chosen: str | None, *, answers: Answers, facts: Facts
) -> tuple[Answers, str]:
    """The answers in one message, to the question and to others, and the key of what to say first about it."""
    question = script.steps[step]
    if isinstance(question, Text) and chosen is not None:
        said = said.model_copy(update={"text": question.suggested(chosen, facts)})
    unclear: Unclear | None = None
    found: Answers = {}
    try:
        found[step] = question.read(said, chosen, answers.get(step))
    except Unclear as error:
        unclear = error
    recordings = any(each.recordings for each in _photo_steps(script).values())
    documents = any(each.documents for each in _photo_steps(script).values())
    if chosen is not None and said.files:  # an option that was said aloud is all that the voice message holds
        said = said.model_copy(update={"files": tuple(file for file in said.files if not file.heard)})
    sent = taken_in(said, recordings=recordings, documents=documents)
    lead = file_problem(said, recordings=recordings, documents=documents)
    if unclear is not None and lead and not steps.visible(said.text):
        unclear = Unclear(lead)
    if sent and not isinstance(question, Photos):
        found |= _kept_files(script, said, answers)
        if any(_too_many(script.steps[name], sent, answers.get(name)) for name in found):
            lead = _enough(recordings=recordings, documents=documents)
        elif unclear is not None and documents:
            lead = "photos.kept_documents"
        elif unclear is not None:
            lead = "photos.kept_files" if steps.recorded(sent) else "photos.kept"
    elif sent and _too_many(question, sent, answers.get(step)):
        lead = _enough(recordings=recordings, documents=documents)
    if unclear is not None or (sent and isinstance(question, Photos)):
        free = _free(script, step, said, {**answers, **found}, facts)
        if free and step not in free and unclear is not None:
            lead = "talk.noted"
        found |= free
    if unclear is not None and not found:
        raise unclear
    return found, lead


def _enough(*, recordings: bool, documents: bool) -> str:
    """The key of what to say when some files were too many."""
    if documents:
        return "photos.enough_documents"
    return "photos.enough_files" if recordings else "photos.enough"


def _photo_steps(script: Script) -> dict[str, Photos]:
    return {name: step for name, step in script.steps.items() if isinstance(step, Photos)}


def _too_many(step: steps.Step, files: Sequence[File], before: Any) -> bool:
    """Whether some of the files are not taken."""
    return isinstance(step, Photos) and len((before or {}).get("files", [])) + len(files) > step.most


def _kept_files(script: Script, said: Said, answers: Answers) -> Answers:
    """Photos and recordings that came with the answer to another question, for the one that asks for them."""
    return {
        name: step.read(said, None, answers.get(name))
        for name, step in _photo_steps(script).items()
        if step.taken(said)
    }


def _free(script: Script, step: str, said: Said, answers: Answers, facts: Facts) -> Answers:
    """Free words read as answers to other questions than the open one; empty if they are none."""
    text = steps.visible(said.text)
    word = normal(text)
    slip = word.isdigit() and len(word) <= LONGEST_NUMBER  # "1201" in an emergency is a room
    early = word in _ending(script)  # said before there was anything to end, or twice
    again = _stands(script, answers, facts, word)  # whoever hears nothing at once types it once more
    if (
        not word  # nothing, or marks alone
        or script.free is None
        or any(word in spoken(kind) for kind in ("answer", "chatter", "puzzled"))
        or slip
        or early
        or again
    ):
        return {}
    return script.free(step, text, answers, facts)


def _ending(script: Script) -> set[str]:
    """The labels by which the photos, and the last look at a script's answers, come to their end."""
    ending = [(name, step.yes) for name, step in script.steps.items() if isinstance(step, (Photos, Confirm))]
    return {label for name, yes in ending for label in _labels(script, name, Option(yes))}


def _stands(script: Script, answers: Answers, facts: Facts, word: str) -> bool:
    """Whether it is the label of an option that was chosen already."""
    return any(
        option.value == answers[name] and word in _labels(script, name, option)
        for name in steps.answered(script, answers, facts)
        for option in script.steps[name].options(answers, facts)
    )


def _labels(script: Script, step: str, option: Option) -> list[str]:
    """What may be typed for an option, in all languages."""
    key = _label_key(script, step, option.value)
    return [
        normal(each)
        for each in ([option.label] if option.label else [texts(each)[key] for each in LANGUAGES])
    ]


def interrupt(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> bool:
    """Let a talk take a sentence of danger that was said in its midst; False if it does not know how."""
    urgent = SCRIPTS[talk.script].urgent
    if urgent is not None:
        urgent(tx, person, talk, text, files)
    return urgent is not None


def expects_words(tx: Tx, person: Person, talk: Talk) -> bool:
    """Whether the open question wants free words, so that even the label of a button is an answer."""
    script = SCRIPTS[talk.script].script
    step = steps.pending(script, talk.answers, _facts(tx, person, talk))
    return step is not None and isinstance(script.steps[step], Text)


def chooses(tx: Tx, person: Person, talk: Talk, text: str) -> bool:
    """Whether the text names an option of the open question, or back, skip, cancel, change."""
    script, facts, word = SCRIPTS[talk.script].script, _facts(tx, person, talk), normal(text)
    step = steps.pending(script, talk.answers, facts)
    if word in spoken("control") or step is None:
        return True
    if _means_none(script.steps[step], word):
        return True
    aloud = tx.place is not None and tx.place.kind != "private"
    if not aloud and _named_answer(script, step, talk.answers, facts, word):
        return True
    return _typed_option(script, step, talk.answers, facts, text, aloud=aloud) is not None


def _meaning(talk: Talk, script: Script, facts: Facts, step: str, said: Said) -> tuple[str, str, str | None]:
    """The step that is spoken of, a control or "", and the chosen option or None."""
    if said.tap:
        return _tapped(talk, script, facts, said.tap)
    word = normal(said.text)
    control = spoken("control").get(word, "")
    if not control and _means_none(script.steps[step], word):
        control = "skip"
    if control:
        return step, control, None
    aloud = said.place_kind == "group"
    named = "" if aloud else _named_answer(script, step, talk.answers, facts, word)
    if named:
        return named, "drop", None
    return step, "", _typed_option(script, step, talk.answers, facts, said.text, aloud=aloud)


def _means_none(step: steps.Step, word: str) -> bool:
    """Whether it says that there is nothing to answer, or nothing more."""
    no = spoken("answer").get(word) == "no" or (isinstance(step, Photos) and word in spoken("photos"))
    unknown = isinstance(step, Money) and word in spoken("money")
    return step.optional and (no or unknown)


def _named_answer(script: Script, step: str, answers: Answers, facts: Facts, word: str) -> str:
    """The answer whose name was typed under the last look, to change it; "" if none was."""
    if not isinstance(script.steps[step], Confirm):
        return ""
    for name in steps.answered(script, answers, facts):
        key = f"{_words(script, name)}.name"
        if word in [normal(texts(language).get(key, "")) for language in LANGUAGES]:
            return name
    return ""


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


def _typed_option(
    script: Script, step: str, answers: Answers, facts: Facts, text: str, *, aloud: bool = False
) -> str | None:
    """The option whose number or label (in any language) was typed, the one label that begins so, or a yes or no.

    Said `aloud`, among colleagues who say yes and numbers to each other, only a label confirms.
    """
    question, word = script.steps[step], normal(text)
    options = question.options(answers, facts)
    begun = set()
    for number, option in enumerate(options, 1):
        plain = _labels(script, step, option)
        if word in plain:
            return option.value
        if aloud and isinstance(question, Confirm):
            continue
        if number_in(word) == (option.number or str(number)) or (
            option.number and _building_in(word) == option.number
        ):
            return option.value
        chooses = isinstance(question, (Choice, Photos, Confirm))  # elsewhere words may be one's own
        if chooses and len(word) > 1 and any(label.startswith(word) for label in plain):
            begun.add(option.value)
    if aloud and isinstance(question, Confirm):
        return None
    # Whoever says "是的，正在发生" has said yes; but "好，早点来" under the last look is more than a yes.
    first = normal(re.split("[，,。.!！ ]", text.strip())[0]) if isinstance(question, Choice) else word
    meant = {"yes": question.yes, "no": question.no}.get(spoken("answer").get(first, ""), "")
    if meant and meant in [option.value for option in options]:
        return meant
    return begun.pop() if len(begun) == 1 else None


def numbers(buttons: Sequence[dict[str, str]]) -> list[str]:
    """What number to type for each button of a message, "" for those that are typed by their words.

    Those are, of a question, back and cancel and the like; of other messages, what could not be undone, and mere ways
    on, which must not take the numbers of what stands above them.
    """
    asks, made, place = any(VALUE.fullmatch(each["value"]) for each in buttons), list[str](), 0
    if all(each["value"] in WAYS_ON for each in buttons):
        return [""] * len(buttons)
    for each in buttons:
        question = VALUE.fullmatch(each["value"])
        numbered = question[3] == "=" if question else not asks and not is_grave(each["value"])
        place += numbered
        made.append((each.get("typed") or str(place)) if numbered else "")
    return made


def number_in(word: str) -> str:
    """The number by which somebody chooses: "2", "２", "二", "第二个", "选2", "2号"; else the word itself."""
    found = CHOSEN.fullmatch(word)
    number = whole_number(found[1]) if found is not None else None
    return word if number is None else str(number)


def _building_in(word: str) -> str:
    """The number of a building as people write it: "三号楼", "3栋"; empty if it is none."""
    found = BUILDING.fullmatch(word)
    number = whole_number(found[1]) if found is not None else None
    return "" if number is None else str(number)


def _words(script: Script, step: str) -> str:
    return f"{script.words or script.name}.{step}"


def _label_key(script: Script, step: str, value: str) -> str:
    """A script that borrows its words may have its own for an option."""
    own = f"{script.name}.{step}.{value}"
    return own if own in texts("zh") else f"{_words(script, step)}.{value}"


def _control(tx: Tx, person: Person, talk: Talk, step: str, control: str) -> None:
    known = SCRIPTS[talk.script]
    facts = _facts(tx, person, talk)
    question = known.script.steps[step]
    if control == "cancel":
        end(tx, talk)
        if known.ends_in_silence:  # its answers counted as they came: the matter goes on
            tell(tx, here(tx, person), "talk.asks_no_more", buttons=("my",))
        else:
            tell(tx, here(tx, person), "talk.cancelled", buttons=("help",))
    elif control == "back":
        answers = steps.back(known.script, talk.answers, facts)
        if answers == talk.answers:
            ask(tx, person, talk, lead="talk.first")
        else:
            _keep(tx, person, talk, answers)
    elif control == "skip" and question.optional:
        files = (talk.answers.get(step) or {}).get("files") if isinstance(question, Photos) else None
        skipped = {step: {"files": files, "done": True} if files else None}
        _keep(tx, person, talk, {**talk.answers, **skipped}, changed=skipped)
    elif control == "skip":
        raise Unclear("unclear.needed")
    elif control == "change":
        _offer_changes(tx, person, talk)
    elif control == "drop":
        _keep(tx, person, talk, steps.change(known.script, talk.answers, step))
    else:
        raise Unclear("unclear.stale")


def _offer_changes(tx: Tx, person: Person, talk: Talk) -> None:
    known = SCRIPTS[talk.script]
    names = steps.answered(known.script, talk.answers, _facts(tx, person, talk))
    names = [name for name in names if not isinstance(known.script.steps[name], Confirm)]
    if not names:
        ask(tx, person, talk, lead="talk.first")
        return
    buttons = [Button(f"{talk.id}.{name}!drop", f"{_words(known.script, name)}.name") for name in names]
    tell(tx, here(tx, person), "talk.change", buttons=buttons, last=f"talk:{talk.id}")


def _keep(
    tx: Tx,
    person: Person,
    talk: Talk,
    answers: Answers,
    *,
    changed: Collection[str] = (),
    lead: str = "",
    **lead_facts: Any,
) -> None:
    """Store the answers, let the matter see which are new, and go on unless it took the talk over."""
    talk.answers, talk.touched_at = answers, tx.now
    tx.session.add(talk)
    tx.session.flush()
    heard = SCRIPTS[talk.script].heard
    if heard is None or not heard(tx, person, talk, changed):
        _go_on(tx, person, talk, lead=lead, **lead_facts)


def _go_on(tx: Tx, person: Person, talk: Talk, *, lead: str = "", **lead_facts: Any) -> None:
    """Ask the next question, or perform the end of the talk."""
    known = SCRIPTS[talk.script]
    facts = _facts(tx, person, talk)
    if steps.pending(known.script, talk.answers, facts) is not None:
        ask(tx, person, talk, lead=lead, **lead_facts)
        return
    answers = steps.final(known.script, talk.answers, facts)
    subject = talk.about.partition(":")[2]
    end(tx, talk)
    try:
        perform(tx, person, f"{known.script.finish}:{subject}" if subject else known.script.finish, **answers)
    except NotNow:
        raise
    except Refused as error:
        error.ends = talk.id
        raise
    ask_for_consent(tx)


def ask(tx: Tx, person: Person, talk: Talk, *, lead: str = "", **lead_facts: Any) -> None:
    """Ask the open question; `lead` is the key of words to say before it."""
    script, facts = SCRIPTS[talk.script].script, _facts(tx, person, talk)
    step = steps.pending(script, talk.answers, facts)
    if step is None:
        return
    reader = reader_of(tx, here(tx, person))
    about, photos = SCRIPTS[talk.script].about, SCRIPTS[talk.script].photos
    last_look = isinstance(script.steps[step], Confirm)
    tell(
        tx,
        here(tx, person),
        _question(script, step, facts, talk.answers),
        buttons=_buttons(talk, script, step, facts),
        last=f"talk:{talk.id}",
        lead=reader.say(lead, **lead_facts) if lead else "",
        summary=_summary(reader, script, talk.answers, facts) if last_look else "",
        photos=photos(tx, person, talk) if photos is not None and last_look else (),
        count=facts.get("photos_so_far", 0),
        left=_left(script.steps[step], facts),
        **(about(tx, talk) if about is not None else {}),
    )


def here(tx: Tx, person: Person) -> Person | Place:
    """Where an answer to the person goes: the group if they spoke there, else their own chat."""
    return tx.place if tx.place is not None and tx.place.kind != "private" else person


def _question(script: Script, step: str, facts: Facts, answers: Answers) -> str:
    if isinstance(script.steps[step], Photos) and facts.get("photos_so_far"):
        only_photos = all(each["kind"] == "photo" for each in answers[step]["files"])
        return "photos.more" if only_photos else "photos.more_files"
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
            typed=option.number,
        )
        for option in question.options(talk.answers, facts)
    ]
    begun = isinstance(question, Photos) and facts.get("photos_so_far")
    controls = ["skip"] if question.optional and not begun else []
    earlier = steps.back(script, talk.answers, facts) != talk.answers
    controls += ["change"] if earlier and isinstance(question, Confirm) else []
    controls += ["back"] if earlier else []
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
        return _files_shown(step, answer["files"])
    if isinstance(step, Money):
        return Say("money.yuan", amount=yuan(answer))
    if isinstance(step, Text):
        return answer
    for option in step.options(answers, facts):
        if option.value == answer:
            return option.label or Say(_label_key(script, name, option.value))
    return answer


def _files_shown(step: Photos, files: Sequence[dict[str, Any]]) -> Any:
    """How many photos; where other files are taken, too, how many of each kind."""
    if not (step.recordings or step.documents):
        return len(files)
    counted = Counter(file["kind"] for file in files)
    return [Say(f"files.{kind}", count=counted[kind]) for kind in FILES if counted[kind]]


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
    if not SCRIPTS[talk.script].ends_in_silence:
        tell(tx, owner, "talk.expired", buttons=("help",))

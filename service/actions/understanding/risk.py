"""Judges how soon a person must look. Rules find what was said; what stands around may lower a tier, never silence it.

Lowering follows facts known from other screens: every rule that removes a hit costs recall, so first-person words of
suicide, self-harm or abuse always keep human review, whatever surrounds them.
"""

import re
from collections.abc import Sequence
from functools import cache

from service.actions.understanding import weights
from service.actions.understanding.cues import read_cues
from service.actions.understanding.labels import Risk
from service.actions.understanding.lexicon import Lexicon, lexicon
from service.actions.understanding.normalise import Text, fold, normalise
from service.actions.understanding.patterns import Compiler
from service.actions.understanding.rulebook import Hit

_RANK = {Risk.NONE: 0, Risk.CONCERN: 1, Risk.IMMINENT: 2}
_LINKS = """
, i am is are was be been being have had has having do did would will want wanting wish to a an any the even really
actually at all feeling feel feels felt going think thinking about of that it me my ever currently actively so planning
longer right now as intention plan plans thought thoughts way estoy he tengo soy siento voy quiero se pienso
pensamientos de en tan muy una un
"""
_NEGATION = "not never without nor no nunca jamas ni tampoco nobody stopped quit avoid deje dejo zero less"
_NEGATIONS = re.compile(rf" (?:{'|'.join(_NEGATION.split())})(?= )")
_OWN = re.compile(r" (?:i|me|my|myself|mi|yo|[a-z]+(?:ar|er|ir|and|iend)ome|[a-z]+(?:ar|er|ir)me) ")
_NEGATED = re.compile(rf" (?<!why )(?:{'|'.join(_NEGATION.split())})(?: (?:{'|'.join(_LINKS.split())}))* $")
"""A word of negation with nothing but small words between it and the hit."""


def higher(one: Risk, other: Risk) -> Risk:
    """The more urgent of two tiers."""
    return one if _RANK[one] >= _RANK[other] else other


def judge(
    text: Text, context: Sequence[str], asked_about_safety: bool, telling: bool = False
) -> tuple[Risk, list[str]]:
    """The tier of a text and the names of the rules behind it. Words in quotation marks are judged too, at most as a
    concern; a bare answer is judged against what we last asked. In what is told to others (`telling`) the mere weight
    of words has to be greater."""
    risk, reasons = _judge_words(text.words, telling)
    if text.quoted:
        quoted, names = _judge_words(text.quoted, telling)
        if quoted is not Risk.NONE:
            risk = higher(risk, Risk.CONCERN)
            reasons += [f"{name} (quoted)" for name in names]
    answered, name = _judge_answer(text, context, asked_about_safety)
    if answered is not Risk.NONE:
        risk = higher(risk, answered)
        reasons.append(name)
    return risk, reasons


def _judge_words(words: str, telling: bool) -> tuple[Risk, list[str]]:
    book = lexicon()
    bare = mask(words, book)
    noticed, imminent = weights.scores(bare, "noticed", "imminent")
    risk, reasons, firm = Risk.NONE, [], False
    for hit in book.books["risk"].hits(bare):
        if "soft" in hit.rule.marks and "added" not in hit.rule.marks and noticed < weights.SOFT:
            continue
        tier, why = _weigh(hit, bare)
        if tier is not Risk.NONE:
            risk = higher(risk, tier)
            firm = firm or (tier is Risk.IMMINENT and bool({"firm", "added"} & hit.rule.marks))
            name = f"{hit.rule.name}{why}"
            if name not in reasons:
                reasons.append(name)
    for tier, name in read_cues(bare, is_negated):
        if tier is Risk.CONCERN and noticed < weights.SOFT:
            continue
        risk = higher(risk, tier)
        reasons.append(name)
    if risk is Risk.IMMINENT and not firm and imminent < weights.LOWERED:
        return Risk.CONCERN, [*reasons, "weight of words: no emergency"]
    return _weigh_words(noticed, imminent, risk, reasons, telling)


def _weigh_words(
    noticed: float, imminent: float, risk: Risk, reasons: list[str], telling: bool
) -> tuple[Risk, list[str]]:
    """Raises a tier where the words weigh for it. For what a rule has lowered to a concern they have to weigh more,
    unless it was lowered only for being someone else's."""
    if risk is Risk.IMMINENT:
        return risk, reasons
    alone_noticed, alone_imminent = weights.TOLD_ALONE if telling else weights.ALONE
    if risk is Risk.CONCERN:
        lowered = any("(" in name and "(someone else)" not in name for name in reasons)
        raised = imminent >= (weights.RAISED if lowered else weights.IMMINENT)
    else:
        raised = noticed >= alone_noticed and imminent >= alone_imminent
        sure_noticed, sure_imminent = weights.SURELY
        raised = raised or (not telling and noticed >= sure_noticed and imminent >= sure_imminent)
    if raised:
        return Risk.IMMINENT, [*reasons, "weight of words: imminent"]
    if risk is Risk.NONE and noticed >= (weights.TOLD if telling else weights.NOTICED):
        return Risk.CONCERN, [*reasons, "weight of words: concern"]
    return risk, reasons


_SENTENCES = re.compile(r"[.?]")
_CLAUSES = re.compile(r"[.?,]| (?:and|but|so|because|y|pero|porque) ")


def in_doubt(text: Text, *, alone: bool) -> bool:
    """Whether a text that asks us to stop may be more than that: a farewell can read like an opt-out. `alone` says that
    no rule heard the stop, only the weight of the words.

    Each part of it is weighed by itself, too, since words of stopping speak against a worry: "unsub. y'all are sweet
    but I'd rather be forgotten". Idioms are not taken out: what is one elsewhere may be a farewell here.
    """
    least, ends = (weights.DOUBT_ALONE, _SENTENCES) if alone else (weights.DOUBT, _CLAUSES)
    parts = [text.words, *(f" {part.strip()} " for part in ends.split(text.words) if part.strip())]
    return any(weights.scores(part, "noticed")[0] >= least for part in parts)


def is_negated(before: str) -> bool:
    """Whether the words before a hit deny it, and deny it once."""
    denied = _NEGATED.search(before)
    return denied is not None and len(_NEGATIONS.findall(denied.group())) == 1


def mask(words: str, book: Lexicon) -> str:
    """The words with harmless idioms taken out."""
    for hit in sorted(book.books["mask"].hits(words), key=lambda hit: hit.start, reverse=True):
        if words[hit.start : hit.end].strip():
            words = words[: hit.start] + "idiom " + words[hit.end :]
    return re.sub(r" +", " ", words)


@cache
def _surroundings() -> dict[str, re.Pattern[str]]:
    """What around a hit may lower it, from the classes of those names."""
    compiler = Compiler(lexicon().classes)
    names = (
        "joke",
        "fiction",
        "past",
        "past_verb",
        "present",
        "recovered",
        "lost",
        "someone_else",
        "serious",
    )
    found = {name: re.compile("(?<= )" + compiler.named(name).regex) for name in names}
    found["subject"] = re.compile(
        "(?<= )" + compiler.named("someone_else").regex + r"(?:(?!i |we |me |me[.,?] )[^ .?]+ ){0,5}$"
    )
    return found


def _weigh(hit: Hit, words: str) -> tuple[Risk, str]:
    """The tier of one hit in its surroundings, and a word on why it was lowered, if it was."""
    tier, marks = Risk(hit.rule.label), hit.rule.marks
    if "firm" in marks:
        return tier, ""
    start = max(words.rfind(". ", 0, hit.start), words.rfind("? ", 0, hit.start)) + 1
    ends = [end for end in (words.find(" . ", hit.end - 1), words.find(" ? ", hit.end - 1)) if end >= 0]
    before, said = words[start : hit.start].rstrip() + " ", words[hit.start : hit.end]
    why = _lowered(before, said, words[start : min(ends, default=len(words)) + 1], words, marks)
    if not why:
        return tier, ""
    return (Risk.NONE if "soft" in marks and why != "someone else" else Risk.CONCERN), f" ({why})"


def _lowered(before: str, said: str, sentence: str, words: str, marks: frozenset[str]) -> str:
    """Why a hit counts for less, or nothing."""
    around = _surroundings()
    own = _OWN.search(f" {said}") is not None
    if "safety" not in marks and is_negated(before):
        return "negated"
    if around["fiction"].search(sentence):
        return "fiction"
    told = f"{' '.join(before.split()[-4:])} {said}"
    if around["past_verb"].search(f" {told}"):
        still = around["present"].search(around["recovered"].sub("", words))
        if around["recovered"].search(words) or (around["past"].search(sentence) and not still):
            return "past"
    lost = around["lost"].search(before) is not None
    if not own and not {"danger", "safety"} & marks and (lost or around["subject"].search(before)):
        return "someone else" if lost or "medical" not in marks else ""
    if around["joke"].search(words) and not around["serious"].search(words):
        return "jest"
    return ""


def _judge_answer(text: Text, context: Sequence[str], asked_about_safety: bool) -> tuple[Risk, str]:
    """Rule of conversation 1: a bare YES, NO, 1 or ME TOO means what we had asked."""
    last = context[-1] if context else ""
    asked = {hit.rule.label for hit in lexicon().books["asked"].hits(_words_of(last))} if last else set()
    if asked_about_safety and not asked:
        asked = {"suicide"}
    if not asked:
        return Risk.NONE, ""
    said = {hit.rule.label for hit in lexicon().books["short_answer"].hits(text.words)}
    for question, answer, tier in (
        ("suicide", "yes", Risk.IMMINENT),
        ("suicide", "unsure", Risk.IMMINENT),
        ("suicide", "me_too", Risk.IMMINENT),
        ("suicide", "no", Risk.CONCERN),
        ("safe", "no", Risk.IMMINENT),
        ("safe", "unsure", Risk.IMMINENT),
        ("safe", "yes", Risk.CONCERN),
        ("story", "me_too", Risk.CONCERN),
        ("story", "yes", Risk.CONCERN),
    ):
        if question in asked and answer in said:
            return tier, f"answers a question about {question}: {answer}"
    return (Risk.NONE, "") if "story" in asked else (Risk.CONCERN, "answers a question about safety")


def _words_of(text: str) -> str:
    return normalise(fold(text).replace('"', " ")).words

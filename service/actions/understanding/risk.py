"""Judges how soon a person must look. Rules find what was said; what stands around may lower a tier, never silence it.

Lowering follows facts known from other screens: every rule that removes a hit costs recall, so first-person words of
suicide, self-harm or abuse always keep human review, whatever surrounds them.
"""

import re
from collections.abc import Sequence
from functools import cache

from service.actions.understanding.labels import Risk
from service.actions.understanding.lexicon import Lexicon, lexicon
from service.actions.understanding.normalise import Text, fold, normalise
from service.actions.understanding.patterns import Compiler, Hit

_RANK = {Risk.NONE: 0, Risk.CONCERN: 1, Risk.IMMINENT: 2}
_LINKS = """
, i am is are was be been being have had has having do did would will want wanting wish to a an any the even really
actually at all feeling feel feels felt going think thinking about of that it me my ever currently actively so planning
longer right now as intention plan plans thought thoughts way estoy he tengo soy siento voy quiero se pienso pensamientos
de en tan muy una un
"""
_NEGATION = "not never without nor no nunca jamas ni tampoco nobody stopped quit avoid deje dejo zero less"
_NEGATED = re.compile(rf" (?:{'|'.join(_NEGATION.split())})(?: (?:{'|'.join(_LINKS.split())}))* $")
"""A word of negation with nothing but small words between it and the hit."""


def higher(one: Risk, other: Risk) -> Risk:
    """The more urgent of two tiers."""
    return one if _RANK[one] >= _RANK[other] else other


def judge(text: Text, context: Sequence[str], asked_about_safety: bool) -> tuple[Risk, list[str]]:
    """The tier of a text and the names of the rules behind it. Words in quotation marks are judged too, at most as a
    concern; a bare answer is judged against what we last asked."""
    risk, reasons = _judge_words(text.words)
    if text.quoted:
        quoted, names = _judge_words(text.quoted)
        if quoted is not Risk.NONE:
            risk = higher(risk, Risk.CONCERN)
            reasons += [f"{name} (quoted)" for name in names]
    answered, name = _judge_answer(text, context, asked_about_safety)
    if answered is not Risk.NONE:
        risk = higher(risk, answered)
        reasons.append(name)
    return risk, reasons


def _judge_words(words: str) -> tuple[Risk, list[str]]:
    book = lexicon()
    bare = mask(words, book)
    risk, reasons = Risk.NONE, []
    for hit in book.books["risk"].hits(bare):
        tier, why = _weigh(hit, bare)
        if tier is not Risk.NONE:
            risk = higher(risk, tier)
            name = f"{hit.rule.name}{why}"
            if name not in reasons:
                reasons.append(name)
    return risk, reasons


def mask(words: str, book: Lexicon) -> str:
    """The words with harmless idioms taken out."""
    for hit in sorted(book.books["mask"].hits(words), key=lambda hit: hit.start, reverse=True):
        if words[hit.start : hit.end].strip():
            words = words[: hit.start] + "idiom " + words[hit.end :]
    return re.sub(r" +", " ", words)


@cache
def _surroundings() -> dict[str, re.Pattern[str]]:
    return {label: re.compile(pattern) for label, pattern in lexicon_modifiers().items()}


def lexicon_modifiers() -> dict[str, str]:
    """The regular expressions of the classes that tell jest, fiction, past and present."""
    compiler = Compiler(lexicon().classes)
    return {name: "(?<= )" + compiler.named(name).regex for name in ("joke", "fiction", "past", "present")}


def _weigh(hit: Hit, words: str) -> tuple[Risk, str]:
    """The tier of one hit in its surroundings, and a word on why it was lowered, if it was."""
    tier, marks = Risk(hit.rule.label), hit.rule.marks
    soft = "soft" in marks
    around = _surroundings()
    start = max(words.rfind(". ", 0, hit.start), words.rfind("? ", 0, hit.start)) + 1
    ends = [end for end in (words.find(" . ", hit.end - 1), words.find(" ? ", hit.end - 1)) if end >= 0]
    sentence = words[start : min(ends, default=len(words)) + 1]
    why = ""
    if _NEGATED.search(words[start : hit.start].rstrip() + " ") and "safety" not in marks:
        why = " (negated)"
    elif around["fiction"].search(sentence):
        why = " (fiction)"
    elif around["past"].search(sentence) and not around["present"].search(sentence):
        why = " (past)"
    elif around["joke"].search(words):
        why = " (jest)"
    if not why or "firm" in marks:
        return tier, ""
    return (Risk.NONE if soft else Risk.CONCERN), why


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
    return normalise(fold(text)).words

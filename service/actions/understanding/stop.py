"""Reads what a text asks of the service itself: stop (all, in part, for a while), start again, or help.

Substring matching would opt out people in crisis and miss most who really ask; so whole words count alone, and phrases
only where a verb of stopping meets what we send. Words of stopping that ask for nothing are known by name.
"""

import re
from dataclasses import dataclass

from service.actions.understanding import weights
from service.actions.understanding.labels import Intent, Scope
from service.actions.understanding.lexicon import lexicon
from service.actions.understanding.normalise import Text, normalise
from service.actions.understanding.patterns import Hit
from service.actions.understanding.risk import is_negated
from service.actions.understanding.spelling import slips


@dataclass(frozen=True, slots=True)
class Request:
    """What the text asks of the service, and the rules that say so."""

    intent: Intent = Intent.NONE
    scope: Scope | None = None
    topic: str | None = None
    weak: bool = False
    reasons: tuple[str, ...] = ()


def read_request(text: Text) -> Request:
    """A keyword alone on a line counts always and for everything; then the narrowest request in a phrase."""
    book = lexicon()
    alone = set(book.spelling["stop_words"])
    for line in (text.words.strip(), *(_line(line) for line in text.lines)):
        if line in alone:
            return Request(Intent.OPT_OUT, Scope.ALL, reasons=("a stop word alone",))
    if _slipped(text.words.strip(" .,?")):
        return Request(Intent.OPT_OUT, Scope.ALL, reasons=("a stop word alone, misspelt",))
    words = text.words
    hits = [hit for hit in book.books["stop"].hits(words) if not _covered(hit, words)]
    kept = [hit for hit in book.books["keep"].hits(words) if not is_negated(words[: hit.start].rstrip() + " ")]
    hits = [hit for hit in hits if not any(keep.start <= hit.start and hit.end <= keep.end for keep in kept)]
    leaves = book.books["leaves"].first(words)
    if leaves:
        hits = [hit for hit in hits if not leaves.start <= hit.start < leaves.end]
        if not hits:
            return Request(weak=True, reasons=(leaves.rule.name,))  # one circle, or all? A person asks
    said = {part.strip(" ,") for part in re.split("[.?]", words)}
    plain = bool(said.intersection(book.spelling["plain_stops"]))
    if hits and not plain and _weight(words, hits[0], bool(alone & said)) < weights.DOUBTED_STOP:
        return Request(weak=True, reasons=tuple(dict.fromkeys(f"{hit.rule.name} (in doubt)" for hit in hits)))
    if hits:
        first = hits[0]
        topic = _topic(words[first.start : first.end]) if first.rule.label == Scope.TOPIC else None
        names = tuple(dict.fromkeys(hit.rule.name for hit in hits))
        return Request(Intent.OPT_OUT, Scope(first.rule.label), topic, reasons=names)
    return _by_weight(words, book.books["asks"].first(words), bool(kept))


def _weight(words: str, hit: Hit, alone: bool) -> float:
    """How far weights believe a rule, by the sentence that it fits in. END or ENOUGH, said `alone`, may begin another
    sentence, so all is weighed then: "End. That is what I want my story to say"."""
    return weights.scores(words if alone else _sentence(words, hit), "stop")[0]


def _sentence(words: str, hit: Hit) -> str:
    """The sentence of a hit: sorrow in the next one must not weigh against a stop."""
    start = max(words.rfind(". ", 0, hit.start), words.rfind("? ", 0, hit.start)) + 1
    ends = [end for end in (words.find(" . ", hit.end - 1), words.find(" ? ", hit.end - 1)) if end >= 0]
    return words[start : min(ends, default=len(words)) + 1]


def _by_weight(words: str, asks: Hit | None, kept: bool) -> Request:
    """Where no rule hears a stop: a wish of another kind, a stop that the words weigh for, or a weak cue. `kept` says
    that a rule heard the opposite; then words weigh for nothing."""
    weight = weights.scores(words, "stop")[0]
    if asks and weight < weights.STOP_AGAINST_WISH:
        return Request(Intent(asks.rule.label), reasons=(asks.rule.name,))
    if kept:
        return Request()
    weak = next((hit.rule.name for hit in lexicon().books["weak"].hits(words) if not _covered(hit, words)), None)
    if weight >= (weights.STOP if weak is None else weights.STOP_AGAINST_DOUBT):
        return Request(Intent.OPT_OUT, Scope.ALL, reasons=("weight of words: stop",))
    if weak is None and weight >= weights.WEAK_STOP:
        weak = "weight of words: perhaps a stop"
    return Request(weak=weak is not None, reasons=(weak,) if weak else ())


def _slipped(message: str) -> bool:
    """A whole message that is STOP with a slip or a space in it, and no word of its own."""
    joined = message.replace(" ", "")
    if joined in ("stop", "unsubscribe", "cancel") and " " in message:
        return True
    others = lexicon().spelling["not_stop"].split()
    return 3 <= len(message) <= 5 and message[0] in "sdax" and slips(message, "stop") == 1 and message not in others


def _line(line: str) -> str:
    if len(line) > 40:  # no stop word is longer
        return ""
    return normalise(line).words.strip(" .,?")


def _covered(hit: Hit, words: str) -> bool:
    for mask in lexicon().books["stopmask"].hits(words):
        begins_inside = mask.start <= hit.start < mask.end
        if begins_inside and (mask.rule.label == "negate" or hit.end <= mask.end):
            return True
    return False


def _topic(words: str) -> str | None:
    topics: dict[str, list[str]] = lexicon().spelling["topic_of"]
    return next(
        (topic for topic, names in topics.items() if any(f" {name} " in f" {words} " for name in names)),
        None,
    )

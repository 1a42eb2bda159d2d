"""Reads what a text asks of the service itself: stop (all, in part, for a while), start again, or help.

Substring matching would opt out people in crisis and miss most who really ask; so whole words count alone, and phrases
only where a verb of stopping meets what we send. Words of stopping that ask for nothing are known by name.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.actions.understanding import scope, weights
from service.actions.understanding.labels import Intent, Scope
from service.actions.understanding.lexicon import lexicon
from service.actions.understanding.normalise import Text, normalise
from service.actions.understanding.risk import is_negated
from service.actions.understanding.rulebook import Hit
from service.actions.understanding.spelling import slips

STOP_WEIGHED = "weight of words: stop"
"""The reason of a stop that no rule heard."""
PERHAPS_WEIGHED = "weight of words: perhaps a stop"
"""The reason of a hint of a stop that no rule heard."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the text asks of the service, and the rules that say so."""

    intent: Intent = Intent.NONE
    scope: Scope | None = None
    topic: str | None = None
    weak: bool = False
    reasons: tuple[str, ...] = ()


def read_request(text: Text, *, risky: bool = False) -> Request:
    """A keyword alone on a line counts always and for everything; then the narrowest request in a phrase. `risky` says
    that there is danger or worry in the text: what is said of that must not weigh against a stop.
    """
    book = lexicon()
    alone = set(book.spelling["stop_words"])
    for line in (text.words.strip(), *(_line(line) for line in text.lines)):
        if line in alone:
            return Request(Intent.OPT_OUT, Scope.ALL, reasons=("a stop word alone",))
    if _slipped(text.words.strip(" .,?")):
        return Request(Intent.OPT_OUT, Scope.ALL, reasons=("a stop word alone, misspelt",))
    words = text.words
    hits = _uncovered(book.books["stop"].hits(words), words)
    kept = [hit for hit in book.books["keep"].hits(words) if not is_negated(words[: hit.start].rstrip() + " ")]
    hits = [hit for hit in hits if not any(keep.start <= hit.start and hit.end <= keep.end for keep in kept)]
    leaves = book.books["leaves"].first(words)
    if leaves:
        hits = [hit for hit in hits if not leaves.start <= hit.start < leaves.end]
        if not hits:
            return Request(weak=True, reasons=(leaves.rule.name,))  # one circle, or all? A person asks
    said = {part.strip(" ,") for part in re.split("[.?]", words)}
    plain = bool(said.intersection(book.spelling["plain_stops"]))
    if hits and not plain and _doubted(words, hits[0], bool(alone & said), _CLAUSE if risky else _SENTENCE):
        return Request(weak=True, reasons=tuple(dict.fromkeys(f"{hit.rule.name} (in doubt)" for hit in hits)))
    if hits:
        first = hits[0]
        heard = Scope(first.rule.label)
        if not plain:
            heard = scope.checked(_part(words, first, _SENTENCE), heard)
        topic = _topic(words[first.start : first.end]) if heard is Scope.TOPIC else None
        names = tuple(dict.fromkeys(hit.rule.name for hit in hits))
        return Request(Intent.OPT_OUT, heard, topic, reasons=names)
    return _by_weight(words, book.books["asks"].first(words), kept)


_SENTENCE, _CLAUSE = (" . ", " ? "), (" . ", " ? ", " , ")


def _doubted(words: str, hit: Hit, alone: bool, ends: Sequence[str]) -> bool:
    """Whether weights do not believe a rule, where all the words would be no stop without it: the part of the text that
    it fits in, or all of it where the part is not sure either. END or ENOUGH, said `alone`, may begin another sentence,
    so all is weighed then: "End. That is what I want my story to say"."""
    whole = weights.scores(words, "stop")[0]
    if alone or whole >= weights.STOP:
        return whole < weights.DOUBTED_STOP
    part = weights.scores(_part(words, hit, ends), "stop")[0]
    return part < (weights.DOUBTED_STOP if whole >= weights.DOUBTED_WHOLE else weights.SURE_STOP)


def _part(words: str, hit: Hit, ends: Sequence[str]) -> str:
    """What is said around a hit, from one of `ends` to the next: sorrow behind it must not weigh against a stop."""
    start = max(words.rfind(end, 0, hit.start) for end in ends) + 1
    last = max(hit.start, hit.end - 3)  # a comma behind its last word belongs to a hit
    stops = [at for end in ends if (at := words.find(end, last)) >= 0]
    return words[start : min(stops, default=len(words)) + 1]


def _by_weight(words: str, asks: Hit | None, kept: list[Hit]) -> Request:
    """Where no rule hears a stop: a wish of another kind, a stop that the words weigh for, or a weak cue. `kept` are
    rules that heard the opposite; then words have to weigh far more, and for our own words they weigh for nothing."""
    weight = weights.scores(words, "stop")[0]
    if asks and weight < weights.STOP_AGAINST_WISH:
        return Request(Intent(asks.rule.label), reasons=(asks.rule.name,))
    if any(hit.rule.label == "ours" for hit in kept) or (kept and weight < weights.STOP_AGAINST_KEEPING):
        return Request()
    cues = [hit.rule for hit in _uncovered(lexicon().books["weak"].hits(words), words)]
    unsure = any(rule.label == "unsure" for rule in cues)
    if weight >= (weights.STOP_AGAINST_DOUBT if unsure else weights.STOP):
        return Request(Intent.OPT_OUT, scope.weighed(words), reasons=(STOP_WEIGHED,))
    if cues or weight >= weights.WEAK_STOP:
        return Request(weak=True, reasons=(cues[0].name if cues else PERHAPS_WEIGHED,))
    return Request()


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


def _uncovered(hits: Iterable[Hit], words: str) -> list[Hit]:
    """The hits without those in words of stopping that are known to ask for nothing."""
    found = list(hits)
    masks = list(lexicon().books["stopmask"].hits(words)) if found else []
    return [hit for hit in found if not any(_covers(mask, hit) for mask in masks)]


def _covers(mask: Hit, hit: Hit) -> bool:
    return mask.start <= hit.start < mask.end and (mask.rule.label == "negate" or hit.end <= mask.end)


def _topic(words: str) -> str | None:
    topics: dict[str, list[str]] = lexicon().spelling["topic_of"]
    return next(
        (topic for topic, names in topics.items() if any(f" {name} " in f" {words} " for name in names)),
        None,
    )

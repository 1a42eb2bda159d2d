"""Reads answers to an invite and to a yes-or-no question. What is no answer is not guessed."""

import re

from service.actions.understanding import weights
from service.actions.understanding.labels import Confirm, Rsvp
from service.actions.understanding.lexicon import lexicon
from service.actions.understanding.normalise import Text
from service.actions.understanding.rulebook import Hit

SURE = -3.0
"""The log odds below which the likeliest answer is not taken for one."""
OUTWEIGHS, OUTWEIGHS_WEAK = 3.0, 1.0
"""By how much (log odds) words must speak for another answer than the rules found, and than their weak ones did."""
_BUT = re.compile(r" (?:but|pero|however|aunque|though|sino|except|actually|wait|correction|mejor dicho) ")


def read_rsvp(text: Text, *, guess: bool = True) -> tuple[Rsvp, list[str]]:
    """Yes, no, maybe or unclear, as if an invite were open. Without `guess` only rules answer: a text of sorrow is no
    answer to an invite."""
    words = text.words
    nothing = []
    for mask in lexicon().books["rsvpmask"].hits(words):
        if mask.rule.label == "nothing":
            nothing.append(mask)
        length = mask.end - mask.start
        words = words[: mask.start] + ("~" * (length - 1)) + " " + words[mask.end :] if length > 1 else words
    hits = list(lexicon().books["rsvp"].hits(words))
    masked = [hit for hit in lexicon().books["rsvp"].hits(text.words) if hit.rule.label == "yes" and hit not in hits]
    hits += [hit for hit in masked if "~" in words[hit.start : hit.end]]
    hits = [hit for hit in hits if not any(mask.start <= hit.start and hit.end <= mask.end for mask in nothing)]
    if all("weak" in hit.rule.marks for hit in hits) and lexicon().books["asks_back"].first(text.words):
        return Rsvp.UNCLEAR, ["asks something"]
    answer = _settle(hits, words)
    names = sorted({hit.rule.name for hit in hits})
    if not guess or any("saying" in hit.rule.marks for hit in hits):
        return answer, names
    options = list(Rsvp)
    weighed = weights.scores(text.words, *(f"rsvp {option}" for option in options))
    best, second = sorted(weighed, reverse=True)[:2]
    likeliest = options[weighed.index(best)]
    if answer is Rsvp.UNCLEAR and not hits:
        return (likeliest, ["weight of words: answer"]) if best > SURE else (Rsvp.UNCLEAR, [])
    weak = all("weak" in hit.rule.marks for hit in hits)
    spoken = weak or len(text.words.split()) > 2
    if likeliest is not answer and spoken and best - second > (OUTWEIGHS_WEAK if weak else OUTWEIGHS):
        return likeliest, [*names, "weight of words: another answer"]
    return answer, names


def _settle(hits: list[Hit], words: str) -> Rsvp:
    strong = [hit for hit in hits if "weak" not in hit.rule.marks]
    labels = {hit.rule.label for hit in strong} or {hit.rule.label for hit in hits}
    if not labels:
        return Rsvp.UNCLEAR
    if len(labels) == 1:
        label = labels.pop()
        opposite = {hit.rule.label for hit in hits} - {label}
        return Rsvp.MAYBE if label == "maybe" and not opposite else Rsvp(label)
    turns = [match.start() for match in _BUT.finditer(words)]
    if turns:
        after = {hit.rule.label for hit in hits if hit.start >= turns[-1]}
        if len(after) == 1:
            return Rsvp(after.pop())
    if "no" in labels and "yes" in labels:
        # "can't come": the yes inside a no is part of it.
        outside = [hit for hit in strong if hit.rule.label == "yes" and not _inside(hit, strong, "no")]
        if not outside:
            labels.discard("yes")
    if "no" in labels and "maybe" in labels:
        outside_no = [hit for hit in strong if hit.rule.label == "no" and not _inside(hit, strong, "maybe")]
        outside_maybe = [hit for hit in strong if hit.rule.label == "maybe" and not _inside(hit, strong, "no")]
        if not outside_maybe:
            return Rsvp.NO
        return Rsvp.MAYBE if not outside_no or outside_maybe else Rsvp.NO
    if len(labels) == 1:
        return Rsvp(labels.pop())
    return Rsvp.MAYBE if "maybe" in labels else Rsvp.NO


def _inside(hit: Hit, hits: list[Hit], label: str) -> bool:
    return any(o.rule.label == label and o.start <= hit.start and hit.start < o.end for o in hits)


def read_confirm(text: Text) -> Confirm | None:
    """A plain yes or no, and nothing else of weight; None for all that needs a person."""
    hits = {hit.rule.label for hit in lexicon().books["confirm"].hits(text.words)}
    return Confirm(hits.pop()) if len(hits) == 1 else None

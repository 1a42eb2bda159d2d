"""How much a request to stop covers, where no rule names it: by the weight of its words.

Silence about it means everything (47 CFR 64.1200(a)(10)), so a part has to be said clearly: "I'd like a break from
these through Lent". Which part only rules can name; else it is a pause, and a person reads the words and sets it right.
"""

from service.actions.understanding import weights
from service.actions.understanding.labels import Scope

PART, PART_AGAINST_RULE = 1.5, 2.5
"""Scores from which a stop is one in part or for a while; the second where a rule heard a stop of everything."""
LESS = 0.0
"""The score from which what is not all is a wish for fewer messages."""
WRONG_PERSON, DELETE = 0.5, 0.5
"""Scores from which a stop is also the word of somebody else, or a wish that what we hold be erased."""


def weighed(words: str) -> Scope:
    """What a stop covers that no rule heard."""
    part, less, wrong, delete = weights.scores(words, "part", "less", "wrong person", "delete")
    if part >= PART:
        return Scope.LESS if less >= LESS else Scope.PAUSE
    if max(wrong - WRONG_PERSON, delete - DELETE) >= 0:
        return Scope.WRONG_PERSON if wrong - WRONG_PERSON > delete - DELETE else Scope.DELETE
    return Scope.ALL


def checked(words: str, heard: Scope) -> Scope:
    """What a stop covers of which a rule `heard` a scope. Of a pause the rules do not tell whether it is less that is
    wanted, and they may have missed that "don't text me" goes on "until Monday"."""
    if heard not in (Scope.ALL, Scope.PAUSE):
        return heard
    part, less = weights.scores(words, "part", "less")
    if heard is Scope.ALL and part < PART_AGAINST_RULE:
        return heard
    return Scope.LESS if less >= LESS else Scope.PAUSE

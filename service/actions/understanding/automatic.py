"""Knows texts that a machine sent for the member. Whole templates only: a person's words about driving are theirs."""

from service.actions.understanding.lexicon import lexicon
from service.actions.understanding.normalise import Text


def is_automatic(text: Text) -> str | None:
    """The name of the template that fits, if one does."""
    hit = lexicon().books["automatic"].first(text.words)
    return hit.rule.name if hit else None

"""Risk from concepts together: a weapon is no sign, "in front of me" is none, both are.

The rules of `risk` know phrases; people find others. Cues are looser words of a concept each, and the combinations that
make a tier stand with them in `data/cues.toml`.
"""

from collections.abc import Callable
from typing import Any

from service.actions.understanding.labels import Risk
from service.actions.understanding.lexicon import lexicon


def read_cues(words: str, negated: Callable[[str], bool]) -> list[tuple[Risk, str]]:
    """The tiers that combinations of cues make, with their names. `negated` tells if the words before a hit deny it."""
    said: dict[str, set[str]] = {}
    for hit in lexicon().books["cue"].hits(words):
        if hit.rule.label in _ALWAYS or not negated(words[: hit.start].rstrip() + " "):
            said.setdefault(hit.rule.label, set()).add(words[hit.start : hit.end].strip(" ,"))
    combinations: dict[str, dict[str, Any]] = lexicon().spelling["combinations"]
    return [(Risk(rule["tier"]), name) for name, rule in combinations.items() if _holds(rule, said)]


_ALWAYS = frozenset({"self", "other", "despair", "never", "resolve", "farewell", "held", "dread"})
"""Concepts whose own words may hold a negation."""


def _holds(rule: dict[str, Any], said: dict[str, set[str]]) -> bool:
    if any(said.get(concept) for concept in rule.get("unless", ())):
        return False
    needs: list[str] = rule["needs"]
    return all(concept in said for concept in needs) and _distinct(said[needs[0]]) >= rule.get("plus", 1)


def _distinct(found: set[str]) -> int:
    """How many of the finds lie outside one another: "being alive" and "alive" are one."""
    return sum(not any(one != other and one in other for other in found) for one in found)

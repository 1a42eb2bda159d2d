"""The pattern language, and rules that an organisation adds."""

import re
from pathlib import Path

import pytest

from service.actions.understanding import Intent, Risk, understand, use_rules
from service.actions.understanding.inflection import english, spanish
from service.actions.understanding.lexicon import forms, lexicon
from service.actions.understanding.normalise import normalise
from service.actions.understanding.patterns import Compiler, PatternError, make_rules
from service.actions.understanding.rulebook import RuleBook
from tests.understanding.corpora import KINDS, load


def found(pattern: str, words: str) -> bool:
    compiler = Compiler({"fruit": ["apple", "ripe pear"]})
    return RuleBook(make_rules(compiler, "test", "x", [pattern])).first(f" {words} ") is not None


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("eat {fruit}", "i eat ripe pear now", "i eat pear"),
        ("eat|drink it", "drink it", "eat drink"),
        ("(eat up|drink) it", "eat up it", "eat it"),
        ("eat .. it", "eat one two three it", "eat one two three four it"),
        ("eat the? apple", "eat apple", "eat an apple"),
        ("eat appl*", "eat apples", "eat a pear"),
        ("< eat", "eat it", "i eat"),
        ("eat >", "i eat", "eat it"),
        ("eat $", "i eat . now", "i eat now"),
        ("^ eat", "now . eat", "now eat"),
        ("eat it", "eat , it", "eat . it"),
        ("eat {fruit}? {fruit}? now", "eat apple apple now", "eat apple apple apple now"),
        ("eat (big? red?) (big? red?) now", "eat big red red now", "eat red red red now"),
        ("eat .. it", "eat all of it", "eat . it"),
    ],
)
def test_patterns(pattern: str, fits: str, fits_not: str) -> None:
    assert found(pattern, fits)
    assert not found(pattern, fits_not)


@pytest.mark.parametrize("pattern", ["(eat", "eat)", "{none} it", "(eat|) it", "..", "eat? it?", "|eat"])
def test_a_pattern_that_cannot_be_read_is_named(pattern: str) -> None:
    with pytest.raises(PatternError, match=re.escape(pattern.strip("{}")[:4])):
        found(pattern, "eat it")


def test_a_rule_is_tried_wherever_it_fits() -> None:
    """Rules are looked up by their rarest words; that must find all that trying every one of them finds."""
    texts = [normalise(line.text).words for kind in KINDS for line in load(kind)[::400]]
    fitted = 0
    for book in lexicon().books.values():
        for rule in book.rules[::12]:
            for words in texts:
                fits = re.search(rule.regex, words) is not None
                assert fits == (rule in {hit.rule for hit in book.hits(words)}), (rule.name, words)
                fitted += fits
    assert fitted > 20


def test_verbs_bend() -> None:
    assert english("stop") == ["stop", "stops", "stopped", "stopping"]
    assert {"matarme", "mato", "matando", "matare"} <= set(spanish("matar"))
    assert "taking my life" in forms("take+ my life")


def test_an_organisation_adds_rules_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(
        '[classes]\ncontact = ["pigeons"]\n'
        '[[rules.risk]]\nname = "our code word"\nlabel = "imminent"\npatterns = ["code (violet|purple)"]\n'
    )
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "bad.toml").write_text('[[rules.risk]]\nname = "x"\nlabel = "imminent"\npatterns = ["(a"]\n')
    try:
        use_rules(tmp_path)
        assert understand("code violet").risk is Risk.IMMINENT
        assert understand("stop sending me pigeons").intent is Intent.OPT_OUT
        with pytest.raises(PatternError, match="x"):
            use_rules(broken)
        assert understand("code violet").risk is Risk.IMMINENT
    finally:
        use_rules()
    assert understand("code violet").risk is Risk.NONE


def test_no_risk_rule_is_silenced_by_being_soft_and_imminent() -> None:
    assert not [
        rule.name for rule in lexicon().books["risk"].rules if rule.label == "imminent" and "soft" in rule.marks
    ]

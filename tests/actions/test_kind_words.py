"""Words that may hurt are pointed out to whoever writes; our own texts have none of them and are easy to read."""

from itertools import product

import pytest

from service.actions import kind_words
from service.actions.kind_words import advice, lix
from service.config import TEMPLATES
from tests.test_member_texts import ALL, COUNTRIES, LANGUAGES, rendered


@pytest.mark.parametrize(
    ("language", "words", "kind"),
    [
        ("en", "You should call us", "demand"),
        ("en", "Don’t forget Tuesday", "demand"),
        ("en", "We missed you on Tuesday", "guilt"),
        ("en", "Last chance to say yes", "urgency"),
        ("en", "You are not alone", "promise"),
        ("en", "All of this is confidential", "promise"),
        ("en", "Stay strong!", "cheering"),
        ("en", "after he committed suicide", "judging"),
        ("es", "Deberías llamar", "demand"),
        ("es", "Te echamos de menos", "guilt"),
        ("es", "Es urgente", "urgency"),
        ("es", "Es un espacio seguro", "promise"),
        ("es", "Piensa en positivo", "cheering"),
        ("es", "cuando cometió suicidio", "judging"),
    ],
)
def test_what_may_hurt_is_named_with_the_reason_and_a_way_out(language: str, words: str, kind: str) -> None:
    found = advice(words, language)
    assert [each.kind for each in found] == [kind]
    assert found[0].words.lower() in words.lower().replace("’", "'")
    assert found[0].instead
    assert str(found[0]).startswith("“")


@pytest.mark.parametrize("words", ["No need to reply.", "Come as you are, if you like.", "{{ should }} is a field", ""])
def test_kind_words_are_left_alone(words: str) -> None:
    assert advice(words, "en") == []


def test_hard_sentences_are_pointed_out_and_short_ones_are_not() -> None:
    hard = (
        "In accordance with organisational requirements regarding participation, individuals experiencing "
        "difficulties are encouraged to communicate circumstances to appropriate representatives immediately following "
        "registration procedures."
    )
    easy = "It is a small room. We sit in a circle. Some talk, some only listen. Tea is there. You can leave any time."
    assert [each.kind for each in advice(hard, "en")] == ["reading"]
    assert advice(easy, "en") == []
    assert lix("A few words.") is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_none_of_our_texts_demands_blames_presses_or_is_hard_to_read(language: str) -> None:
    for (channel, name), country in product(ALL, (COUNTRIES[0], "")):
        if name.startswith("page_staff"):
            continue
        found = advice(rendered(channel, name, language, country), language)
        assert found == [], (channel, name, language, [str(each) for each in found])


@pytest.mark.parametrize("path", sorted((TEMPLATES / "starters").glob("*.md")), ids=lambda path: str(path.name))
def test_the_words_that_a_campaign_begins_with_are_kind(path) -> None:  # type: ignore[no-untyped-def]
    language = path.name.split(".")[2]
    assert [str(each) for each in kind_words.advice(path.read_text(encoding="utf-8"), language)] == []

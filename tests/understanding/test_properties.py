"""What must hold for any text at all, however it is typed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.actions.understanding import Intent, Question, Risk, understand
from tests.understanding.corpora import load

ANY = st.text(max_size=400)
RISKY = [line.text for line in load("risk") if line.label != "none" and line.text.isascii()]


@settings(deadline=None, max_examples=200)
@given(ANY, st.sampled_from([None, *Question]), st.lists(ANY, max_size=2))
def test_no_text_breaks_it(text: str, question: Question | None, context: list[str]) -> None:
    once = understand(text, question=question, context=context)
    assert once == understand(text, question=question, context=context)


@settings(deadline=None, max_examples=200)
@given(ANY, st.sampled_from(["STOP", "stop", " Stop. ", "ALTO", "unsubscribe"]), st.booleans())
def test_stop_alone_on_a_line_always_stops(text: str, stop: str, first: bool) -> None:
    whole = f"{stop}\n{text}" if first else f"{text}\n{stop}"
    assert understand(whole).intent is Intent.OPT_OUT


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(RISKY), st.sampled_from([str.upper, str.lower, str.title, str.swapcase]))
def test_case_does_not_change_the_risk(text: str, change: type[str]) -> None:
    assert understand(change(text)).risk is understand(text).risk


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(RISKY), st.integers(2, 5), st.sampled_from(["", "  ", "\n"]))
def test_spaces_do_not_change_the_risk(text: str, wide: int, edge: str) -> None:
    spaced = edge + (" " * wide).join(text.split(" ")) + edge
    assert understand(spaced).risk is understand(text).risk


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["I want to kill myself", "i want to die", "quiero morir", "i feel hopeless", "no quiero vivir"]),
    st.integers(0, 100),
    st.integers(3, 8),
)
def test_a_stretched_letter_does_not_hide_the_risk(text: str, place: int, times: int) -> None:
    place %= len(text)
    stretched = text[:place] + text[place] * times + text[place + 1 :]
    assert understand(stretched).risk is understand(text).risk


@given(st.sampled_from(["kill myself", "want to die", "suicide", "end my life"]))
def test_spaced_letters_are_read(text: str) -> None:
    spelled = "  ".join(" ".join(word) for word in text.split())
    assert understand(spelled).risk is not Risk.NONE

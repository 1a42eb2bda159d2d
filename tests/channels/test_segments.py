"""Segments: against the published sizes, and against a splitter that is written out the long way."""

import string
from decimal import Decimal

import gsm0338
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.channels.segments import PRICES_USD, estimate_cost, measure, suggest

EXTENSION = "^{}[]~\\|€\f"
GSM = st.text(
    st.sampled_from(
        string.ascii_letters + string.digits + " \n\r@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¡ÄÖÑ\u00dc\u00a7¿äöñüà" + EXTENSION
    )
)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def parts(text: str) -> list[str]:
    """The text as it is split: never inside a character, each part within its size."""
    gsm = measure(text).encoding == "GSM-7"

    def size(c: str) -> int:
        return (2 if c in EXTENSION else 1) if gsm else len(c.encode("utf-16-le")) // 2

    if sum(map(size, text)) <= (160 if gsm else 70):
        return [text] if text else []
    most = 153 if gsm else 67
    split = [""]
    for c in text:
        if sum(map(size, split[-1])) + size(c) > most:
            split.append("")
        split[-1] += c
    return split


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments", "per_segment", "left"),
    [
        ("", "GSM-7", 0, 0, 160, 160),
        ("Hi", "GSM-7", 2, 1, 160, 158),
        ("a" * 160, "GSM-7", 160, 1, 160, 0),
        ("a" * 161, "GSM-7", 161, 2, 153, 145),
        ("a" * 306, "GSM-7", 306, 2, 153, 0),
        ("a" * 307, "GSM-7", 307, 3, 153, 152),
        ("€" * 80, "GSM-7", 160, 1, 160, 0),
        ("€" * 81, "GSM-7", 162, 2, 153, 143),  # 76 in the first, because the 77th would be split
        ("a" * 159 + "€", "GSM-7", 161, 2, 153, 145),
        ("á" * 70, "UCS-2", 70, 1, 70, 0),
        ("á" * 71, "UCS-2", 71, 2, 67, 63),
        ("😀" * 35, "UCS-2", 70, 1, 70, 0),
        ("😀" * 36, "UCS-2", 72, 2, 67, 61),  # 33 in the first: 67 is odd, and a pair is not split
        ("Mañana é ¿sí?".replace("í", "i"), "GSM-7", 13, 1, 160, 147),
        ("¿Sí?", "UCS-2", 4, 1, 70, 66),
        ("\x1b", "UCS-2", 1, 1, 70, 69),
    ],
)
def test_sizes(text: str, encoding: str, units: int, segments: int, per_segment: int, left: int) -> None:
    found = measure(text)
    assert (found.encoding, found.units, found.segments, found.per_segment, found.left) == (
        encoding, units, segments, per_segment, left,
    )  # fmt: skip


def test_what_keeps_a_text_out_of_gsm7_is_named_once_and_in_order() -> None:
    assert measure("Sí, ¿mañana? 😀 sí ’").offenders == ["í", "😀", "’"]
    assert measure("Mañana à las 7").offenders == []


@given(GSM)
def test_gsm_texts_cost_what_their_encoding_has_in_octets(text: str) -> None:
    encoded, _ = gsm0338.Codec().encode(text)
    found = measure(text)
    assert (found.encoding, found.units, found.offenders) == ("GSM-7", len(encoded), [])
    assert found.segments == len(parts(text))


@given(ANY)
def test_any_text_fits_into_its_segments_without_splitting_a_character(text: str) -> None:
    found = measure(text)
    assert found.segments == len(parts(text))
    assert "".join(parts(text)) == text
    assert 0 <= found.left <= found.per_segment
    assert found.units <= found.segments * found.per_segment
    if found.encoding == "UCS-2":
        assert found.units == len(text.encode("utf-16-le")) // 2


@given(ANY)
def test_a_suggestion_is_gsm7_and_changes_no_letter(text: str) -> None:
    plain = suggest(text)
    if plain is not None:
        assert measure(plain).encoding == "GSM-7"
        assert [c for c in plain if c.isalpha()] == [c for c in text if c.isalpha()]
        assert measure(plain).segments <= measure(text).segments


def test_suggestions() -> None:
    assert suggest("It’s “ok” – really… yes") == 'It\'s "ok" - really... yes'
    assert suggest("Hi there") is None  # nothing to gain
    assert suggest("¿Sí? It’s ok") is None  # the accent stays, so the quotes gain nothing
    assert suggest("Good 😀") is None


def test_costs_are_an_estimate_by_country() -> None:
    assert estimate_cost(3, "us") == 3 * PRICES_USD["US"]
    assert estimate_cost(0, "US") == Decimal(0)
    assert estimate_cost(1, "ZZ") >= max(PRICES_USD.values())

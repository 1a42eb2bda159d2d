"""The day that somebody names in a reply: found where it is certain, and nowhere else."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.actions.conversations.dates import FURTHEST, named

TODAY = date(2026, 11, 24)  # a Tuesday


def day(words: str, today: date = TODAY) -> str | None:
    found = named(words, today)
    return f"{found[0].day:%a %d %b}" if found else None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("I'll ring Thursday", "Thu 26 Nov"),
        ("I’ll ring you on Thursday at 3", "Thu 26 Nov"),
        ("I will call tomorrow.", "Wed 25 Nov"),
        ("Let me ask and write the day after tomorrow", "Thu 26 Nov"),
        ("I'll text you this evening", "Tue 24 Nov"),
        ("I'll write today", "Tue 24 Nov"),
        ("I will be in touch on 3 Dec", "Thu 03 Dec"),
        ("Talk on the 3rd of December", "Thu 03 Dec"),
        ("I'll ring December 3", "Thu 03 Dec"),
        ("I'll ring on Dec. 3rd, 2026", "Thu 03 Dec"),
        ("I'll be back on the 2nd", "Wed 02 Dec"),
        ("I'll be back on the 30th", "Mon 30 Nov"),
        ("I'll write in two weeks", "Tue 08 Dec"),
        ("I'll write in 3 days", "Fri 27 Nov"),
        ("I'll write in a couple of days", "Thu 26 Nov"),
        ("I'll write next week", "Mon 30 Nov"),
        ("I'll write next Thursday", "Thu 03 Dec"),
        ("See you Thursday next week", "Thu 03 Dec"),
        ("I'll ring Tuesday", "Tue 01 Dec"),
        ("I'll ring on Fri", "Fri 27 Nov"),
        ("I heard about last Monday. I'll ring Friday.", "Fri 27 Nov"),
        ("Te llamo el jueves", "Thu 26 Nov"),
        ("Te llamo el próximo jueves", "Thu 26 Nov"),
        ("Te llamo mañana por la mañana", "Wed 25 Nov"),
        ("Te escribo pasado mañana", "Thu 26 Nov"),
        ("Hablamos el 3 de diciembre", "Thu 03 Dec"),
        ("Te digo algo el miércoles que viene", "Wed 25 Nov"),
        ("Te escribo dentro de dos semanas", "Tue 08 Dec"),
        ("Te llamo en tres días", "Fri 27 Nov"),
        ("Te escribo la semana que viene", "Mon 30 Nov"),
        ("Te llamo hoy", "Tue 24 Nov"),
        ("Te llamaré esta tarde", "Tue 24 Nov"),
        ("Nos vemos el día 2", "Wed 02 Dec"),
        ("Te llamo el sábado", "Sat 28 Nov"),
    ],
)
def test_a_day_is_found(words: str, expected: str) -> None:
    assert day(words) == expected


@pytest.mark.parametrize(
    "words",
    [
        "Thank you for writing",
        "Are you coming on Thursday?",
        "¿Vienes el jueves?",
        "How did last Thursday go",
        "We meet on Tuesdays",
        "We meet every Tuesday",
        "El jueves pasado me acordé de ti",
        "Los jueves estamos aquí",
        "Por la mañana suele haber alguien",
        "Good to hear from you today",
        "Me alegra leerte hoy",
        "I sat in the sun",
        "You may find that it passes",
        "I'll ring on 31 February",
        "I'll ring on 3/12",
        "It began on 3 June",  # half a year and more away: it was meant as the past
        "",
    ],
)
def test_no_day_is_invented(words: str) -> None:
    assert day(words) is None


def test_several_days_stand_in_their_order_with_their_words() -> None:
    found = named("I'll ring Thursday, and if I can't, on 3 Dec.", TODAY)
    assert [(f.day, f.words) for f in found] == [
        (date(2026, 11, 26), "Thursday"),
        (date(2026, 12, 3), "on 3 Dec"),
    ]


def test_a_year_turns() -> None:
    assert day("I'll ring on 3 January", date(2026, 12, 30)) == "Sun 03 Jan"
    assert day("on the 3rd I will write", date(2026, 12, 30)) == "Sun 03 Jan"


DAYS = st.dates(min_value=date(2020, 1, 1), max_value=date(2090, 1, 1))


@given(st.text(max_size=400), DAYS)
def test_any_text_can_be_read(words: str, today: date) -> None:
    for found in named(words, today):
        assert 0 <= (found.day - today).days <= FURTHEST
        assert found.words in words


@given(DAYS, st.sampled_from(["monday", "Tuesday", "WEDNESDAY", "thursday", "friday", "saturday", "sunday"]))
def test_a_weekday_is_the_next_of_its_name(today: date, name: str) -> None:
    [found] = named(f"I'll ring {name}", today)
    assert found.day.strftime("%A").lower() == name.lower()
    assert 1 <= (found.day - today).days <= 7
    [following] = named(f"I'll ring next {name}", today)
    assert 0 <= (following.day - found.day).days <= 7
    assert following.day.isocalendar()[1] == (today + timedelta(days=7)).isocalendar()[1]


@given(DAYS, st.integers(1, 60))
def test_a_date_in_words_is_that_date_in_both_languages(today: date, ahead: int) -> None:
    meant = today + timedelta(days=ahead)
    spanish = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()[
        meant.month - 1
    ]
    for words in (
        f"I'll ring on {meant:%d %B}",
        f"I'll ring {meant:%B} {meant.day}",
        f"Te llamo el {meant.day} de {spanish}",
    ):
        assert [f.day for f in named(words, today)] == [meant]


@given(st.integers(1, 40_000))
def test_long_words_cost_no_time(length: int) -> None:
    assert named("in " * length, TODAY) == []

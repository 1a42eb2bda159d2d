"""FIND by text or by mail: a theme, a time, and up to three circles with the words that join them. Three messages.

It never asks the same thing twice: what it does not understand counts as "any". Whatever is plainly something else
ends it, and goes where it belongs.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from string import ascii_uppercase
from typing import Any

from sqlalchemy.orm import Session

from service import clock, links
from service.actions import contacts, member_links, outbox, zones
from service.actions.belonging import words
from service.actions.belonging.places import Room
from service.actions.conversations.saying import Incoming, answer
from service.actions.finding import matching, reading
from service.actions.finding.matching import Shown
from service.actions.understanding import RSVP_ANSWERS
from service.channels.segments import measure
from service.models.conversations import Finding
from service.models.members import ChannelName

OPEN_FOR = timedelta(hours=24)
SEGMENTS = 2
MOST_THEMES = 6
THEME_LENGTH = 32
SHORT = 4
"""Words: so short an answer is one, if nothing else is asked, even where nobody knows what it means."""
TIMES: tuple[frozenset[str], ...] = (
    frozenset(["morning"]), frozenset(["afternoon"]), frozenset(["evening"]), frozenset(["weekend"]),
)  # fmt: skip
"""What the letters of the second question stand for: A to D."""
IN_SPANISH = ("buscar", "encontrar", "circulo")
_FULL = {"en": "full, with a list", "es": "completo, con lista"}


def hear(session: Session, incoming: Incoming) -> str | None:
    """Begin, go on or end a FIND; what was done, or None where this message has nothing to do with one."""
    if incoming.read.keyword == "FIND":
        return _begin(session, incoming)
    finding = _under_way(session, incoming)
    if finding is None:
        return None
    if not expects(session, incoming):
        session.delete(finding)  # they went on to something else; a later "a" must not answer an old question
        return None
    said, incoming = incoming.arrived.words, _in_language(incoming, finding.language)
    if reading.has_enough(said):
        session.delete(finding)
        answer(session, incoming, "find_end")
        return "keyword FIND ended"
    circles = matching.open_circles(session)
    when = _when(said) if finding.step == "when" else reading.when_of(said)
    theme = finding.theme if finding.step == "when" else _theme(said, finding.choices, circles)
    if finding.step == "theme" and not when:
        finding.step, finding.theme, finding.asked_at = "when", theme, clock.now()
        answer(session, incoming, "find_when")
        return "find theme"
    session.delete(finding)
    return _show(session, incoming, circles, theme, when)


def answers(session: Session, incoming: Incoming) -> bool:
    """Whether a FIND is under way and these words name what it asked for: a theme, a time, or any of them."""
    asked = _asked(session, incoming)
    if asked is None:
        return False
    finding, said = asked
    if len(said) == 1 or reading.leaves_open(said):
        return True
    count = len(said.split())
    if finding.step == "theme":
        return count <= 12 and bool(reading.theme_of(said, matching.themes(matching.open_circles(session))))
    return finding.step == "when" and count <= 8 and bool(reading.when_of(said))


def expects(session: Session, incoming: Incoming) -> bool:
    """Whether a FIND is under way and these words can be an answer to its question."""
    asked, read = _asked(session, incoming), incoming.read
    if asked is None:
        return False
    if answers(session, incoming):
        return True
    if incoming.asked and (read.rsvp in RSVP_ANSWERS or read.checkin):
        return False  # an invite or a check-in is open, and this answers it
    return len(asked[1].split()) <= SHORT


def _asked(session: Session, incoming: Incoming) -> tuple[Finding, str] | None:
    """The FIND under way, and the words folded; None where they cannot be meant for it."""
    finding, read = _under_way(session, incoming), incoming.read
    said = reading.fold(incoming.arrived.words)
    if finding is None or read.keyword or read.me_too:
        return None
    if not said or said.isdigit():  # a number answers a check-in or nothing (rule of conversation 9)
        return None
    return finding, said


def _under_way(session: Session, incoming: Incoming) -> Finding | None:
    if not incoming.known.finding:
        return None
    finding = session.get(Finding, incoming.conversation.id)
    if finding is None or finding.channel != incoming.arrived.channel:
        return None
    return finding if finding.asked_at > clock.now() - OPEN_FOR else None


def _begin(session: Session, incoming: Incoming) -> str:
    member = incoming.member
    if member is not None and member.discreet:  # no circle is named in their texts; a page does it
        page = member_links.circles_url(member.id, incoming.arrived.channel)
        answer(session, incoming, "find_page", {"page_url": page})
        return "keyword FIND page"
    spanish = reading.fold(incoming.arrived.words).split(" ")[0] in IN_SPANISH
    if member is not None or spanish:  # of a stranger we know nothing but this word
        incoming = _in_language(incoming, member.language if member is not None else "es")
    before = session.get(Finding, incoming.conversation.id)
    if before is not None:
        session.delete(before)
        session.flush()
    circles = matching.open_circles(session)
    themes = matching.themes(circles, incoming.read.language)[:MOST_THEMES]
    if not circles:
        answer(session, incoming, "find_none")
        return "keyword FIND none"
    about = incoming.read.argument or ""
    theme, when = reading.theme_of(about, matching.themes(circles)), reading.when_of(about)
    if theme and when:
        return _show(session, incoming, circles, theme, when)
    finding = Finding(
        conversation_id=incoming.conversation.id, channel=incoming.arrived.channel, language=incoming.read.language,
        step="when", theme=theme, choices=[], asked_at=clock.now(),
    )  # fmt: skip
    session.add(finding)
    if theme or not themes:
        answer(session, incoming, "find_when")
    else:
        finding.step, finding.choices = "theme", _ask_theme(session, incoming, themes)
    return "keyword FIND"


def _in_language(incoming: Incoming, language: str) -> Incoming:
    """The same message, answered in the language in which the talk began: "a" is no language."""
    return replace(incoming, read=replace(incoming.read, language=language))


def _ask_theme(session: Session, incoming: Incoming, themes: list[str]) -> list[str]:
    """Ask the first question; the themes that stand behind its letters."""

    def choices(kept: list[str]) -> dict[str, Any]:
        return {"choices": ", ".join(f"{letter} {t}" for letter, t in zip(ascii_uppercase, kept, strict=False))}

    context, count = _within(incoming, "find_theme", [theme[:THEME_LENGTH] for theme in themes], choices)
    answer(session, incoming, "find_theme", context)
    return themes[:count]


def _theme(said: str, choices: Sequence[str], circles: Sequence[Shown]) -> str:
    """The theme that a letter of our list or somebody's own words stand for; "" for any."""
    letter = reading.fold(said).upper()
    if len(letter) == 1:
        number = ascii_uppercase.find(letter)
        return choices[number] if 0 <= number < len(choices) else ""
    return "" if reading.leaves_open(said) else reading.theme_of(said, matching.themes(circles))


def _when(said: str) -> frozenset[str]:
    letter = reading.fold(said).upper()
    if len(letter) == 1:
        number = ascii_uppercase.find(letter)
        return TIMES[number] if 0 <= number < len(TIMES) else frozenset()
    return reading.when_of(said)


def _show(session: Session, incoming: Incoming, circles: Sequence[Shown], theme: str, when: frozenset[str]) -> str:
    zone, language = _zone(incoming), incoming.read.language
    found, exact = matching.match(circles, theme, when, zone, language)
    if not found:
        found, exact = list(circles[: matching.A_MATCH]), False
    if not found:
        answer(session, incoming, "find_none")
        return "find none"
    mail = incoming.arrived.channel == ChannelName.EMAIL
    more = {"exact": exact, "word": found[0].circle.keyword}
    lines = [_line(f, zone, language, mail=mail) for f in found]
    context, _ = _within(
        incoming, "find_found", lines, lambda kept: more | {"found": "\n".join(kept) if mail else "; ".join(kept)}
    )
    answer(session, incoming, "find_found", context)
    return "find shown"


def _line(found: Shown, zone: str, language: str, *, mail: bool) -> str:
    circle = found.circle
    when = words.in_zone(found.next_at, circle, zone, language) if found.next_at else words.rhythm(circle, language)
    full = f" ({_FULL.get(language, _FULL['en'])})" if found.room == Room.FULL else ""
    if mail:
        about = ", ".join(part for part in (circle.theme, when) if part)
        return f"- [{circle.name}]({links.url(f'/circles/{circle.slug}')}): {about}{full}. JOIN {circle.keyword}"
    return f"{circle.keyword}: {circle.name}{', ' if when else ''}{when}{full}"


def _within(
    incoming: Incoming, template: str, items: list[str], context: Callable[[list[str]], dict[str, Any]]
) -> tuple[dict[str, Any], int]:
    """The context with as many items as keep our text within two segments, and how many those are; at least one.

    First all of them with their accents, then without those that would double the price, then fewer and fewer.
    """
    if incoming.arrived.channel == ChannelName.EMAIL:
        return context(items), len(items)
    facts = outbox.facts(contacts.country_of(incoming.arrived.sender), incoming.read.language)
    plain = [_plain(item) for item in items]
    for kept in (items, *(plain[:count] for count in range(len(plain), 1, -1))):
        given = context(kept)
        if measure(outbox.words_for(ChannelName.SMS, template, facts | given)[1]).segments <= SEGMENTS:
            return given, len(kept)
    return context(plain[:1]), 1


def _plain(words_: str) -> str:
    """The same without the accents that no cheap text can hold."""
    return "".join(c if not measure(c).offenders else unicodedata.normalize("NFKD", c)[0] for c in words_)


def _zone(incoming: Incoming) -> str:
    """The reader's zone, as far as it is known: their own, or the one of their number."""
    if incoming.member is not None:
        zone = incoming.member.time_zone
    elif incoming.arrived.channel == ChannelName.SMS:
        zone = zones.guess(contacts.country_of(incoming.arrived.sender), incoming.arrived.sender)
    else:
        zone = ""
    return "" if zone.startswith(zones.COUNTRY) or zone == "UTC" else zone

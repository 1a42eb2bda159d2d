"""The ways in by page and by link, and what staff may change about a member; the other verbs are listed here too.

Whoever types an address into a form learns nothing about it and changes nothing of it: the outcome is the same
whether we know it or not, and an address is asked to confirm once, ever (docs/decisions/0008-joining.md).
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.orm import Session

from service import config, links
from service.actions import consent, consent_wording, contacts, join_limits
from service.actions.details import update_details as update_details
from service.actions.joining_by_text import TextJoin as TextJoin
from service.actions.joining_by_text import decline_join as decline_join
from service.actions.joining_by_text import finish_join_by_text as finish_join_by_text
from service.actions.joining_by_text import join_by_text as join_by_text
from service.actions.leaving import erase as erase
from service.actions.leaving import mark_died as mark_died
from service.actions.leaving import opt_out_by_staff as opt_out_by_staff
from service.actions.leaving import undo_opt_out as undo_opt_out
from service.actions.new_members import LANGUAGES, ask, claim_question, new_member
from service.actions.new_members import welcome as welcome
from service.db import reading, transaction
from service.errors import DomainError, Invalid, LinkExpired, NotFound
from service.models.gatherings import Circle
from service.models.members import Address, ChannelName, ConsentKind, Topic

NAME_LENGTH = 80


@dataclass(frozen=True)
class JoinRequest:
    """What somebody typed to join. Phone, email or both."""

    first_name: str
    phone: str = ""
    email: str = ""
    topics: tuple[Topic, ...] = tuple(Topic)
    circle_id: UUID | None = None
    invite_code: str = ""
    """What opens a circle that people are only invited to."""
    time_zone: str = ""
    """An IANA name; "" is guessed from the number."""
    language: str = "en"
    country: str = ""
    """ISO: where they live; national numbers are read as of it. "" is DEFAULT_COUNTRY for numbers, else unknown."""
    adult: bool = False
    agreed: bool = False
    discreet: bool = False
    wordings: tuple[str, ...] = ()
    """Keys of the exact words that were shown (`consent_wording`)."""
    ip: str | None = None
    network: str | None = None
    """Whom the limits count: the IP, or the network that one household has."""
    trap: str = ""
    """A field that people cannot see; whoever fills it in is a machine."""


@dataclass(frozen=True)
class JoinResult:
    """The same for everybody: where to look for the question, if there is one."""

    channels: tuple[ChannelName, ...]


class NotValid(Invalid):
    """Several fields at once need attention: `errors` has one per field."""

    def __init__(self, errors: list[DomainError]) -> None:
        super().__init__(" ".join(e.message for e in errors), field=errors[0].field)
        self.errors = errors


def join(request: JoinRequest) -> JoinResult:
    """Ask to join: a new address is asked to confirm, a known one is left alone. Raises NotValid, TooMany."""
    addresses, wordings = _checked(request)
    result = JoinResult(tuple(c for c in ChannelName if c in addresses))
    if request.trap:
        return result
    join_limits.check(request.network or request.ip, addresses)
    with transaction() as session:
        first = {c: claim_question(session, c, value) for c, value in addresses.items()}
        fresh = {c: v for c, v in addresses.items() if not contacts.find_members(session, c, v)}
        if fresh:
            _add(session, request, fresh, wordings, first)
    return result


def _add(
    session: Session,
    request: JoinRequest,
    fresh: Mapping[ChannelName, str],
    wordings: Mapping[ChannelName, consent_wording.Wording],
    first: Mapping[ChannelName, bool],
) -> None:
    number = fresh.get(ChannelName.SMS)
    country = contacts.country_of(number) if number else request.country.upper()
    member = new_member(
        session,
        first_name=request.first_name.strip(),
        addresses=fresh,
        topics=request.topics,
        locale=f"{request.language}-{country}" if country else request.language,
        country=country,
        time_zone=request.time_zone,
        discreet=request.discreet,
        circle_id=request.circle_id,
        invited=_invited(session, request),
    )
    for channel in fresh:
        consent.record(
            session,
            member.id,
            ConsentKind.REQUESTED,
            channel=channel,
            topics=request.topics,
            source="join page",
            wording=wordings[channel].text,
            evidence=wordings[channel].key,
            ip=request.ip,
        )
        if first[channel]:
            ask(session, member, channel)


def _invited(session: Session, request: JoinRequest) -> bool:
    circle = session.get(Circle, request.circle_id) if request.circle_id else None
    known = circle.invite_code if circle else None
    return bool(known) and hmac.compare_digest(request.invite_code.strip().upper().encode(), str(known).encode())


def _checked(
    request: JoinRequest,
) -> tuple[dict[ChannelName, str], dict[ChannelName, consent_wording.Wording]]:
    """The addresses in their stored form and the words agreed to for each. Raises NotValid with every problem."""
    errors: list[DomainError] = []
    addresses: dict[ChannelName, str] = {}
    if not request.first_name.strip():
        errors.append(Invalid("Tell us what to call you. A nickname is fine.", field="first_name"))
    elif len(request.first_name.strip()) > NAME_LENGTH:
        errors.append(Invalid(f"Please use at most {NAME_LENGTH} letters.", field="first_name"))
    try:
        if request.phone.strip():
            addresses[ChannelName.SMS] = contacts.phone(request.phone, request.country)
    except Invalid as error:
        errors.append(error)
    try:
        if request.email.strip():
            addresses[ChannelName.EMAIL] = contacts.email(request.email)
    except Invalid as error:
        errors.append(error)
    if not request.phone.strip() and not request.email.strip():
        errors.append(Invalid("Give us a mobile number, an email address, or both.", field="phone"))
    enabled = config.current().enabled_channels
    for channel in addresses:
        if channel.value not in enabled:
            errors.append(Invalid("We do not use this way of writing at the moment.", field=_field_of(channel)))
    if not request.topics:
        errors.append(Invalid("Choose at least one thing. You can change it at any time.", field="topics"))
    if request.language not in LANGUAGES:
        errors.append(Invalid("Choose English or Spanish.", field="language"))
    if not request.adult:
        errors.append(Invalid("This community is for people aged 18 or over.", field="adult"))
    wordings = _agreed(request, addresses, errors)
    if errors:
        raise NotValid(errors)
    return addresses, wordings


def _agreed(
    request: JoinRequest, addresses: Mapping[ChannelName, str], errors: list[DomainError]
) -> dict[ChannelName, consent_wording.Wording]:
    """The words for each address, if they are those that were shown. Adds to `errors` if not."""
    found: dict[ChannelName, consent_wording.Wording] = {}
    for channel, value in addresses.items():
        country = contacts.country_of(value) if channel == ChannelName.SMS else request.country
        expected = consent_wording.wording(channel, country, request.language)
        shown = next((k for k in request.wordings if _same_words(k, expected.key)), None)
        if shown is None:
            message = "The words about your messages are different for this country. Please read them and tick again."
            errors.append(Invalid(message, field="agree", code="other_wording"))
            return {}
        found[channel] = consent_wording.by_key(shown)
    if addresses and not request.agreed:
        errors.append(Invalid("Please tick this box if you agree. Nothing is sent before that.", field="agree"))
    return found


def _same_words(shown: str, expected: str) -> bool:
    """Whether both are for one channel and place. Either language counts (people read the page in one and want the
    messages in the other), and an older version does for a form that was open when the words changed.
    """
    return shown.partition("/")[2].rpartition(".")[0] == expected.partition("/")[2].rpartition(".")[0]


def _field_of(channel: ChannelName) -> str:
    return "phone" if channel == ChannelName.SMS else "email"


@dataclass(frozen=True)
class Confirmation:
    """What the page behind a confirmation link speaks of."""

    member_id: UUID
    channel: ChannelName
    shown: str = field(repr=False)
    """The address, masked."""
    locale: str
    done: bool


def confirmation(token: str) -> Confirmation:
    """Whom a confirmation link is for, for the page with the button. Raises LinkExpired, NotFound."""
    with reading() as session:
        return _confirmation(session, _address_of(session, token))


def confirm_by_link(token: str, ip: str | None) -> Confirmation:
    """The button behind the link in a mail: confirms the address and sends the welcome once.

    Raises LinkExpired after 72 hours and for an address that has asked to stop, NotFound for a link not of ours.
    """
    with transaction() as session:
        address = _address_of(session, token)
        member, channel = address.member, ChannelName(address.channel)
        before = address.verified_at is not None
        if not consent.confirm(session, member, channel, source="link in a mail", evidence=str(address.id), ip=ip):
            raise LinkExpired("This link no longer works. Write to us, or answer START to any of our messages.")
        if not before:
            welcome(session, member, channel)
        return _confirmation(session, address)


def _address_of(session: Session, token: str) -> Address:
    parts = links.read("confirm", token)
    address = session.get(Address, UUID(str(parts[0])))
    if address is None:
        raise NotFound("This address is no longer with us.")
    return address


def _confirmation(session: Session, address: Address) -> Confirmation:
    return Confirmation(
        member_id=address.member_id,
        channel=address.channel,
        shown=contacts.mask(address.channel, address.value),
        locale=address.member.locale,
        done=address.verified_at is not None and not consent.suppressed(session, address.channel, address.value),
    )

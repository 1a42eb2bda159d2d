"""Numbers and addresses in the one form in which they are stored and found, and members looked up by them.

Everything that hashes an address comes through here first: a mark "never contact" that was made for another
spelling of the same address would protect nobody.
"""

import unicodedata
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType, ValidationResult
from sqlalchemy import select
from sqlalchemy.orm import Session

from service import config, db
from service.errors import Invalid
from service.models.members import Address, ChannelName, Member

_CANNOT_TEXT = {
    PhoneNumberType.FIXED_LINE: "This looks like a landline, which cannot get texts. Type a mobile number.",
    PhoneNumberType.TOLL_FREE: "This is a free-phone number, which cannot get texts. Type a mobile number.",
    PhoneNumberType.PREMIUM_RATE: "This is a premium-rate number, which we never text. Type a mobile number.",
    PhoneNumberType.SHARED_COST: "This is a service number, which we never text. Type a mobile number.",
    PhoneNumberType.UAN: "This is a company's number, which we never text. Type a mobile number.",
    PhoneNumberType.PAGER: "This is a pager, which cannot get texts. Type a mobile number.",
    PhoneNumberType.VOICEMAIL: "This is a voicemail box, which cannot get texts. Type a mobile number.",
}


def phone(value: str, country: str = "") -> str:
    """`value` as E.164 (`+12025550123`); national ones are read as of `country` (ISO; "": DEFAULT_COUNTRY).

    Raises Invalid(field="phone") with what to do, also for a country outside SMS_COUNTRIES.
    """
    settings = config.current()
    region = country.upper() or settings.default_country
    try:
        number = phonenumbers.parse(value, region)
    except NumberParseException:
        raise Invalid(_how_to_type(region), field="phone", code="phone_unreadable") from None
    # Only the length decides: numbering plans open ranges before libraries know them, and the provider refuses
    # what does not exist. `is_valid_number` also refuses the numbers that are kept free for fiction.
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        raise Invalid(_how_to_type(region), field="phone", code="phone_unreadable")
    if reason := _CANNOT_TEXT.get(phonenumbers.number_type(number)):
        raise Invalid(reason, field="phone")
    if _region(number) not in settings.countries:
        allowed = ", ".join(settings.countries)
        raise Invalid(
            f"We cannot text numbers of that country yet, only {allowed}. Give us an email address instead.",
            field="phone",
            code="country_not_served",
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def email(value: str) -> str:
    """`value` lower-cased, NFC, its domain in ASCII. Raises Invalid(field="email") with what is wrong. No DNS."""
    try:
        found = validate_email(value.strip(), check_deliverability=False)
    except EmailNotValidError:
        raise Invalid(
            "This email address cannot be right. Type it like ana@example.org, or leave it empty.", field="email"
        ) from None
    return unicodedata.normalize("NFC", f"{found.local_part}@{found.ascii_domain}").lower()


def normal(channel: ChannelName, value: str) -> str:
    """The stored form of an address of which we do not ask whether it may be used (a webhook's sender).

    Never raises: what cannot be read is only trimmed and lower-cased.
    """
    return _normal(channel, value.strip(), config.current().default_country)


@lru_cache(maxsize=512)
def _normal(channel: ChannelName, value: str, country: str) -> str:
    """Kept for a while: a message asks for its sender's several times, and reading a number takes long."""
    try:
        if channel == ChannelName.EMAIL:
            return email(value)
        number = phonenumbers.parse(value, country)
        if phonenumbers.is_possible_number(number):  # a short code is not
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    except (Invalid, NumberParseException):
        pass
    return unicodedata.normalize("NFC", value).lower()


def country_of(number: str) -> str:
    """The ISO country of an E.164 number, "" if it has none (satellite phones, short codes)."""
    try:
        return _region(phonenumbers.parse(number))
    except NumberParseException:
        return ""


def find_members(session: Session, channel: ChannelName, value: str) -> list[Member]:
    """Every member with this address, oldest first: a phone may be shared by two."""
    digest = db.blind_index(channel, normal(channel, value))
    found = select(Member).join(Address).where(Address.index_hash == digest, Address.channel == channel)
    return list(session.scalars(found.order_by(Member.id)))


def mask(channel: ChannelName, value: str) -> str:
    """What may be shown of an address: `+1 ••• ••• 0123` or `a•••@example.org`."""
    if channel == ChannelName.EMAIL:
        local, _, domain = value.partition("@")
        return f"{local[:1]}•••@{domain}"
    try:
        code = phonenumbers.parse(value).country_code
    except NumberParseException:
        return f"••• {value[-2:]}"
    return f"+{code} ••• ••• {value[-4:]}"


def _region(number: PhoneNumber) -> str:
    found = phonenumbers.region_code_for_number(number)
    if found is None and number.country_code is not None:
        # A range that the library does not know: the main country of the code (+1: US, +44: GB).
        found = phonenumbers.region_code_for_country_code(number.country_code)
    return found if found and found not in ("001", "ZZ") else ""


def _how_to_type(region: str) -> str:
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    if example is None:
        return "We cannot read this number. Begin with + and the country code."
    shown = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return f"We cannot read this number. Type it with the country code, like {shown}."

"""The forms of the members' pages. Fields are named like the columns of an import: their rules are the same."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from babel import Locale
from flask_wtf.file import FileField
from phonenumbers import SUPPORTED_REGIONS
from wtforms import BooleanField, EmailField, RadioField, SelectField, SelectMultipleField, StringField, TelField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from service import config
from service.actions import zones
from service.models.gatherings import Circle
from service.models.members import ChannelName, Member, Topic
from service.web.console.member_words import CHANNELS, LANGUAGES, TOPICS
from service.web.forms import HearthForm

_TOPIC_CHOICES = [(t.value, name) for t, name in TOPICS.items()]


def _boxes(label: str, **options: Any) -> Any:
    return SelectMultipleField(
        label, choices=_TOPIC_CHOICES, option_widget=CheckboxInput(), widget=ListWidget(prefix_label=False), **options
    )


@lru_cache(maxsize=8)
def countries(first: tuple[str, ...]) -> list[tuple[str, str]]:
    """(code, name) of every country with telephones; those that we text come first."""
    names = Locale.parse("en").territories
    rest = sorted((code for code in SUPPORTED_REGIONS if code not in first), key=lambda c: names.get(c, c))
    return [("", "Not known"), *[(code, names.get(code, code)) for code in (*first, *rest)]]


@lru_cache(maxsize=1)
def time_zones() -> list[tuple[str, str]]:
    """Every zone with a place in its name, readable."""
    return [(name, name.replace("_", " ")) for name in sorted(available_timezones()) if "/" in name or name == "UTC"]


class _Person(HearthForm):
    first_name = StringField("First name", [Length(max=80, message="Use at most 80 letters.")])
    phone = TelField("Mobile number", [Length(max=40)])
    email = EmailField("Email", [Length(max=254)])
    country = SelectField("Country", choices=lambda: countries(config.current().countries))
    locale = SelectField("Language", choices=list(LANGUAGES.items()))


class AddMember(_Person):
    """Somebody who told us in person, on paper or by phone that they want to be part."""

    timezone = SelectField("Time zone", choices=lambda: [("", "Guess it from the number or country"), *time_zones()])
    topics = _boxes("What they would like to get", default=[t.value for t in Topic])
    circle = SelectField("Circle")
    consent = RadioField(
        "How do we know that they agree?",
        choices=[
            ("ask", "Ask them: each address gets one message and has to answer it"),
            ("proof", "They have told us already, and we have a record of it"),
        ],
        default="ask",
    )
    consented_at = StringField("The day on which they agreed")
    consent_source = StringField("How they agreed", [Length(max=120, message="Use at most 120 letters.")])
    adult = BooleanField("They are 18 or over", [InputRequired("This community is for people aged 18 or over.")])
    shared = BooleanField("This is another person, who shares the number or address")

    def offer(self, circles: Sequence[Circle]) -> None:
        """Offer these circles."""
        self.circle.choices = [("", "None yet"), *[(c.slug, c.name) for c in circles]]

    def values(self) -> dict[str, str]:
        """What was typed, by column of an import."""
        found = {
            name: self[name].data or "" for name in ("first_name", "phone", "email", "country", "locale", "circle")
        }
        found["timezone"] = self.timezone.data or ""
        found["topics"] = ";".join(self.topics.data or [])
        proof = self.consent.data == "proof"
        for name in ("consented_at", "consent_source"):
            found[name] = (self[name].data or "") if proof else ""
        return found


class EditMember(_Person):
    """What staff may correct."""

    time_zone = SelectField("Time zone")
    discreet = BooleanField("Discreet mode: our messages name no topic, circle or story")
    loss_on = StringField("A loss, on")

    def fill(self, member: Member) -> None:
        """Show what is there."""
        for name in ("first_name", "country", "discreet"):
            self[name].data = getattr(member, name)
        self.locale.data = member.language
        self.time_zone.data = member.time_zone
        self.loss_on.data = member.loss_on.isoformat() if member.loss_on else ""
        for channel, named in ((ChannelName.SMS, self.phone), (ChannelName.EMAIL, self.email)):
            address = member.address(channel)
            named.data = address.value if address else ""

    def offer(self, member: Member) -> None:
        """Offer the zone that is there too: it may be a whole country."""
        choices = time_zones()
        if member.time_zone and member.time_zone not in dict(choices):
            where = member.time_zone.removeprefix(zones.COUNTRY)
            choices = [(member.time_zone, f"Somewhere in {where}"), *choices]
        self.time_zone.choices = choices


class Stop(HearthForm):
    """A stop that somebody told us."""

    how = StringField("How did they tell us?", [InputRequired("Say how, such as “by phone, to me”."), Length(max=100)])
    scope = RadioField(
        "What should stop?",
        choices=[("all", "Everything"), *[(c.value, f"All {name.lower()}") for c, name in CHANNELS.items()],
                 ("topics", "Only these topics:")],
        default="all",
    )  # fmt: skip
    topics = _boxes("Topics")


class Pause(HearthForm):
    """A break."""

    pause_until = StringField("Until", [InputRequired("Choose a day.")])


class UndoStop(HearthForm):
    """A stop that was read into words that did not mean it."""

    channel = RadioField("Where", validators=[InputRequired("Choose one.")])
    why = StringField("Why was it not a request to stop?", [InputRequired("Say why; it is kept."), Length(max=100)])


class Erase(HearthForm):
    """Against slips."""

    typed = StringField("Their first name", [InputRequired("Type it to make sure.")])


class Upload(HearthForm):
    """A file to import."""

    file = FileField("CSV file")


class Search(HearthForm):
    """A name, or a whole number or address."""

    q = StringField("Name, or exact number or email", [Length(max=254)])

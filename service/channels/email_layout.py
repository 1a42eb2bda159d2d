"""Our one email layout around a body, with its styles put on each element, and where values go in the result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from service.channels.email_source import new_token
from service.config import TEMPLATES


class Layout(TypedDict, total=False):
    """The brand around a body. What is left out has a sensible word in the language."""

    org_name: str
    org_postal_address: str
    help_contact: str
    discreet: bool
    language: str
    why: str
    preheader: str
    choose: str
    leave: str


WORDS: dict[str, dict[str, str]] = {
    "en": {
        "why": "You get this because you asked {org_name} to write to you.",
        "why_discreet": "You get this because you asked us to write to you.",
        "choose": "Choose what you get",
        "leave": "Stop these emails",
        "help": "Questions? Just answer this email, or write to",
        "title": "A message for you",
    },
    "es": {
        "why": "Recibes esto porque pediste a {org_name} que te escribiera.",
        "why_discreet": "Recibes esto porque nos pediste que te escribiéramos.",
        "choose": "Elige lo que recibes",
        "leave": "No recibir más estos correos",
        "help": "¿Preguntas? Responde a este correo, o escribe a",
        "title": "Un mensaje para ti",
    },
}


@dataclass(frozen=True)
class Brand:
    """A layout with every word decided."""

    language: str
    discreet: bool
    org_name: str
    address: str
    help_contact: str
    preheader: str
    why: str
    choose: str
    leave: str
    help: str
    title: str


def brand(layout: Mapping[str, Any]) -> Brand:
    """Every word of the layout. In discreet mode nothing of it names the organisation or says what this is about."""
    language = str(layout.get("language") or "en").split("-")[0].lower()
    words = WORDS.get(language, WORDS["en"])
    discreet = bool(layout.get("discreet"))
    org_name = str(layout.get("org_name") or "")
    address = str(layout.get("org_postal_address") or "")
    why = str(layout.get("why") or words["why"].format(org_name=org_name)) if org_name else words["why_discreet"]
    if discreet:
        address = _without(address, org_name)
    return Brand(
        language=language if language in WORDS else "en",
        discreet=discreet,
        org_name="" if discreet else org_name,
        address=address,
        help_contact="" if discreet else str(layout.get("help_contact") or ""),
        preheader="" if discreet else str(layout.get("preheader") or ""),
        why=words["why_discreet"] if discreet else why,
        choose=str(layout.get("choose") or words["choose"]),
        leave=str(layout.get("leave") or words["leave"]),
        help=words["help"],
        title=words["title"] if discreet or not org_name else org_name,
    )


def _without(address: str, name: str) -> str:
    """The postal address, which the law wants in every email, without the organisation's name in it."""
    if not name:
        return address
    return re.sub(rf"\s*{re.escape(name)}\s*[,;·-]?\s*", " ", address, flags=re.IGNORECASE).strip()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES / "email"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


_INLINER = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


class Page:
    """The layout with one brand, ready to be put around bodies. `links` stands where the links to leave belong."""

    def __init__(self, brand: Brand) -> None:
        self.brand = brand
        self._template = _environment().get_template("layout.html")
        self.preferences, self.unsubscribe = new_token(), new_token()
        self.links, self.text_links = new_token(), new_token()
        self._marks = {name: new_token() for name in ("body_from", "body_to", "links_from", "links_to", "from", "to")}
        self.links_html = _between(self._inlined(""), self._marks["links_from"], self._marks["links_to"])

    def around(self, body: str) -> str:
        """The finished page around a body of safe HTML."""
        page = self._inlined(body)
        first, _, rest = page.partition(self._marks["links_from"])
        page = first + self.links + rest.partition(self._marks["links_to"])[2]
        return page.replace(self._marks["body_from"], "").replace(self._marks["body_to"], "")

    def styled(self, fragment: str, *, inline: bool) -> str:
        """A part of a body with the styles that it has in the page."""
        marked = f"{self._marks['from']}{fragment}{self._marks['to']}"
        return _between(self._inlined(f"<p>{marked}</p>" if inline else marked), self._marks["from"], self._marks["to"])

    def _inlined(self, body: str) -> str:
        html = self._template.render(
            brand=self.brand,
            body=Markup(body),  # noqa: S704 - made by email_markdown, or by this page
            preferences_url=self.preferences,
            unsubscribe_url=self.unsubscribe,
            marks=self._marks,
        )
        return _INLINER.inline(html)

    def links_text(self) -> str:
        """The links to leave, for the plain text part."""
        return f"{self.brand.choose}: {self.preferences}\n{self.brand.leave}: {self.unsubscribe}\n"

    def text_around(self, body: str) -> str:
        """The plain text part around a body."""
        brand = self.brand
        lines = [brand.why]
        if brand.help_contact:
            lines.append(f"{brand.help} {brand.help_contact}")
        footer = "\n".join(lines)
        ending = f"{brand.org_name}\n{brand.address}".strip()
        return f"{body}-- \n{footer}\n{self.text_links}{ending}\n"


def _between(html: str, start: str, end: str) -> str:
    return html.partition(start)[2].partition(end)[0]

"""Which language a page speaks, and the words for it.

Public pages are in English and Spanish. Texts are written in English in the templates, `{{ _("Join us") }}`;
Spanish lives in `service/translations/es/*.po`, read as it is (nothing to compile, several files may share the work).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.messages.pofile import read_po
from flask import Flask, g, has_request_context, request, session

from service import config

LANGUAGES = {"en": "English", "es": "Español"}
_FOLDER = Path(__file__).resolve().parent.parent / "translations"


def init_app(app: Flask) -> None:
    """Offer `_()`, `ngettext()` and `{% trans %}` to the templates."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.before_request(_remember_choice)
    app.context_processor(lambda: {"lang": language(), "languages": LANGUAGES})


def prefer(locale: str) -> None:
    """Speak a member's own language for the rest of this request, unless they chose another on the page."""
    g.member_language = locale


def language() -> str:
    """`"en"` or `"es"`: what was chosen by ?lang=, then the member's own, then what the browser asks for."""
    if not has_request_context():
        return "en"
    if request.path.startswith("/console"):
        return "en"
    for wish in (session.get("lang"), g.get("member_language")):
        if wish and wish.partition("-")[0] in LANGUAGES:
            return str(wish).partition("-")[0]
    return request.accept_languages.best_match(LANGUAGES) or "en"


def locale(preferred: str = "") -> Locale:
    """The Babel locale for dates and numbers: `preferred` ("en-GB"), or the page's language as this country has it."""
    for name in (preferred.replace("-", "_"), f"{language()}_{config.current().default_country}", language()):
        try:
            return Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")


def gettext(message: str) -> str:
    """`message` in the language of the page; English if nobody has translated it yet."""
    return read_catalogue(language()).get(message, message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """The form for `n` of a message with a number in it."""
    known = read_catalogue(language())
    return known.get(singular, singular) if n == 1 else known.get(f"{singular}\0plural", plural)


def _remember_choice() -> None:
    if (wish := request.args.get("lang", "")) in LANGUAGES:
        session["lang"] = wish


@lru_cache
def read_catalogue(language: str) -> dict[str, str]:
    """Every translation of `language`: message → text. Plural forms are kept under `message + "\\0plural"`."""
    words: dict[str, str] = {}
    for path in sorted((_FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                _add(words, message.id, message.string)
    return words


def _add(words: dict[str, str], key: Any, text: Any) -> None:
    if isinstance(key, str):
        if key and text:
            words[key] = text
    elif key and all(text[:2]):
        words[key[0]], words[f"{key[0]}\0plural"] = text[0], text[1]

"""English and Spanish: which one a page speaks, and that no public sentence is left untranslated."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import Environment
from jinja2.ext import babel_extract

from service import config, db
from service.web import languages

PUBLIC = [
    *(config.TEMPLATES / "public").rglob("*.html"),
    *(config.TEMPLATES / "errors").rglob("*.html"),
    *(config.TEMPLATES / "macros").rglob("*.html"),
]


def messages(path: Path) -> Iterator[str]:
    """Every English text that a template hands to `_()`, `ngettext()` or `{% trans %}`."""
    with path.open("rb") as file:
        for _, _, message, _ in babel_extract(file, ("_", "gettext", "ngettext"), [], {"trim_blocks": "true"}):
            yield from [message] if isinstance(message, str) else [m for m in message[:1] if m]


@pytest.mark.parametrize("path", PUBLIC, ids=lambda p: str(p.relative_to(config.TEMPLATES)))
def test_every_public_sentence_has_its_spanish(path: Path) -> None:
    missing = [text for text in messages(path) if text not in languages.read_catalogue("es")]
    assert not missing, f"{path.name}: add to service/translations/es/*.po: {missing}"


def test_spanish_keeps_the_places_that_are_filled_in() -> None:
    for english, spanish in languages.read_catalogue("es").items():
        places = re.findall(r"%\(\w+\)s", english.partition("\0")[0])
        assert sorted(places) == sorted(re.findall(r"%\(\w+\)s", spanish)), english


def test_trans_blocks_are_understood(app: Flask, database: db.Database) -> None:
    assert isinstance(app.jinja_env, Environment)
    with app.test_request_context("/?lang=es"):
        app.preprocess_request()
        assert app.jinja_env.from_string("{% trans %}Questions?{% endtrans %}").render() == "¿Preguntas?"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_which_language_a_page_speaks(client: FlaskClient) -> None:
    spanish = {"Accept-Language": "es-MX,es;q=0.9"}
    assert 'lang="en"' in client.get("/nowhere").text
    page = client.get("/nowhere", headers=spanish).text
    assert 'lang="es"' in page
    assert "Aquí no hay nada" in page
    client.get("/nowhere?lang=en", headers=spanish)
    assert "There is nothing here" in client.get("/nowhere", headers=spanish).text  # what was chosen stays
    assert 'lang="en"' in client.get("/console/sign-in?lang=es", headers=spanish).text  # the console is in English

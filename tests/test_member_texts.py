"""Every automatic message to a member, rendered in every language and country: complete, short, kind, and honest.

`templates/messages.toml` says what each message is for and what it needs; the rules are those of safety.md and of the
carriers (a stop word is never asked for anything else, English texts stay within two segments).
"""

import re
import tomllib
from datetime import timedelta
from itertools import product
from typing import Any

import gsm0338
import pytest
from jinja2 import meta

from service import clock
from service.actions import crisis
from service.actions.outbox import environment
from service.config import ROOT, TEMPLATES

INDEX = tomllib.loads((TEMPLATES / "messages.toml").read_text(encoding="utf-8"))
MESSAGES: dict[str, dict[str, Any]] = INDEX["messages"]
LINES = tomllib.loads((ROOT / "service" / "actions" / "crisis_lines.toml").read_text(encoding="utf-8"))
BY_COUNTRY: dict[str, dict[str, Any]] = {row["country"]: row for row in LINES["country"]}
COUNTRIES = [*BY_COUNTRY, "", "DE"]
LANGUAGES = ["en", "es"]
SMS = [name for name, about in MESSAGES.items() if "sms" in about.get("channels", ["sms", "email"])]
EMAIL = [name for name, about in MESSAGES.items() if "email" in about.get("channels", ["sms", "email"])]
EMAIL_FILES = [("subject", "txt"), ("body", "md")]
COMMON = {
    "org_name", "first_name", "country", "language", "help_contact", "crisis_line", "youth_line", "emergency_number",
}  # fmt: skip
EVERY_WORD = ["HELP", "STOP", "PAUSE", "STORY", "TOOL", "VENT"]

# Spanish texts that cannot do without an accent outside GSM-7 (SÍ, días), and what they may cost.
COSTLY = {("confirm", "es"): 4, ("confirm_discreet", "es"): 3, ("still_there", "es"): 2}

DEMANDS = {
    "en": r"\bmust\b|\bshould\b|\bhave to\b|(?<!no )(?<!more you )\bneed to\b|\bought\b|don't forget|\bremember to\b|"
    r"\bmissed\b|\bmissing you\b|\bfail|\bcommitted\b|\bsuccessful|\bdisappoint|\bat least\b|\bwhy (didn't|haven't)|"
    r"\bstay strong\b|\bcheer up\b|\bbe positive\b|\bnot alone\b|\burgent\b|\blast chance\b|haven't heard|\bjust be\b",
    "es": r"\bdebes\b|\bdeberías\b|\btienes que\b|\bhay que\b|no olvides|no te olvides|recuerda que|te extrañamos|"
    r"te echamos de menos|\bfall(ó|aste|ido)|\bcometi|\bsé fuerte\b|\bánimo\b|no estás sol|\burgente\b|"
    r"última oportunidad",
}
PRIVACY = {
    "en": r"confidential|\bprivate|\bonly you\b|\bsecret|anonym|nobody else|no one else|\bsafe space\b|\bsecure\b",
    "es": r"confidencial|\bprivad|\bsolo tú\b|\bsecret|anónim|nadie más|\bespacio seguro\b",
}
MACHINE_STOP_WORDS = {
    "CANCEL", "END", "QUIT", "UNSUBSCRIBE", "STOPALL", "REVOKE", "OPTOUT",
    "ALTO", "PARAR", "BAJA", "FIN", "CANCELAR", "ARRET", "TERMINAR",
}  # fmt: skip
# Words in capitals that are not ours to answer: keywords and names of crisis lines, and plain emphasis to staff.
NOT_OURS = {"SHOUT", "HOME", "CONNECT", "ANAR", "NOT", "NO"}
RATES = "Msg & data rates"


def file_of(channel: str, name: str, language: str, part: tuple[str, str] = ("body", "md")) -> str:
    mark = "" if language == "en" else f".{language}"
    return f"sms/{name}{mark}.txt" if channel == "sms" else f"email/{name}/{part[0]}{mark}.{part[1]}"


def line_for(country: str, language: str) -> dict[str, str]:
    row = BY_COUNTRY.get(country, LINES["fallback"])
    emergency = row["emergency_number"] if language == "en" else row.get("emergency_number_es", row["emergency_number"])
    return {
        "crisis_line": row[f"short_{language}"],
        "youth_line": row[f"youth_{language}"],
        "emergency_number": emergency,
    }


def context(language: str, country: str, **changes: Any) -> dict[str, Any]:
    spanish = language == "es"
    # A message that is added later renders at once, with something of a usual length in each of its extras.
    usual = {extra: "mar 24 nov, 19:00" for about in MESSAGES.values() for extra in about.get("extras", {})}
    return usual | {
        "org_name": "Hearthline",
        "first_name": "Guadalupe",
        "country": country,
        "language": language,
        "help_contact": "help@hearthline.example",
        "topics": ["stories", "checkins", "sessions", "tools", "circle"],
        "per_week": 3,
        "confirm_url": "https://hearthline.example/c/3xAmpl3",
        "page_url": "https://hearthline.example/inbox/0192f0c1",
        "everything": True,
        "when": "antes de las 18:00 de hoy" if spanish else "before 6pm today",
        "session_when": "mar 24 nov, 19:00" if spanish else "Tue 24 Nov, 7pm",
        "session_name": "Tuesday Kitchen",
        "count": 14,
        "what": "tu 1 de hoy" if spanish else "your yes to Tue 24 Nov, 7pm",
        "until": "el lun 7 dic" if spanish else "Mon 7 Dec",
        "number": "17",
        "code": "804 113",
        "minutes": 10,
        "choices": "ansiedad, dormir, respirar" if spanish else "anxiety, sleep, breathing",
        "helped": True,
        "offers": [("A", "Siete tardes" if spanish else "Seven small evenings", 7)],
        "tool": True,
        "stretch": False,
        "line": True,
        "line_words": "Acuérdate del lago." if spanish else "Remember the lake; it passed.",
        "day": 2,
        "days": 7,
        "title": "Siete tardes" if spanish else "Seven small evenings",
        "tool_title": "5-4-3-2-1",
        "tool_body": "Cinco, cuatro, tres, dos, uno." if spanish else "Five, four, three, two, one.",
        "topic": "Dormir" if spanish else "Sleep",
        "prompt": "Los domingos me pesa la semana." if spanish else "On Sunday evenings I dread the week.",
        "often": "como mucho una vez por semana" if spanish else "at most once a week",
        "named": True,
        "open": True,
        "story_title": "Small mornings",
        "story_body": "Antes me pasaba." if spanish else "I used to feel like that.",
        "story_text": "Antes me pasaba." if spanish else "I used to feel like that.",
        "story_about": "duelo" if spanish else "grief",
        "story_by": "Ana",
        **line_for(country, language),
        **changes,
    }


def rendered(channel: str, name: str, language: str, country: str, **changes: Any) -> str:
    parts = EMAIL_FILES if channel == "email" else [("body", "md")]
    env, words = environment(), context(language, country, **changes)
    return "\n\n".join(env.get_template(file_of(channel, name, language, part)).render(words) for part in parts)


def is_gsm(text: str) -> bool:
    try:
        gsm0338.Codec().encode(text)
    except UnicodeEncodeError:
        return False
    return True


def segments(text: str) -> int:
    if is_gsm(text):
        units, single, joined = len(gsm0338.Codec().encode(text)[0]), 160, 153
    else:
        units, single, joined = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if units <= single else -(-units // joined)


ALL = [("sms", name) for name in SMS] + [("email", name) for name in EMAIL]


def test_the_index_and_the_folders_agree() -> None:
    texts = {p.relative_to(TEMPLATES).as_posix() for p in (TEMPLATES / "sms").glob("*.txt")}
    assert texts == {file_of("sms", name, language) for name, language in product(SMS, LANGUAGES)}
    mails = {f"email/{p.parent.name}/{p.name}" for p in (TEMPLATES / "email").glob("*/*") if p.parent.name in MESSAGES}
    wanted = {file_of("email", n, lang, part) for n, lang, part in product(EMAIL, LANGUAGES, EMAIL_FILES)}
    assert mails == wanted


@pytest.mark.parametrize(("channel", "name"), ALL)
def test_both_languages_use_the_same_variables_and_only_those_promised(channel: str, name: str) -> None:
    env = environment()

    def variables(language: str) -> set[str]:
        parts = EMAIL_FILES if channel == "email" else [("body", "md")]
        sources = [(TEMPLATES / file_of(channel, name, language, p)).read_text(encoding="utf-8") for p in parts]
        return set().union(*(meta.find_undeclared_variables(env.parse(source)) for source in sources))

    english, spanish = variables("en"), variables("es")
    # Only the English wording differs for readers outside the United States and Canada here.
    assert english - {"country"} == spanish - {"country"}
    assert english | spanish <= COMMON | set(MESSAGES[name].get("extras", {}))


def test_every_promised_extra_is_used_somewhere() -> None:
    for name, about in MESSAGES.items():
        files = [*TEMPLATES.glob(f"sms/{name}*.txt"), *TEMPLATES.glob(f"email/{name}/*")]
        source = "\n".join(p.read_text(encoding="utf-8") for p in files)
        for extra in about.get("extras", {}):
            assert re.search(rf"\b{extra}\b", source), f"{name}: {extra} is promised and never used"


@pytest.mark.parametrize("name", SMS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_short_in_every_country(name: str, language: str) -> None:
    for country, first_name in product(COUNTRIES, ["", "Guadalupe"]):
        text = rendered("sms", name, language, country, first_name=first_name)
        assert text == " ".join(text.split()), (name, text)
        assert segments(text) <= COSTLY.get((name, language), 2), f"{name} {language} {country}: {len(text)}: {text}"
        assert is_gsm(text) or (name, language) in COSTLY, f"{name} {language} {country} leaves GSM-7: {text}"


def test_texts_still_fit_with_a_longer_name_of_the_organisation() -> None:
    for name, language, country in product(SMS, LANGUAGES, COUNTRIES):
        text = rendered("sms", name, language, country, org_name="Riverside Peer Support")
        assert segments(text) <= COSTLY.get((name, language), 2) + 1, (name, language, country)


@pytest.mark.parametrize(("channel", "name"), ALL)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_demand_no_guilt_no_promise_of_privacy(channel: str, name: str, language: str) -> None:
    for country in COUNTRIES:
        text = rendered(channel, name, language, country)
        for rule in (DEMANDS[language], PRIVACY[language]):
            found = re.search(rule, text, re.IGNORECASE)
            assert not found, f"{channel} {name} {language}: {found and found.group()!r}"


def test_the_lint_finds_what_it_is_for() -> None:
    bad = {
        "en": ["You should call us", "We missed you", "don't forget Tuesday", "you need to rest", "You're not alone"],
        "es": ["Deberías llamar", "Te echamos de menos", "No olvides venir", "tienes que descansar"],
    }
    for language, sentences in bad.items():
        for sentence in sentences:
            assert re.search(DEMANDS[language], sentence, re.IGNORECASE), sentence
    assert re.search(PRIVACY["en"], "This is completely confidential")
    assert re.search(PRIVACY["es"], "Es un espacio seguro y privado")
    assert not re.search(DEMANDS["en"], "No need to reply.", re.IGNORECASE)


@pytest.mark.parametrize(("channel", "name"), ALL)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_asks_only_for_words_that_are_ours(channel: str, name: str, language: str) -> None:
    known = {
        word
        for english, spanish in INDEX["words"].items()
        for word in (english if language == "en" else spanish).split()
    }
    for country in COUNTRIES:
        text = rendered(channel, name, language, country)
        asked = set(re.findall(r"\b[A-ZÁÉÍÓÚÑ]{2,}\b", text))
        assert not asked & MACHINE_STOP_WORDS, (name, asked & MACHINE_STOP_WORDS)
        line = set(re.findall(r"\b[A-Z]{2,}\b", " ".join(line_for(country, language).values())))
        assert asked <= known | line | NOT_OURS, (name, language, asked - known)


@pytest.mark.parametrize(("channel", "language", "country"), list(product(["sms", "email"], LANGUAGES, COUNTRIES)))
def test_the_answer_to_risk(channel: str, language: str, country: str) -> None:
    words = line_for(country, language)
    for name in ("risk_answer", "risk_answer_discreet"):
        text = rendered(channel, name, language, country)
        first = "Thank you" if language == "en" else "Gracias"
        body = text.split("\n\n", 2)[2] if channel == "email" else text
        assert body.startswith(first)
        assert text.count(words["crisis_line"]) == 1
        assert words["emergency_number"] in text
        assert ("not an emergency service" if language == "en" else "no es un servicio de emergencias") in text
        assert ("not always at once" if language == "en" else "no siempre al momento") in text
        if country not in BY_COUNTRY:
            assert not re.search(r"\b(988|911|116 123|024)\b", text), "an unknown country never gets another's numbers"
    discreet = rendered(channel, "risk_answer_discreet", language, country)
    assert not re.search(r"suicid|harm|risk|crisis|danger|telling us|riesgo|peligro|daño|decirlo\b", discreet, re.I)


@pytest.mark.parametrize("language", LANGUAGES)
def test_discreet_and_neutral_messages_name_no_topic(language: str) -> None:
    telling = r"stor(y|ies)|check-?in|circle|session|support|grie|anxi|historia|encuentro|círculo|grupo|apoyo|duelo"
    for channel, name in product(["sms", "email"], ["confirm_discreet", "already_joined_neutral", "access_code"]):
        assert not re.search(telling, rendered(channel, name, language, "US"), re.I)
    for name in EMAIL:
        subject = environment().get_template(file_of("email", name, language, ("subject", "txt")))
        assert not re.search(telling, subject.render(context(language, "US")), re.I), name


def test_what_carriers_and_the_law_require() -> None:
    for language, country in product(LANGUAGES, COUNTRIES):
        for name in ("confirm", "confirm_discreet"):
            text = rendered("sms", name, language, country)
            assert text.startswith("Hearthline")
            assert "STOP" in text
            assert "3" in text
            assert ("YES" in text and "HELP" in text) if language == "en" else ("SÍ" in text and "AYUDA" in text)
            if language == "en":
                assert (RATES in text) == (country in ("US", "CA"))
                assert ("your network may charge for texts" in text) == (country not in ("US", "CA"))
        help_text = rendered("sms", "help", language, country)
        assert {"Hearthline", "help@hearthline.example", "STOP"} <= set(re.findall(r"[\w@.-]*[\w]", help_text))
        assert line_for(country, language)["crisis_line"] in help_text
        for name in ("sms_footer_first", "sms_footer_stop"):
            assert rendered("sms", name, language, country).startswith("Hearthline.")
            assert "STOP" in rendered("sms", name, language, country)
        stopped = rendered("sms", "stopped", language, country)
        assert segments(stopped) == 1
        assert "http" not in stopped


def test_stopping_says_exactly_what_was_stopped() -> None:
    assert "by text or email" in rendered("sms", "stopped", "en", "US")
    assert "email" not in rendered("sms", "stopped", "en", "US", everything=False)
    assert "por correo ni por texto" in rendered("email", "stopped", "es", "MX")
    assert "texto" not in rendered("email", "stopped", "es", "MX", everything=False)
    for channel, language, country in product(["sms", "email"], LANGUAGES, COUNTRIES):
        assert line_for(country, language)["crisis_line"] in rendered(channel, "stopped_with_line", language, country)


def test_every_answer_repeats_what_was_understood() -> None:
    for channel, score in product(["sms", "email"], range(1, 6)):
        assert f"You said {score}," in rendered(channel, f"checkin_{score}", "en", "US")
        assert f"Tu respuesta: {score}," in rendered(channel, f"checkin_{score}", "es", "MX")
    for channel, language in product(["sms", "email"], LANGUAGES):
        when, oops = context(language, "GB")["session_when"], INDEX["words"]["OOPS"] if language == "es" else "OOPS"
        for answer in ("rsvp_yes", "rsvp_no", "rsvp_maybe"):
            text = rendered(channel, answer, language, "GB")
            assert when in text
            assert oops in text
        for answer in ("me_too_noted", "me_too_count", "paused", *(f"checkin_{n}" for n in range(1, 6))):
            assert oops in rendered(channel, answer, language, "GB")
    assert "14 others" in rendered("sms", "me_too_count", "en", "US")
    assert not re.search(r"\d", rendered("sms", "me_too_noted", "en", "US"))


def test_a_one_gets_a_person_and_the_local_line_and_no_tool() -> None:
    for channel, language, country in product(["sms", "email"], LANGUAGES, COUNTRIES):
        text, words = rendered(channel, "checkin_1", language, country), line_for(country, language)
        assert context(language, country)["when"] in text
        assert words["crisis_line"] in text
        assert not re.search(r"\btool\b|breath|try |herramienta|respira|prueba", text, re.I)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_third_hard_day_in_a_row_still_fits_two_segments(language: str) -> None:
    for country in COUNTRIES:
        text = rendered("sms", "checkin_2", language, country, stretch=True)
        assert segments(text) <= 2, (country, len(text), text)
        assert context(language, country)["when"] in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_passing_on_may_say_besides_still_fits_two_segments(language: str) -> None:
    for name in ("step_passed", "said_passed"):
        text = rendered("sms", name, language, "US", named=False, unnamed=True)
        assert segments(text) <= 2, (len(text), text)
        assert is_gsm(text)
    for day in ("", "martes 12 de mayo" if language == "es" else "Tuesday 12 May"):
        text = rendered("sms", "note_later", language, "US", day=day, kept=True)
        assert segments(text) <= 2, (len(text), text)
        assert is_gsm(text)


def test_the_scale_always_says_which_end_is_which() -> None:
    assert re.search(r"1 very hard.*5 good", rendered("sms", "checkin_scale", "en", "US"))
    assert re.search(r"1 muy duro.*5 bien", rendered("sms", "checkin_scale", "es", "MX"))


def test_the_menu_teaches_every_word_that_begins_something() -> None:
    taught = [*EVERY_WORD, "READ", "CHEER", "CHEER ME", "STEP", "SAID", "SHARE", "FIND"]
    for channel, language in product(["sms", "email"], LANGUAGES):
        text = rendered(channel, "menu", language, "US")
        words = [INDEX["words"][w] if language == "es" else w for w in taught]
        assert [word for word in words if not re.search(rf"\b{word}(?=[:,.*])", text)] == []


def test_a_page_to_staff_carries_a_link_and_nothing_of_the_member() -> None:
    for channel, name, language in product(["sms", "email"], ["page_staff", "page_staff_cannot_text"], LANGUAGES):
        text = rendered(channel, name, language, "US", first_name="Guadalupe")
        assert "https://hearthline.example/inbox/0192f0c1" in text
        assert "Guadalupe" not in text


def test_the_crisis_lines_are_complete_checked_and_fit_a_text() -> None:
    assert set(BY_COUNTRY) >= {"US", "GB", "MX"}
    assert len(BY_COUNTRY) == len(LINES["country"])
    today = clock.now().date()
    for row in [*LINES["country"], LINES["fallback"]]:
        where = row.get("country", "fallback")
        for field in ("name", "text_en", "text_es", "youth_name", "hours", "source", "evidence", "emergency_number"):
            assert row[field], (where, field)
        assert row["source"].startswith("https://")
        for field, start in product(("short", "youth"), LANGUAGES):
            phrase = row[f"{field}_{start}"]
            assert is_gsm(phrase), (where, phrase)
            assert len(phrase) <= 85, (where, phrase)
            verb = r"(call|find) .*[^.]" if start == "en" else r"(llamar|buscar) .*[^.]"
            assert re.fullmatch(verb, phrase), (where, phrase)
        age = today - row["verified_at"]
        assert timedelta(0) <= age <= timedelta(days=crisis.STALE_AFTER_DAYS), (
            f"{where}: check the line again ({row['source']})"
        )
    for country, row in BY_COUNTRY.items():
        assert re.fullmatch(r"[A-Z]{2}", country)
        assert re.fullmatch(r"\d{3}", row["emergency_number"])

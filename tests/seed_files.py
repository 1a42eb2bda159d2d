"""The seed files of the demo, read once, and the rules for words that several tests hold them to."""

import tomllib
from functools import cache
from typing import Any

import gsm0338

from service.config import ROOT

SEED = ROOT / "service" / "seed_data"

# Rules for stories (facts on safety): nothing of these may be said, in any language.
METHOD_OR_PLACE = (
    r"\bpills?\b|overdos|\bhang(ing|ed)\b|\bnoose|\brope\b|\bknife|\bblade|\brazor|\bcut(ting)? (my|him|her)|"
    r"\bbridge\b|\bjump(ed)? (off|from)|\btrain tracks|\bgun\b|\bshot\b|poison|\bmg\b|\btablets?\b|pastilla|"
    r"\bsoga\b|cuchill|navaja|\bpuente\b|veneno|sobredosis|ahorc|\bpistola\b|\bcortarme\b"
)
FORBIDDEN = (
    r"committed|commit suicide|successful|unsuccessful|failed attempt|epidemic|\bat peace now\b|better place|"
    r"only way out|no other way|cometió|suicidio consumado|éxito|epidemia|descansa en paz|mejor lugar|única salida|"
    r"\bbecause of (him|her|you)\b|\bonly because\b|por culpa de"
)
CLAIMS = (
    r"\bcured?\b|\bguarantee|\balways works|\beveryone can\b|\bjust (smile|be)\b|"
    r"\bcur(ó|ada|ado)\b|garantiza|siempre funciona"
)
DEMANDS = r"\byou (must|should|have to|need to)\b|\bdon't forget\b|\bdebes\b|\btienes que\b|\bdeberías\b|\bno olvides\b"
PRIVACY = r"confidential|nobody else will|only you\b|anonymous|confidencial|solo tú\b|anónim"
PERSONAL = r"@|https?:|www\.|\+?\d[\d\s().-]{6,}\d|#\w|\b\d{1,5} \w+ (Street|Road|Avenue|Calle)\b"


@cache
def data(name: str) -> dict[str, Any]:
    return tomllib.loads((SEED / f"{name}.toml").read_text(encoding="utf-8"))


def rows(name: str, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data(name)[table]
    return found


def keys(name: str, table: str) -> dict[str, dict[str, Any]]:
    by_key = {row["key"]: row for row in rows(name, table)}
    assert len(by_key) == len(rows(name, table)), f"{name}: a key is there twice"
    return by_key


def septets(text: str) -> int | None:
    """Length in GSM-7, or None when the text leaves it."""
    try:
        return len(gsm0338.Codec().encode(text)[0])
    except UnicodeEncodeError:
        return None


def words(text: str) -> int:
    return len(text.split())


MEMBERS = keys("members", "member")
STORIES = keys("stories", "story")
TOOLS = keys("tools", "tool")
CIRCLES = keys("circles", "circle")
STAFF = keys("coordinators", "coordinator")
CAMPAIGNS = keys("campaigns", "campaign")
SESSIONS = {f"{c['key']}#{n + 1}" for c in rows("sessions", "circle") for n in range(c["next"])}

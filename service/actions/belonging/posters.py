"""A poster for a circle: its name, when it meets, a QR code and the word to text. Black on white, for any printer.

It is drawn once, as a PDF; the PNG is a picture of the same page. What it takes is loaded only when somebody wants one.
"""

import io
import unicodedata
from dataclasses import dataclass
from typing import Any

from service import config, links
from service.actions.belonging import words
from service.models.gatherings import Circle, Openness

PAPERS: dict[str, tuple[float, float]] = {"a4": (595.28, 841.89), "letter": (612.0, 792.0)}
"""Width and height in points (1/72 inch)."""
DOTS = 200
"""Dots per inch of the PNG: enough for print, and small enough to mail."""
FONT, BOLD = "Helvetica", "Helvetica-Bold"
"""In every PDF reader; they hold all letters of English and Spanish."""
_MARGIN = 54.0
_QR = 250.0
_STROKED = str.maketrans("ŁłĐđıØø", "LlDdiOo")

_WORDS = {
    "en": {
        "lead": "You are welcome here.",
        "online": "Online",
        "clock": "{city} time",
        "or_online": "or online",
        "scan": "Scan to read more and join",
        "text": "Or text {word} to {number}",
        "word": "JOIN",
        "ask": "A person says yes first.",
        "free": "Free. For people aged 18 or over. You can leave at any time: text STOP.",
        "network": "Your network may charge for texts. Not an emergency service.",
    },
    "es": {
        "lead": "Aquí hay sitio para ti.",
        "online": "En línea",
        "clock": "hora de {city}",
        "or_online": "o en línea",
        "scan": "Escanea para leer más y unirte",
        "text": "O envía {word} al {number}",
        "word": "UNIRME",
        "ask": "Primero responde una persona.",
        "free": "Gratis. Para mayores de 18 años. Puedes salir cuando quieras: envía STOP.",
        "network": "Tu operador puede cobrar los mensajes. No es un servicio de emergencias.",
    },
}


@dataclass(frozen=True)
class Poster:
    """A finished file with the name to save it under."""

    data: bytes
    content_type: str
    name: str


def poster(circle: Circle, kind: str, language: str, paper: str) -> Poster:
    """The poster as `pdf` or `png`, in `en` or `es`, for `a4` or `letter`. Anything else is a KeyError."""
    content_type = {"pdf": "application/pdf", "png": "image/png"}[kind]
    made = _pdf(circle, _WORDS[language], language, PAPERS[paper])
    return Poster(_png(made) if kind == "png" else made, content_type, f"{circle.slug}-{language}-{paper}.{kind}")


def address(circle: Circle) -> str:
    """Where the QR code leads; for a circle by invitation with its code."""
    code = f"?code={circle.invite_code}" if circle.openness == Openness.INVITE and circle.invite_code else ""
    return links.url(f"/circles/{circle.slug}{code}")


def _pdf(circle: Circle, said: dict[str, str], language: str, size: tuple[float, float]) -> bytes:
    from reportlab.pdfgen import canvas

    width, height = size
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=size, pageCompression=1, invariant=1, lang=language)
    page.setTitle(_fit_for_print(circle.name))
    page.setAuthor(_fit_for_print(config.current().org_name))
    column = _Column(page, width, height - _MARGIN)
    column.write(config.current().org_name, FONT, 15, after=26)
    column.write(circle.name, BOLD, 46, after=8)
    column.write(circle.theme, FONT, 22, after=24)
    column.write(said["lead"], FONT, 18, after=20)
    column.write(_when(circle, said, language), BOLD, 22, after=4)
    column.write(_where(circle, said), FONT, 16, after=4)
    column.write(said["ask"] if circle.openness == Openness.ASK else "", FONT, 14, after=0)
    _foot(page, circle, said, width, column.y)
    page.showPage()
    page.save()
    return out.getvalue()


class _Column:
    """Lines in the middle of the page, one below the other; what is too long is broken, what is too wide shrinks."""

    def __init__(self, page: Any, width: float, top: float) -> None:
        self.page, self.width, self.y = page, width, top

    def write(self, text: str, font: str, points: float, after: float) -> None:
        """Set a paragraph and go on below it; nothing for no words."""
        from reportlab.lib.utils import simpleSplit

        text = _fit_for_print(text)
        if not text:
            return
        room = self.width - 2 * _MARGIN
        longest = max(text.split(), key=len)
        points = min(points, points * room / max(self.page.stringWidth(longest, font, points), 1.0))
        lines = simpleSplit(text, font, points, room)
        while len(lines) > 3 and points > 12:
            points *= 0.85
            lines = simpleSplit(text, font, points, room)
        for line in lines[:4]:
            self.y -= points * 1.2
            self.page.setFont(font, points)
            self.page.drawCentredString(self.width / 2, self.y, line)
        self.y -= after


def _foot(page: Any, circle: Circle, said: dict[str, str], width: float, top: float) -> None:
    """The QR code, the word to text, and the small lines, from the bottom up."""
    number = config.current().twilio_from
    word = circle.invite_code if circle.openness == Openness.INVITE and circle.invite_code else circle.keyword
    small = _Column(page, width, _MARGIN + 34)
    small.write(said["free"], FONT, 11, after=2)
    small.write(said["network"], FONT, 11, after=0)
    base = _MARGIN + 62
    if number:
        line = said["text"].format(word=f"{said['word']} {word}", number=_spaced(number))
        _Column(page, width, base + 24).write(line, BOLD, 20, after=0)
        base += 36
    _Column(page, width, base + 18).write(said["scan"], FONT, 14, after=0)
    side = min(_QR, max(96.0, top - base - 54))
    _qr(page, address(circle), (width - side) / 2, base + 28, side)


def _qr(page: Any, url: str, left: float, bottom: float, side: float) -> None:
    """Squares of black, with the quiet zone that the standard asks for left white around them."""
    import segno

    code = segno.make(url, error="m", micro=False)
    rows = list(code.matrix)
    step = side / (len(rows) + 8)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                # A little larger than it is, so that no printer leaves hairlines between two squares.
                page.rect(left + (x + 4) * step, bottom + side - (y + 5) * step, step * 1.02, step * 1.02, 0, 1)


def _png(pdf: bytes) -> bytes:
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    try:
        picture = document[0].render(scale=DOTS / 72, grayscale=True).to_pil()
        out = io.BytesIO()
        picture.save(out, "PNG", optimize=True, dpi=(DOTS, DOTS))
        return out.getvalue()
    finally:
        document.close()


def _where(circle: Circle, said: dict[str, str]) -> str:
    if circle.place and circle.online_url:
        return f"{circle.place}, {said['or_online']}"
    return circle.place or (said["online"] if circle.online_url else "")


def _when(circle: Circle, said: dict[str, str], language: str) -> str:
    """The rhythm; with whose clock that is, where people may come from anywhere."""
    often = words.rhythm(circle, language)
    city = circle.time_zone.rsplit("/", 1)[-1].replace("_", " ")
    clock = f" ({said['clock'].format(city=city)})" if often and circle.online_url else ""
    return f"{often[:1].upper()}{often[1:]}{clock}"


def _spaced(number: str) -> str:
    """A phone number as people write it down."""
    import phonenumbers

    try:
        return phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    except phonenumbers.NumberParseException:
        return number


def _fit_for_print(text: str) -> str:
    """Only what the fonts of every PDF reader hold: a letter without its accent rather than an empty box."""
    kept = []
    for letter in " ".join(text.split()):
        try:
            letter.encode("cp1252")
            kept.append(letter)
        except UnicodeEncodeError:
            plain = unicodedata.normalize("NFKD", letter.translate(_STROKED)).encode("ascii", "ignore").decode()
            kept.append(plain)
    return "".join(kept).strip()

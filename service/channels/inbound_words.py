"""What a person wrote, freed from what their mail program put around it.

Written by hand because a member's words must not be lost: the libraries tried cut off everything after a line such as
"Thanks, I am not safe", or an answer below the quote, and one took 20 s on 40 kB of blanks. Doubt keeps the words.
"""

import re
import unicodedata

_BREAKS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_WORD = re.compile(r"\S{1,1000}")

# A ">" that starts a face, >:( or >_<, is not a quotation mark.
_QUOTED = re.compile(r"[ \t]{0,3}>(?=$|[\s>¿¡\"'“(\[*•#-]|[^\W_])")
_ATTRIBUTION_START = re.compile(r"(?:On|El)\s", re.IGNORECASE)
_ATTRIBUTION_END = re.compile(r"(?:wrote|escribió|escribio)\s?:$", re.IGNORECASE)
_CLOCK_TIME = re.compile(r"\d{1,2}[:.]\d{2}")
_FORWARD = re.compile(
    r"-{2,}\s{0,3}(?:Original Message|Forwarded message|Mensaje original|Mensaje reenviado)\s{0,3}-{2,}$"
    r"|(?:Begin forwarded message|Inicio del mensaje reenviado):$",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"[* ]{0,3}(From|De|Sent|Date|Enviado(?: el)?|Enviada(?: el)?|Fecha|To|Para|Subject|Asunto|Cc)[* ]{0,2}:",
    re.IGNORECASE,
)
_HEADER_KIND = {"from": "from", "de": "from", "sent": "date", "date": "date", "fecha": "date", "cc": "other"}
_RULE = re.compile(r"[_\-=*\s]{5,}$")
_DEVICE = re.compile(
    r"(?:(?:Sent from|Enviado desde|Enviado con) (?:(?:my|mi|un|a) )?"
    r"(?:iPhone|iPad|iPod|Samsung|Galaxy|Android|Huawei|Xiaomi|Motorola|BlackBerry|Windows|mobile|phone|m[oó]vil|"
    r"celular|tel[eé]fono|dispositivo|smartphone|Outlook|Yahoo|Mail|Gmail|Proton|AOL|Correo|T-Mobile|Verizon)\b"
    r"|(?:Get|Obtener|Obtenga|Descargar) Outlook (?:for|para)\b).{0,120}$",
    re.IGNORECASE,
)
SIGNATURE = "-- "
"""The line that begins a signature (RFC 3676 section 4.3); without the blank it may be a person's own dash."""
SIGNATURE_LINES = 8


def clean(text: str, limit: int) -> str:
    """`text` in NFC with one kind of line break, without NUL, other controls and lone surrogates; ≤ `limit` characters.

    Tabs, marks of writing direction and the joiners inside emoji stay: they are part of what was said.
    """
    if not text:
        return ""  # most fields of a webhook are empty
    text = _CONTROL.sub("", _BREAKS.sub("\n", text[: 2 * limit]))[:limit]
    if not text.isascii():
        # Word by word, because normalising one long run of combining marks takes quadratic time.
        text = _WORD.sub(lambda word: unicodedata.normalize("NFC", word.group()), text)
    return text[:limit].strip("\n ")


def new_words(text: str) -> str:
    """What is new in a mail's plain text: without quoted mail, its introductions, signatures and device lines.

    English and Spanish; Gmail, Outlook and Apple Mail. Answers between and below quoted lines stay. Empty when
    nothing is new. `text` has been through `clean`.
    """
    lines = text.split("\n")
    kept: list[str] = []
    i = 0
    while i < len(lines):
        line = lines[i].strip()
        if _QUOTED.match(lines[i]):
            i += 1
        elif _FORWARD.match(line) or _is_header_block(lines, i):
            break
        elif (end := _attribution_end(lines, i)) is not None:
            following = _next_filled(lines, end + 1)
            if following is not None and not _QUOTED.match(lines[following]):
                break
            i = end + 1
        elif lines[i] == SIGNATURE and (after := _after_signature(lines, i)) is not None:
            i = after
        else:
            if not _DEVICE.match(line):
                kept.append(lines[i])
            i += 1
    while kept and (not kept[-1].strip() or _RULE.match(kept[-1])):
        kept.pop()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _attribution_end(lines: list[str], start: int) -> int | None:
    """The last line of an "On …, Ana wrote:" that begins at `start` (programs wrap it), or None if there is none.

    Before quoted lines a digit or an address is proof enough. Where what follows is not marked as quoted, only a
    time of day or an address tells a mail program from a member who tells what somebody wrote.
    """
    first = lines[start].strip()
    if len(first) > 400 or not _ATTRIBUTION_START.match(first):
        return None
    joined = ""
    for end in range(start, min(start + 4, len(lines))):
        line = lines[end].strip()
        if not line or len(joined) + len(line) > 500:
            return None
        joined = f"{joined} {line}"
        if _ATTRIBUTION_END.search(joined[-20:]):
            following = _next_filled(lines, end + 1)
            certain = "@" in joined or _CLOCK_TIME.search(joined) is not None
            before_quote = following is not None and _QUOTED.match(lines[following]) is not None
            return end if certain or (before_quote and any(c.isdigit() for c in joined)) else None
    return None


def _is_header_block(lines: list[str], start: int) -> bool:
    """Outlook's "From: / Sent: / To: / Subject:" over the quoted mail; needs a From, a date and one more."""
    if _header_kind(lines[start]) != "from":
        return False
    kinds = {_header_kind(line) for line in lines[start : start + 8]}
    return "date" in kinds and "other" in kinds


def _header_kind(line: str) -> str | None:
    match = _HEADER.match(line.strip()[:80])
    if match is None:
        return None
    name = match.group(1).lower()
    return "date" if name.startswith("enviad") else _HEADER_KIND.get(name, "other")


def _after_signature(lines: list[str], start: int) -> int | None:
    """Where the text goes on after a signature, or None if it is too long to be one."""
    filled = 0
    for i in range(start + 1, len(lines)):
        if _QUOTED.match(lines[i]) or _attribution_end(lines, i) is not None or _is_header_block(lines, i):
            return i
        filled += bool(lines[i].strip())
        if filled > SIGNATURE_LINES:
            return None
    return len(lines)


def _next_filled(lines: list[str], start: int) -> int | None:
    return next((i for i in range(start, len(lines)) if lines[i].strip()), None)

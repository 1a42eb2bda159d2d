"""How one email request becomes several when the provider's limits ask for it.

Every part has an id of its own, so that news about one part is never taken for news about another.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from service.channels.base import EmailRecipient, EmailRequest

MOST_RECIPIENTS = 1000
"""Personalizations, and recipients in all, of one mail/send request."""
LONGEST_SUBSTITUTIONS = 9_000
"""Bytes of one recipient's substitutions, names included; the vendor takes 10,000 and we add the reply address."""


def split(request: EmailRequest) -> list[EmailRequest]:
    """The request as it is when it keeps the limits, else parts that do, with `.1`, `.2`, … behind its id.

    A part has at most 1000 recipients, each address once whatever its case, and reply addresses that one request can
    carry. Who has more than 9,000 bytes of substitutions gets a request alone, with everything already in its place.
    Callers that record the id of a request on their rows should split before they record.
    """
    fitting = [r for r in request.recipients if not _too_long(r.substitutions)]
    parts = [replace(request, recipients=part) for part in _parts(request, fitting)]
    if len(fitting) < len(request.recipients):
        parts += [_for_one(request, r) for r in request.recipients if _too_long(r.substitutions)]
    if len(parts) == 1:
        return parts
    return [replace(part, request_id=f"{request.request_id}.{n}") for n, part in enumerate(parts, 1)]


def _too_long(substitutions: Mapping[str, str]) -> bool:
    if sum(map(len, substitutions.values())) * 4 < LONGEST_SUBSTITUTIONS - 100 * len(substitutions):
        return False  # no character has more than four bytes
    return sum(len(k.encode()) + len(v.encode()) for k, v in substitutions.items()) > LONGEST_SUBSTITUTIONS


def _for_one(request: EmailRequest, recipient: EmailRecipient) -> EmailRequest:
    """A request for a recipient whose own parts are too long to be substituted at the provider."""
    subject, text, html = substituted(request.subject, request.text, request.html, recipient.substitutions)
    alone = replace(recipient, substitutions={})
    return replace(request, subject=subject, text=text, html=html, recipients=[alone])


def substituted(subject: str, text: str, html: str, substitutions: Mapping[str, str]) -> tuple[str, str, str]:
    """The three parts with the substitutions made, as the provider makes them."""
    for token, value in substitutions.items():
        subject, text, html = subject.replace(token, value), text.replace(token, value), html.replace(token, value)
    return subject, text, html


def halve(request: EmailRequest) -> list[EmailRequest]:
    """Two parts of about the same size, for a request that is too large."""
    middle = len(request.recipients) // 2
    halves = (request.recipients[:middle], request.recipients[middle:])
    return [
        replace(request, request_id=f"{request.request_id}.{n}", recipients=part) for n, part in enumerate(halves, 1)
    ]


def reply_parts(address: str | None) -> tuple[str, str, str]:
    """`reply+TOKEN@domain` as `("reply+", TOKEN, domain)`; any other address has an empty token."""
    local, _, domain = (address or "").rpartition("@")
    plus, _, token = local.partition("+")
    return (f"{plus}+", token, domain) if token.isalnum() else (local, "", domain)


def reply_address(request: EmailRequest, recipient: EmailRecipient) -> str | None:
    """Where a recipient's answer goes: to their own address if they have one, else to the request's."""
    return recipient.reply_to or request.reply_to


def _parts(request: EmailRequest, recipients: Iterable[EmailRecipient]) -> Iterator[list[EmailRecipient]]:
    """The recipients in as few parts as their addresses and reply addresses allow."""
    groups: dict[tuple[str, str], list[tuple[set[str], list[EmailRecipient]]]] = {}
    for recipient in recipients:
        reply_to = reply_address(request, recipient)
        prefix, token, domain = reply_parts(reply_to)
        group = groups.setdefault((prefix if token else reply_to or "", domain), [])
        address = recipient.to.casefold()
        for seen, part in group:
            if len(part) < MOST_RECIPIENTS and address not in seen:
                break
        else:
            seen, part = set(), []
            group.append((seen, part))
        seen.add(address)
        part.append(recipient)
    for group in groups.values():
        for _, part in group:
            yield part

"""How one email request becomes several when the provider's limits ask for it.

Every part has an id of its own, so that news about one part is never taken for news about another.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from service.channels.base import EmailRecipient, EmailRequest

MOST_RECIPIENTS = 1000
"""Personalizations, and recipients in all, of one mail/send request."""


def split(request: EmailRequest) -> list[EmailRequest]:
    """The request as it is when it keeps the limits, else parts that do, with `.1`, `.2`, … behind its id.

    A part has at most 1000 recipients, each address once whatever its case, and reply addresses that one request
    can carry. Callers that record the id of a request on their rows should split before they record.
    """
    parts = list(_parts(request.recipients))
    if len(parts) == 1:
        return [request]
    return [
        replace(request, request_id=f"{request.request_id}.{n}", recipients=part) for n, part in enumerate(parts, 1)
    ]


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


def _parts(recipients: Iterable[EmailRecipient]) -> Iterator[list[EmailRecipient]]:
    open_parts: dict[tuple[str, str], list[tuple[set[str], list[EmailRecipient]]]] = {}
    for recipient in recipients:
        prefix, token, domain = reply_parts(recipient.reply_to)
        address = recipient.to.casefold()
        parts = open_parts.setdefault((prefix if token else recipient.reply_to or "", domain), [])
        for seen, part in parts:
            if len(part) < MOST_RECIPIENTS and address not in seen:
                break
        else:
            seen, part = set(), []
            parts.append((seen, part))
        seen.add(address)
        part.append(recipient)
    for parts in open_parts.values():
        for _, part in parts:
            yield part

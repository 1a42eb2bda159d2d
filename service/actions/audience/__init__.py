"""The only query for who may be contacted, on which channel, about what.

The audience page counts with it, a campaign is frozen with it, and the claim judges with the same clauses again
just before a message leaves. One copy per person, on the channel they prefer, unless they chose both; one copy per
address, for two people may share a phone.
"""

from service.actions.audience.counted import Summary, sample, summary
from service.actions.audience.described import REASONS, TOPIC_OF, Audience, of_campaign
from service.actions.audience.query import MOST_SHARED, piece, reachable, recipients, shared_addresses
from service.actions.audience.rules import refusal

__all__ = [
    "MOST_SHARED",
    "REASONS",
    "TOPIC_OF",
    "Audience",
    "Summary",
    "of_campaign",
    "piece",
    "reachable",
    "recipients",
    "refusal",
    "sample",
    "shared_addresses",
    "summary",
]

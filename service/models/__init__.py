"""The nouns, one file per aggregate. Importing this package registers every table."""

from service.models import (
    campaigns,
    checkins,
    content,
    conversations,
    encouragement,
    gatherings,
    giving,
    inbox,
    members,
    staff,
    tools,
    vents,
)

__all__ = [
    "campaigns", "checkins", "content", "conversations", "encouragement", "gatherings", "giving", "inbox", "members",
    "staff", "tools", "vents",
]  # fmt: skip

"""The nouns, one file per aggregate. Importing this package registers every table."""

from service.models import campaigns, checkins, content, conversations, gatherings, giving, inbox, members, staff, tools

__all__ = [
    "campaigns", "checkins", "content", "conversations", "gatherings", "giving", "inbox", "members", "staff", "tools",
]  # fmt: skip

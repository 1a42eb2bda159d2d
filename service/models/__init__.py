"""The nouns, one file per aggregate. Importing this package registers every table."""

from service.models import campaigns, content, conversations, gatherings, inbox, members, staff

__all__ = ["campaigns", "content", "conversations", "gatherings", "inbox", "members", "staff"]

"""Everything that members write: stored, understood, acted on where it is clear, and put before a person."""

from service.actions.conversations.processing import process_inbound
from service.actions.conversations.store import Incoming, keep

__all__ = ["Incoming", "keep", "process_inbound"]

"""Everything that members write: stored, understood, acted on where it is clear, and put before a person."""

from service.actions.conversations.processing import LINGER, prepare, process_inbound
from service.actions.conversations.store import Incoming, keep

__all__ = ["LINGER", "Incoming", "keep", "prepare", "process_inbound"]

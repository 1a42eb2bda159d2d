"""The delivery engine: claim, write, send, record, settle (DESIGN section 6)."""

from service.actions.delivery.claims import release
from service.actions.delivery.draining import close, drain
from service.actions.delivery.receipts import Receipt, apply_receipts
from service.actions.delivery.sweeping import sweep

__all__ = ["Receipt", "apply_receipts", "close", "drain", "release", "sweep"]

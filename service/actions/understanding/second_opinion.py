"""A place for an optional model that looks at risk beside the rules. None is shipped; one may only raise a tier.

A model that fails, is too slow or gives no tier leaves the text with a person, as a concern.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from service.actions.understanding.labels import Risk, Understanding
from service.actions.understanding.risk import higher

Model = Callable[[str], Risk]


@dataclass(frozen=True, slots=True)
class _Hook:
    model: Model
    seconds: float
    pool: ThreadPoolExecutor


_hook: _Hook | None = None


def use_model(model: Model | None, *, seconds: float = 0.2) -> None:
    """Ask `model` (the text in, a Risk out) about every screened text, waiting at most `seconds`; None asks nobody."""
    global _hook
    if _hook is not None:
        _hook.pool.shutdown(wait=False, cancel_futures=True)
    _hook = None if model is None else _Hook(model, seconds, ThreadPoolExecutor(2, thread_name_prefix="model"))


def ask(text: str, labels: Understanding) -> Understanding:
    """The labels with the model's tier where that is higher; a disagreement is named in the reasons."""
    if _hook is None:
        return labels
    try:
        tier = Risk(_hook.pool.submit(_hook.model, text).result(_hook.seconds))
    except Exception:  # a model may break in any way; then a person looks
        return replace(labels, risk=higher(labels.risk, Risk.CONCERN), reasons=[*labels.reasons, "model failed"])
    if tier is labels.risk:
        return labels
    return replace(labels, risk=higher(labels.risk, tier), reasons=[*labels.reasons, "model disagrees"])

"""Campaigns: composing, checking, freezing the audience, starting, pausing, cancelling, and how far they are."""

from service.actions.campaigns.compose import ContentDraft, Draft, create, get, problems, send_test, update
from service.actions.campaigns.progress import Progress, expected_replies, finish_done, progress, recent
from service.actions.campaigns.run import cancel, freeze, pause, resume, start, start_due

__all__ = [
    "ContentDraft",
    "Draft",
    "Problem",
    "Progress",
    "Rendered",
    "cancel",
    "copy",
    "create",
    "estimate",
    "expected_replies",
    "finish_done",
    "freeze",
    "get",
    "pause",
    "previews",
    "problems",
    "progress",
    "recent",
    "resume",
    "send_test",
    "start",
    "start_due",
    "starter",
    "update",
]

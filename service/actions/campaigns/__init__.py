"""Campaigns: composing, checking, freezing the audience, starting, pausing, cancelling, and how far they are."""

from service.actions.campaigns.checking import problems
from service.actions.campaigns.compose import (
    ContentDraft,
    Draft,
    Problem,
    copy,
    create,
    field_name,
    get,
    starter,
    update,
)
from service.actions.campaigns.expecting import Outlook, Reach, expected_replies, outlook, reach, rota_gap
from service.actions.campaigns.freezing import freeze, start_due
from service.actions.campaigns.heard import Heard, heard
from service.actions.campaigns.progress import SHELVES, Progress, done_of, finish_done, progress, recent
from service.actions.campaigns.run import cancel, fetch_stranded, pause, resume, send_now, start
from service.actions.campaigns.trying import Rendered, Size, estimate, previews, send_test, sizes

__all__ = [
    "SHELVES",
    "ContentDraft",
    "Draft",
    "Heard",
    "Outlook",
    "Problem",
    "Progress",
    "Reach",
    "Rendered",
    "Size",
    "cancel",
    "copy",
    "create",
    "done_of",
    "estimate",
    "expected_replies",
    "fetch_stranded",
    "field_name",
    "finish_done",
    "freeze",
    "get",
    "heard",
    "outlook",
    "pause",
    "previews",
    "problems",
    "progress",
    "reach",
    "recent",
    "resume",
    "rota_gap",
    "send_now",
    "send_test",
    "sizes",
    "start",
    "start_due",
    "starter",
    "update",
]

"""Whose page a member's own link opens, and that page in their language, zone and country."""

from uuid import UUID

from flask import g

from service import links
from service.actions import preferences as actions
from service.models.members import ChannelName
from service.web import languages


def holder_of(token: str) -> tuple[UUID, ChannelName]:
    """Whose settings a link opens, and the channel that it was sent to. Raises LinkExpired, NotFound."""
    member_hex, channel = links.read("preferences", token)[:2]
    return UUID(member_hex), ChannelName(channel)


def speak_to(member_id: UUID) -> actions.View:
    """The member's settings, with the page in their language, zone and country. Raises NotFound."""
    view = actions.view(member_id)
    languages.prefer(view.locale)
    g.zone, g.country = view.time_zone, view.country
    return view

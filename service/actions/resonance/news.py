"""NO NEWS and NEWS: whether an author hears how many felt what they shared."""

from sqlalchemy.orm import Session

from service.actions.conversations import undo
from service.actions.conversations.saying import Incoming, answer
from service.actions.tools.topics import folded
from service.models.members import MemberState

OFF = frozenset(["no news", "no more news", "sin noticias", "no noticias", "no mas noticias"])
ON = frozenset(["news", "noticias"])


def hear(session: Session, incoming: Incoming) -> str | None:
    """The words alone; what they did, or None."""
    member, said = incoming.member, folded(incoming.arrived.words)
    if member is None or member.state != MemberState.ACTIVE or said not in OFF | ON:
        return None
    undo.remember(session, member, incoming.message, "news", {"before": member.no_news})
    member.no_news = said in OFF
    answer(session, incoming, "news_off" if member.no_news else "news_on")
    return "keyword NEWS"

"""What members write about tools: TOOL and a topic, whether a card helped, a series asked for or ended.

Risk has been judged and a stop has been honoured before any of this is read (`conversations.receiving`). A command is
the whole message, or the word and something that we know (rule of conversation 10); the rest stays a person's.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.actions.conversations import undo
from service.actions.conversations.saying import Incoming, answer, to_person
from service.actions.hope import helped as story_helped
from service.actions.tools import cards, choosing, helped, series, topics, wording
from service.models.campaigns import Asks, Campaign, Delivery
from service.models.content import Tool
from service.models.conversations import Message
from service.models.members import ChannelName, Member, MemberState
from service.models.tools import ToolRead

ANSWER_WITHIN = timedelta(days=14)
"""For so long HELPED counts for the last card."""
MENU_OPEN = timedelta(hours=48)
MENUS = ("tool_menu", "tool_nearest")


def hear(session: Session, incoming: Incoming) -> str | None:
    """Take the message as something about tools; what it did, or None where it is about something else."""
    member = incoming.member
    if member is None or member.state != MemberState.ACTIVE:
        return None
    said = topics.folded(incoming.arrived.words)
    words = said.split()
    if not words or len(words) > wording.MOST_WORDS:
        return None
    if said in wording.HELPED or said in wording.NOT_REALLY:
        return _helped(session, incoming, member, said in wording.HELPED, plain=said in wording.TAUGHT)
    if words[0] in wording.SERIES or words[-1] in wording.SERIES or words[:1] == ["start"]:
        return _series(session, incoming, member, words)
    if _is_tool(words[0]):
        return _tool(session, incoming, member, [word for word in words[1:] if word not in wording.FILLING])
    return _from_menu(session, incoming, member, said)


def stops_series(session: Session, incoming: Incoming) -> bool:
    """Whether these words end the series that the member is in, and nothing else; then it is ended.

    Like every stop it counts whoever is in the conversation. Words that stop everything have been honoured already.
    """
    member = incoming.member
    words = topics.folded(incoming.arrived.words).split()
    ends = wording.ENDING & set(words) or ("no" in words and {"more", "mas", "quiero"} & set(words))
    if member is None or not ends or incoming.arrived.held is not None or len(words) > wording.MOST_WORDS:
        return False
    reader = series.running(session, member.id)
    if reader is None:
        return False
    about = wording.SERIES | wording.CARDS | {w for w in topics.folded(reader.title).split() if len(w) > 3}
    if not about & set(words):
        return False
    series.end(session, reader.id, "stopped")
    undo.remember(session, member, incoming.message, "series_stop", {"reader": str(reader.id)})
    incoming.message.labels = incoming.message.labels | {"did": "series ended"}
    answer(session, incoming, "series_ended")
    if not incoming.arrived.bare:
        to_person(incoming)
    return True


def _is_tool(word: str) -> bool:
    return word in wording.TOOL or bool(get_close_matches(word, ["tool", "tools", "herramienta"], n=1, cutoff=0.85))


def _tool(session: Session, incoming: Incoming, member: Member, asked: list[str]) -> str | None:
    """TOOL alone, TOOL NEXT, TOOL and a topic."""
    found = cards.current(session, member.language)
    if len(asked) > 3:
        return None
    if not found:
        to_person(incoming)
        answer(session, incoming, "tool_none")
        return "no tools"
    if not asked or (len(asked) == 1 and asked[0] in wording.LIST):
        return _menu(session, incoming, member, found)
    if len(asked) == 1 and asked[0] in wording.NEXT:
        return _next(session, incoming, member, found)
    meant = topics.match(" ".join(asked), found)
    if meant.topic is None:
        if len(asked) > 2:
            return None
        to_person(incoming)  # what they looked for is worth a person's eyes
        answer(session, incoming, "tool_nearest", {"choices": _names(meant.near, member)})
        return "no such tool"
    tool = choosing.best(session, found, member.id, meant.topic)
    return _give(session, incoming, member, tool, meant.topic) if tool else None


def _menu(session: Session, incoming: Incoming, member: Member, found: list[Tool]) -> str:
    offered = series.offered(session, member.language)
    answer(session, incoming, "tool_menu", {"choices": _names(topics.menu(found), member), "series": bool(offered)})
    return "tool menu"


def _next(session: Session, incoming: Incoming, member: Member, found: list[Tool]) -> str:
    """Another card on what they last asked for; when there is none left, the menu."""
    topic = choosing.last_topic(session, member.id)
    tool = choosing.best(session, found, member.id, topic, new=True) if topic else None
    return _give(session, incoming, member, tool, topic) if tool else _menu(session, incoming, member, found)


def _give(session: Session, incoming: Incoming, member: Member, tool: Tool, topic: str) -> str:
    by_text = incoming.arrived.channel == ChannelName.SMS
    facts = {
        "topic": "" if member.discreet else topics.name_of(topic, member.language).capitalize(),
        "tool_title": tool.title,
        "tool_body": tool.body_sms if by_text else tool.body_email,
    }
    before = clock.now()
    answer(session, incoming, "tool_card", facts)
    carried = select(Message.id).where(
        Message.conversation_id == incoming.conversation.id, Message.template == "tool_card", Message.at >= before
    )
    message_id = session.scalar(carried.order_by(Message.at.desc(), Message.id.desc()).limit(1))
    if message_id is not None:
        helped.gave(session, tool.id, member.id, topic, message_id)
    return "tool sent"


def _names(found: Iterable[str], member: Member) -> str:
    return ", ".join(topics.name_of(topic, member.language) for topic in found)


def _from_menu(session: Session, incoming: Incoming, member: Member, said: str) -> str | None:
    """A topic alone, right after we offered some."""
    last = next(iter(incoming.lately.lines(MENU_OPEN)), None)
    if last is None or last.template not in MENUS:
        return None
    if len(said.split()) > 2 or (incoming.asked and incoming.asked[0].at > last.at):
        return None  # something else was asked since
    found = cards.current(session, member.language)
    meant = topics.match(said, found)
    tool = choosing.best(session, found, member.id, meant.topic) if meant.topic and incoming.arrived.bare else None
    return _give(session, incoming, member, tool, meant.topic) if tool and meant.topic else None


def _helped(session: Session, incoming: Incoming, member: Member, yes: bool, *, plain: bool) -> str | None:
    """HELPED or NOT REALLY, about the card or story that this mail answers, or about the last one of either."""
    about = _card_of_mail(session, incoming) or _last_card(session, member)
    if (story := story_helped.meant(session, incoming, member, about[1] if about else None)) is not None:
        return story_helped.take(session, incoming, member, story, yes)
    if about is None:
        if not plain:
            return None
        answer(session, incoming, "cannot_place")
        return "keyword HELPED"
    tool_id, at = about
    newest = incoming.asked[0] if incoming.asked else None
    if not yes and newest is not None and newest.asks == Asks.YES_NO and newest.at > at:
        return None  # "not really" may be about the invite
    before = helped.note(session, tool_id, member.id, yes)
    undo.remember(session, member, incoming.message, "helped", {"tool": str(tool_id), "before": before, "now": yes})
    answer(session, incoming, "tool_noted", {"helped": yes})
    return "tool helped" if yes else "tool did not help"


def _card_of_mail(session: Session, incoming: Incoming) -> tuple[UUID, datetime] | None:
    """The card in the mail that this one answers."""
    arrived = incoming.arrived
    delivery = session.get(Delivery, arrived.answers_delivery) if arrived.answers_delivery else None
    campaign_id = arrived.answers_campaign or (delivery.campaign_id if delivery else None)
    if campaign_id is not None:
        tool_id = session.scalar(select(Campaign.tool_id).where(Campaign.id == campaign_id))
        return (tool_id, clock.now()) if tool_id else None
    if delivery is None or delivery.message_id is None or incoming.member is None:
        return None
    read = select(ToolRead.tool_id).where(
        ToolRead.member_id == incoming.member.id, ToolRead.message_id == delivery.message_id
    )
    found = session.scalar(read)
    return (found, clock.now()) if found else None


def _last_card(session: Session, member: Member) -> tuple[UUID, datetime] | None:
    had = helped.had(session, member.id)
    recent = [(at, tool_id) for tool_id, at in had.items() if at > clock.now() - ANSWER_WITHIN]
    at, tool_id = max(recent, default=(None, None))
    return (tool_id, at) if tool_id and at else None


def _series(session: Session, incoming: Incoming, member: Member, words: list[str]) -> str | None:
    """SERIES: what there is. START SERIES: begin, and only so."""
    rest = [word for word in words if word not in wording.SERIES and word not in wording.FILLING]
    begins = [word for word in rest if word in wording.BEGINNING]
    names = [word for word in rest if word not in wording.BEGINNING]
    if len(names) > 2 or (words[0] == "start" and not names and len(rest) == len(words)):
        return None
    offered = series.offered(session, member.language)
    chosen = series.named(offered, names)
    if words[0] == "start" and chosen is None and not wording.SERIES & set(words):
        return None  # START and anything else is not about us
    if not offered:
        to_person(incoming)
        answer(session, incoming, "tool_none")
        return "no series"
    if running := series.running(session, member.id):
        answer(session, incoming, "series_running", {"title": running.title, "day": running.day, "days": running.days})
        return "series running"
    if not begins or (chosen is None and len(offered) > 1) or (names and chosen is None):
        answer(session, incoming, "series_offer", {"offers": [(o.letter, o.title, o.days) for o in offered]})
        return "series offered"
    return _begin(session, incoming, member, chosen or offered[0])


def _begin(session: Session, incoming: Incoming, member: Member, offer: series.Offer) -> str:
    if not series.may_begin(session, member, incoming.arrived.channel):
        to_person(incoming)
        answer(session, incoming, "series_off")
        return "series not begun"
    reader = series.begin(session, member, incoming.arrived.channel, offer)
    undo.remember(session, member, incoming.message, "series_start", {"reader": str(reader.id)})
    answer(
        session, incoming, "series_started",
        {"title": offer.title, "days": offer.days, "when": series.when_words(reader, member)},
    )  # fmt: skip
    return "series begun"

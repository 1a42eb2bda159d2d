"""The demo's conversations, with what was understood, what it did, the notes beside them and the two flags.

Our own texts are rendered with the templates of today; a person's words stand as they are.
"""

from datetime import datetime, time, timedelta
from typing import Any

from service import db
from service.actions import gatherings, outbox, zones
from service.actions.seeding import consents
from service.actions.seeding.ground import Ground, Row, chance, hexed
from service.models.campaigns import PRIORITY, Delivery, DeliveryState, Purpose
from service.models.content import Resonance, StoryState
from service.models.conversations import (
    CheckIn,
    Conversation,
    ConversationState,
    Direction,
    Flag,
    Message,
    Note,
    RiskTier,
)
from service.models.members import ChannelName, Member, MemberState

MOMENT = timedelta(seconds=4)
"""Between two messages that the file gives the same minute."""
WEEKS_BEFORE = 8
BARE = 4
"""A message no longer than this is a number or a word, and brings no words of its own."""


def conversations(ground: Ground) -> None:
    """Every conversation of the files."""
    for row in ground.rows.conversations:
        _converse(ground, row)
    ground.session.flush()


def questions_waiting(ground: Ground) -> None:
    """Whoever has not answered our request to confirm yet has it on their phone or in their mailbox."""
    for member in ground.members.values():
        for address in member.addresses:
            if member.state != MemberState.PENDING or address.asked_at is None:
                continue
            talk = Conversation(
                id=db.uuid7(),
                member_id=member.id,
                channel=address.channel,
                last_out_at=address.asked_at,
                unread=0,
                created_at=address.asked_at,
            )
            ground.session.add(talk)
            ground.session.flush()
            subject, body = consents.question(member, address)
            template = "confirm_discreet" if member.discreet else "confirm"
            message = _message(talk, member, Direction.OUT, address.channel, address.asked_at, body, subject)
            message.purpose, message.template, message.automatic = Purpose.CONFIRM, template, True
            _add_sent(ground, message, member)


def _converse(ground: Ground, row: Row) -> None:
    member = ground.members[row["member"]]
    talk = Conversation(
        id=db.uuid7(),
        member_id=member.id,
        channel=ChannelName(row["channel"]),
        state=ConversationState(row["state"]),
        assigned_to=ground.staff[row["assigned_to"]].id if "assigned_to" in row else None,
        unread=0,
        created_at=row["message"][0]["at"],
    )
    ground.session.add(talk)
    ground.session.flush()
    messages: list[Message] = []
    for line in row["message"]:
        at = max(line["at"], messages[-1].at + MOMENT) if messages else line["at"]
        write = _came_in if line["direction"] == Direction.IN else _went_out
        messages.append(write(ground, row, line, talk, member, at))
    _settle(talk, messages)
    for note in row.get("note", ()):
        author = ground.staff[note["coordinator"]].id
        kept = Note(id=db.uuid7(), conversation_id=talk.id, coordinator_id=author, body=note["body"], at=note["at"])
        ground.session.add(kept)
    if "flag" in row:
        _flag(ground, row["flag"], talk, member, messages)


def _came_in(ground: Ground, row: Row, line: Row, talk: Conversation, member: Member, at: datetime) -> Message:
    message = _message(talk, member, Direction.IN, talk.channel, at, line["body"], line.get("subject", ""))
    message.labels = _labels(line, member)
    if "answers" in line and (copy := ground.copy(line["answers"], row["member"], talk.channel)):
        message.answers_delivery_id = copy.id
    ground.session.add(message)
    ground.session.flush()
    _act(ground, row, line, member, message)
    talk.last_in_at = at
    ground.heard(member, at)
    return message


def _labels(line: Row, member: Member) -> dict[str, Any]:
    """What was understood, in the form in which the inbox shows it."""
    labels: dict[str, Any] = {"language": member.language}
    did = []
    if "checkin" in line:
        labels["checkin"] = line["checkin"]
        did.append(f"checkin {line['checkin']}")
    if "rsvp" in line:
        labels["rsvp"] = line["rsvp"]
        did.append(f"rsvp {line['rsvp']}")
    if "me_too" in line:
        labels["me_too"] = True
        did.append("me too")
    if line.get("opt_out"):
        labels |= {"intent": "opt_out", "scope": "all"}
        did.append("opt_out all")
    if line.get("oops"):
        labels["keyword"] = "OOPS"
        did.append("keyword OOPS")
    return labels | ({"did": ", ".join(did)} if did else {})


def _act(ground: Ground, row: Row, line: Row, member: Member, message: Message) -> None:
    """What a message did. An RSVP stands among the sessions' own rows."""
    at, campaign = message.at, line.get("answers")
    if "checkin" in line:
        words = line["body"] if len(line["body"]) > BARE else None
        of = ground.campaigns[campaign].id if campaign else None
        check = CheckIn(
            id=db.uuid7(), member_id=member.id, campaign_id=of, message_id=message.id, score=line["checkin"],
            words=words, at=at,
        )  # fmt: skip
        ground.session.add(check)
    if "me_too" in line:
        story = ground.stories[line["me_too"]]
        felt = Resonance(id=db.uuid7(), story_id=story.id, member_id=member.id, message_id=message.id, at=at)
        ground.session.add(felt)
    if line.get("opt_out"):
        consents.stopped(ground, member, message.channel, at, f"message {message.id}")
    if campaign and not line.get("undone") and {"checkin", "me_too", "rsvp"} & set(line):
        ground.answered(campaign, row["member"], at)


def _went_out(ground: Ground, row: Row, line: Row, talk: Conversation, member: Member, at: datetime) -> Message:
    subject, body = line.get("subject", ""), line.get("body", "")
    template = line.get("template")
    if template:
        template = f"{template}_discreet" if member.discreet and template == "risk_answer" else template
        subject, body = outbox.words_for(talk.channel, template, _facts(ground, line, member))
    message = _message(talk, member, Direction.OUT, talk.channel, at, body, subject)
    message.template, message.automatic = template, template is not None
    if template:
        message.purpose = Purpose.SAFETY if template.startswith("risk_answer") else Purpose.ANSWER
    else:
        message.purpose = Purpose.REPLY
        message.coordinator_id = ground.staff[line["coordinator"]].id
        member.last_human_at = at
        ground.did(at, message.coordinator_id, "conversation.reply", talk)
    _add_sent(ground, message, member)
    talk.last_out_at = at
    return message


def _facts(ground: Ground, line: Row, member: Member) -> dict[str, Any]:
    facts = outbox.facts(member.country, member.language, member.first_name, discreet=member.discreet)
    if "session" in line:
        words = gatherings.session_words(ground.meetings[line["session"]], member)
        facts |= {"session_when": words.when, "session_name": "" if member.discreet else words.name}
    extras: dict[str, Any] = line.get("extras", {})
    return facts | {"tool": True, "stretch": False, "line": False} | extras


def _message(
    talk: Conversation,
    member: Member,
    direction: Direction,
    channel: ChannelName,
    at: datetime,
    body: str,
    subject: str,
) -> Message:
    return Message(
        id=db.uuid7(),
        conversation_id=talk.id,
        member_id=member.id,
        direction=direction,
        channel=channel,
        subject=subject or None,
        body=body,
        labels={},
        automatic=False,
        at=at,
    )


def _add_sent(ground: Ground, message: Message, member: Member) -> None:
    """A message of ours with its delivery, which arrived."""
    ground.session.add(message)
    ground.session.flush()
    address = member.address(message.channel)
    purpose = message.purpose or Purpose.REPLY
    text = message.channel == ChannelName.SMS
    left = message.at + timedelta(seconds=1)
    delivery = Delivery(
        message_id=message.id,
        member_id=member.id,
        address_id=address.id if address else None,
        channel=message.channel,
        purpose=purpose,
        queue="replies",
        priority=PRIORITY[purpose],
        state=DeliveryState.DELIVERED,
        due_at=message.at,
        attempts=1,
        provider_id=f"SM{hexed(32, str(message.id))}" if text else hexed(22, str(message.id)),
        sending_at=left,
        sent_at=left,
        updated_at=left + timedelta(seconds=3),
        created_at=message.at,
    )
    ground.session.add(delivery)


def _settle(talk: Conversation, messages: list[Message]) -> None:
    """Since when somebody waits, and what nobody has read: whatever came after a person last wrote."""
    answered = max((m.at for m in messages if m.purpose == Purpose.REPLY), default=None)
    waiting = [m.at for m in messages if m.direction == Direction.IN and (answered is None or m.at > answered)]
    if talk.state == ConversationState.NEEDS_REPLY and waiting:
        talk.waiting_since, talk.unread = waiting[0], len(waiting)


def _flag(ground: Ground, row: Row, talk: Conversation, member: Member, messages: list[Message]) -> None:
    """A flag as it was raised, taken and, for one of them, cleared; an open one holds the member's messages."""
    message = messages[row["message"]]
    by, cleared_by = row["acknowledged_by"], row.get("cleared_by")
    flag = Flag(
        id=db.uuid7(),
        member_id=member.id,
        conversation_id=talk.id,
        message_id=message.id,
        tier=RiskTier(row["tier"]),
        reasons=row["reasons"],
        opened_at=row["opened_at"],
        answered_at=row["answered_at"],
        paged_at=row["paged_at"],
        pages=1,
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=ground.staff[by].id,
        cleared_at=row.get("cleared_at"),
        cleared_by=ground.staff[cleared_by].id if cleared_by else None,
        outcome=row.get("outcome"),
    )
    ground.session.add(flag)
    ground.session.flush()
    message.labels = message.labels | {"risk": row["tier"], "reasons": row["reasons"]}
    ground.did(row["acknowledged_at"], flag.acknowledged_by, "flag.acknowledge", flag)
    if flag.cleared_at is not None:
        ground.did(flag.cleared_at, flag.cleared_by, "flag.clear", flag)
        return
    talk.risk = flag.tier
    talk.waiting_since = flag.opened_at
    member.held_at = flag.opened_at
    for story in ground.stories.values():
        if story.author_id == member.id:
            story.state = StoryState.RESTING


def check_ins_before(ground: Ground) -> None:
    """What members answered in the weeks before: a line that goes up and down a little, around how they are."""
    for row in ground.rows.members:
        member = ground.members[row["key"]]
        if "checkins" not in row["topics"] or member.state != MemberState.ACTIVE:
            continue
        zone = zones.info(member.time_zone)
        today = ground.now.astimezone(zone).date()
        usual = 2.4 + 2.2 * chance("usual", row["key"])
        answers = 0.35 + 0.55 * chance("answers", row["key"])
        for week in range(WEEKS_BEFORE, 1, -1):
            day = today - timedelta(days=7 * week - 1)
            at = datetime.combine(day, time(11), zone) + timedelta(seconds=int(30_000 * chance("at", row["key"], week)))
            if at > row["joined"] and chance("answered", row["key"], week) < answers:
                score = round(usual + 2 * chance("score", row["key"], week) - 1)
                check = CheckIn(id=db.uuid7(), member_id=member.id, score=min(5, max(2, score)), at=at)
                ground.session.add(check)
                ground.heard(member, at)

"""Answers to open questions: a 1–5, a YES, NO or MAYBE, a ME TOO. Each is kept, and repeated back as it was understood,
so that OOPS can take it back (rule of conversation 8).
"""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service import clock, db
from service.actions import gatherings, understanding
from service.actions.checkins import after
from service.actions.conversations import questions, undo
from service.actions.conversations.saying import Incoming, answer, to_person
from service.actions.delivery import release
from service.actions.resonance import hearing
from service.actions.understanding import Understanding
from service.errors import Conflict
from service.models import gatherings as g
from service.models.campaigns import Asks, Delivery
from service.models.conversations import CheckIn
from service.models.members import Member, MemberState


def solve(session: Session, incoming: Incoming) -> str | None:
    """Take the message as an answer to whatever is open; what it did, or None. It may answer two of different kinds."""
    member = incoming.member
    if member is None or member.state != MemberState.ACTIVE:
        return None
    open_ = {asked.asks: asked for asked in incoming.asked}
    about_story = hearing.says_so(incoming) or (hearing.loosely(incoming) and not incoming.asked)
    if about_story and (done := hearing.against(session, incoming, member)):
        return done
    if _only_me_too(incoming):
        return _me_too(session, incoming, member, incoming.asked[0])
    return _all_that_it_answers(session, incoming, member, open_)


def answers_invite(incoming: Incoming) -> bool:
    """Whether the words answer an invite that is open."""
    invited = any(asked.asks == Asks.YES_NO for asked in incoming.asked)
    return invited and incoming.read.rsvp in understanding.RSVP_ANSWERS


def _only_me_too(incoming: Incoming) -> bool:
    """Whether a few signs (`x2`, `me 2`, a raised hand) are a ME TOO because that is what we asked last."""
    return hearing.expected(incoming) and hearing.loosely(incoming)


def _all_that_it_answers(
    session: Session, incoming: Incoming, member: Member, open_: dict[Asks, questions.Asked]
) -> str | None:
    done: list[str | None] = []
    if Asks.SCORE in open_ and (score := _read_as(incoming, understanding.Question.CHECKIN).checkin):
        done.append(_check_in(session, incoming, member, open_[Asks.SCORE], score))
    # A number is an answer to a check-in or to nothing: no menu of ours has numbers (rule of conversation 9).
    if Asks.YES_NO in open_ and not incoming.arrived.words.strip(" .!").isdigit():
        rsvp = _read_as(incoming, understanding.Question.INVITE).rsvp
        if rsvp in understanding.RSVP_ANSWERS:
            done.append(_rsvp(session, incoming, member, open_[Asks.YES_NO], g.Rsvp(rsvp)))
    if Asks.ME_TOO in open_ and hearing.says_so(incoming):
        done.append(_me_too(session, incoming, member, open_[Asks.ME_TOO]))
    return ", ".join(filter(None, done)) or None


def in_words(session: Session, incoming: Incoming) -> None:
    """Words that come while a check-in is the newest open question answer it, whatever they say: it was not left
    unanswered, and the rhythm stays (`delivery.tapering`). A number after them is still taken.
    """
    if incoming.member is None or not incoming.asked or incoming.asked[0].asks != Asks.SCORE:
        return
    with session.no_autoflush:  # no delivery of a campaign is new
        session.execute(
            update(Delivery)
            .where(
                Delivery.campaign_id == incoming.asked[0].campaign_id,
                Delivery.member_id == incoming.member.id,
                Delivery.answered_at.is_(None),
            )
            .values(answered_at=clock.now())
            .execution_options(synchronize_session=False)
        )


def _read_as(incoming: Incoming, question: understanding.Question) -> Understanding:
    """The same words as an answer to another open question."""
    return understanding.reread(incoming.arrived.words, incoming.read, question)


def _answered(session: Session, incoming: Incoming, asked: questions.Asked) -> None:
    """The question is closed, on both channels, and what waited for that may leave."""
    member = incoming.member
    if incoming.message.answers_delivery_id is None:
        incoming.message.answers_delivery_id = asked.delivery_id
    if asked.campaign_id is None:
        return
    with session.no_autoflush:  # no delivery is new; what is, is stored together with that of other messages
        session.execute(
            update(Delivery)
            .where(Delivery.campaign_id == asked.campaign_id, Delivery.member_id == (member.id if member else None))
            .values(answered_at=clock.now())
            .execution_options(synchronize_session=False)
        )
        if member is not None:
            release(session, member.id, "open_question")


def _check_in(session: Session, incoming: Incoming, member: Member, asked: questions.Asked, score: int) -> str:
    words = after.besides(incoming.arrived.words)
    earlier = incoming.known.checkin
    before, message_before = (earlier.score, earlier.message_id) if earlier else (None, None)
    row = earlier or CheckIn(id=db.uuid7(), member_id=member.id, campaign_id=asked.campaign_id)
    row.score, row.message_id, row.at = score, incoming.message.id, incoming.message.at
    row.words = words or row.words
    session.add(row)
    undo.remember(
        session, member, incoming.message, "checkin",
        {"id": str(row.id), "before": before, "score": score, "message": str(message_before or "")},
    )  # fmt: skip
    _answered(session, incoming, asked)
    if score <= 2:
        to_person(incoming)  # a low score is put before a person the same day
    told = after.extras(session, member, score)
    answer(session, incoming, f"checkin_{score}", told)
    after.follow(session, incoming, member, score, told)
    return f"checkin {score}"


def _rsvp(session: Session, incoming: Incoming, member: Member, asked: questions.Asked, rsvp: g.Rsvp) -> str | None:
    meeting = session.get(g.GroupSession, asked.session_id) if asked.session_id else None
    if meeting is None:
        return _rsvp_without_session(session, incoming, member, asked, rsvp)
    known = session.scalar(
        select(g.Invitation).where(g.Invitation.session_id == meeting.id, g.Invitation.member_id == member.id)
    )
    before = known.rsvp if known else None
    try:
        invitation = gatherings.answer_invite(session, member, meeting, rsvp, incoming.message.id)
    except Conflict:
        to_person(incoming)
        answer(session, incoming, "cannot_place")
        return "rsvp too late"
    words = gatherings.session_words(meeting, member)
    undo.remember(
        session, member, incoming.message, "rsvp",
        {"id": str(invitation.id), "before": before, "now": rsvp, "when": words.when, "session": str(meeting.id)},
    )  # fmt: skip
    _answered(session, incoming, asked)
    template = "rsvp_waitlist" if invitation.waitlisted else f"rsvp_{rsvp}"
    answer(
        session, incoming, template, {"session_when": words.when, "session_name": "" if member.discreet else words.name}
    )
    return f"rsvp {rsvp}"


def _rsvp_without_session(
    session: Session, incoming: Incoming, member: Member, asked: questions.Asked, rsvp: g.Rsvp
) -> str:
    """An invite that names no session of ours (a picnic, say): the answer is noted and goes to a person."""
    said = undo.said(rsvp, member)
    undo.remember(session, member, incoming.message, "noted", {"now": rsvp})
    _answered(session, incoming, asked)
    to_person(incoming)
    answer(session, incoming, "rsvp_noted", {"said": said})
    return f"rsvp {rsvp}"


def _me_too(session: Session, incoming: Incoming, member: Member, asked: questions.Asked) -> str | None:
    done = hearing.take(session, incoming, member, asked)
    if done:
        _answered(session, incoming, asked)
    return done

"""What a member's text means, from the text alone: risk first, then requests to stop, answers, keywords.

A pure function over rules that are data (`data/*.toml`): deterministic, offline, explainable by the names of the rules
that fitted. Members answer in their own words, and plain keyword lists miss nine crises in ten; so the text is brought
to plain words first (`normalise`), then read by patterns over words (`patterns`), each label by a module of its own.
"""

from collections.abc import Sequence
from dataclasses import replace

from service.actions.understanding.answers import read_confirm, read_rsvp
from service.actions.understanding.automatic import is_automatic
from service.actions.understanding.checkin import read_checkin
from service.actions.understanding.keywords import read_keyword
from service.actions.understanding.labels import (
    RSVP_ANSWERS,
    Confirm,
    Intent,
    Minor,
    Question,
    Risk,
    Rsvp,
    Scope,
    Understanding,
)
from service.actions.understanding.lexicon import lexicon, use_rules
from service.actions.understanding.normalise import Text, normalise
from service.actions.understanding.risk import in_doubt, judge
from service.actions.understanding.second_opinion import ask, use_model
from service.actions.understanding.stop import PERHAPS_WEIGHED, STOP_WEIGHED, Request, read_request
from service.actions.understanding.weights import (
    STOP_AGAINST_ANSWER,
    STOP_AT_RISK,
    STOP_AT_WORRY,
    STOP_UNSEEN,
    scores,
)

__all__ = [
    "PERHAPS_WEIGHED",
    "RSVP_ANSWERS",
    "STOP_WEIGHED",
    "Confirm",
    "Intent",
    "Minor",
    "Question",
    "Risk",
    "Rsvp",
    "Scope",
    "Understanding",
    "reread",
    "screen",
    "understand",
    "use_model",
    "use_rules",
]

FEW = 6
"""So many words may be an answer to an invite and nothing else."""
_MINOR_OF_RISK = {Minor.SELF: Risk.NONE, Minor.CHILD_AT_RISK: Risk.CONCERN}


def understand(
    text: str,
    *,
    language: str | None = None,
    question: Question | None = None,
    context: Sequence[str] = (),
    telling: bool = False,
) -> Understanding:
    """Every label of `text`. `question` is what is open: None means that it is not known, and answers are read as if
    any question might be; with Question.NONE nothing is. `context` are the last texts we sent, oldest first.
    `telling`: it is a piece of what a member writes for others, which a person reads before anybody else does.

    May raise if rules are broken; paths that take members' words use `screen`.
    """
    ready = normalise(text, language=language, context=context)
    if ready.tapback:
        return Understanding(
            tapback=True,
            language=ready.language,
            rsvp=_open(question, Rsvp.UNCLEAR),
            reasons=["tapback"],
        )
    risk, reasons = judge(ready, context, question is Question.SAFETY, telling)
    request = read_request(ready, risky=risk is not Risk.NONE)
    if question is Question.INVITE and _only_answers(ready, request):
        request = Request(weak=True, reasons=request.reasons)
    alone = request.reasons == (STOP_WEIGHED,)
    if risk is not Risk.NONE and alone and scores(ready.words, "stop")[0] < _least_at_risk(risk, reasons):
        request = Request(weak=True, reasons=request.reasons)  # sorrow is not taken for a stop on weight alone
    template = is_automatic(ready)
    reasons += request.reasons
    if risk is Risk.NONE and request.intent is Intent.OPT_OUT:
        if in_doubt(ready, alone=alone):
            risk, reasons = Risk.CONCERN, [*reasons, "weight of words: more than a stop"]
        elif alone and scores(ready.words, "stop")[0] < STOP_UNSEEN:
            request = Request(weak=True, reasons=request.reasons)
    minor, me_too, why = _who(ready)
    reasons += why
    if minor:
        risk = max(
            risk,
            _MINOR_OF_RISK[minor],
            key=lambda tier: [Risk.NONE, Risk.CONCERN, Risk.IMMINENT].index(tier),
        )
    labels = Understanding(
        risk=risk,
        intent=request.intent,
        scope=request.scope,
        topic=request.topic,
        minor=minor,
        language=ready.language,
        weak_opt_out=request.weak,
        rsvp=_open(question, Rsvp.UNCLEAR),
        reasons=reasons,
    )
    if template:
        return replace(
            labels,
            automatic=True,
            intent=Intent.NONE,
            scope=None,
            weak_opt_out=False,
            reasons=[*reasons, template],
        )
    return _answers(ready, replace(labels, me_too=me_too), question)


def _only_answers(ready: Text, request: Request) -> bool:
    """Whether no rule but only weights hear a stop in a few words that answer an invite: "I'd rather not, thanks". It
    is a hint then, so that a person looks."""
    if request.reasons != (STOP_WEIGHED,) or scores(ready.words, "stop")[0] >= STOP_AGAINST_ANSWER:
        return False
    few = sum(word not in ",.?" for word in ready.words.split()) <= FEW
    return few and read_rsvp(ready)[0] in RSVP_ANSWERS


def _least_at_risk(risk: Risk, reasons: list[str]) -> float:
    """What the words of a text of risk must weigh to be a stop as well, where no rule heard one."""
    return STOP_AT_WORRY if risk is Risk.CONCERN and reasons == ["weight of words: concern"] else STOP_AT_RISK


def reread(text: str, read: Understanding, question: Question | None = None) -> Understanding:
    """What a text that has been screened (`read`) says as an answer to another question, and its keyword.

    Risk and requests to stop stay as they were read: they are most of the work, and what we asked does not change them.
    """
    if read.tapback or read.automatic:
        return read
    return _answers(normalise(text, language=read.language), read, question)


def _open(question: Question | None, rsvp: Rsvp) -> Rsvp | None:
    return rsvp if question in (None, Question.INVITE) else None


def _answers(ready: Text, labels: Understanding, question: Question | None) -> Understanding:
    """The labels that depend on what was asked, and the keyword."""
    keyword, argument = read_keyword(ready)
    score, odd = read_checkin(ready)
    may_answer = question in (None, Question.INVITE) and not (
        labels.intent is Intent.OPT_OUT and labels.scope not in (Scope.TOPIC, Scope.PAUSE)
    )
    if may_answer:
        answer, names = read_rsvp(ready, guess=labels.risk is Risk.NONE)
        labels = replace(labels, rsvp=answer, reasons=[*labels.reasons, *names])
    return replace(
        labels,
        keyword=keyword,
        argument=argument,
        checkin=score if question in (None, Question.CHECKIN) else None,
        confirm=read_confirm(ready) if question not in (Question.NONE, Question.CHECKIN) else None,
        odd_number=odd or (score is not None and question not in (None, Question.CHECKIN) and len(ready.words) < 6),
    )


def _who(ready: Text) -> tuple[Minor | None, bool, list[str]]:
    books = lexicon().books
    hits = list(books["minor"].hits(ready.words))
    labels = {hit.rule.label for hit in hits}
    minor = next((one for one in (Minor.CHILD_AT_RISK, Minor.SELF) if one in labels), None)
    same = books["me_too"].first(ready.words)
    return (
        minor,
        same is not None,
        list(dict.fromkeys(hit.rule.name for hit in [*hits, *([same] if same else [])])),
    )


def screen(
    text: str,
    *,
    language: str | None = None,
    question: Question | None = None,
    context: Sequence[str] = (),
    telling: bool = False,
) -> Understanding:
    """`understand`, and the model if one is in use. A failure inside escalates: the text is a concern, with the reason
    "screen failed"."""
    try:
        return ask(text, understand(text, language=language, question=question, context=context, telling=telling))
    except Exception:  # whatever went wrong, a person must look
        return Understanding(
            risk=Risk.CONCERN,
            rsvp=_open(question, Rsvp.UNCLEAR),
            reasons=["screen failed"],
        )

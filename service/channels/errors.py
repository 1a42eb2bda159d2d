"""What a provider's codes mean for us: one table from code to outcome, one from code to what a coordinator can do.

The source of the classes is facts collected from the vendors' error pages; a code that is in no table fails its one
message and never anything else.
"""

from service.channels.base import Outcome

TWILIO_CODES: dict[str, Outcome] = {
    # The recipient said stop: at once (HTTP 400), or in a status callback with Advanced Opt-Out.
    "21610": Outcome.STOPPED,
    # Nobody will ever be reached there.
    "21211": Outcome.UNREACHABLE,
    "21614": Outcome.UNREACHABLE,
    "30005": Outcome.UNREACHABLE,
    "30006": Outcome.UNREACHABLE,
    # Our account: every further message would meet the same.
    "20003": Outcome.CONFIGURATION,
    "20005": Outcome.CONFIGURATION,
    "20404": Outcome.CONFIGURATION,
    "21212": Outcome.CONFIGURATION,
    "21408": Outcome.CONFIGURATION,
    "21606": Outcome.CONFIGURATION,
    "21608": Outcome.CONFIGURATION,
    "21703": Outcome.CONFIGURATION,
    "30002": Outcome.CONFIGURATION,
    "30007": Outcome.CONFIGURATION,  # filtered: sending it again makes it worse
    "30032": Outcome.CONFIGURATION,
    "30033": Outcome.CONFIGURATION,
    "30034": Outcome.CONFIGURATION,
    "30035": Outcome.CONFIGURATION,
    # Too fast, or out of reach for now.
    "20429": Outcome.RETRY,
    "21611": Outcome.RETRY,
    "30001": Outcome.RETRY,
    "30003": Outcome.RETRY,
    "30008": Outcome.RETRY,
    "30022": Outcome.RETRY,
    "30024": Outcome.RETRY,
    "30036": Outcome.RETRY,
    "63017": Outcome.RETRY,
    "30023": Outcome.TOMORROW,
    # It may have gone out.
    "21612": Outcome.UNKNOWN,
    "30004": Outcome.UNKNOWN,
    "30410": Outcome.UNKNOWN,
    # This one text cannot go.
    "21602": Outcome.FAILED,
    "21617": Outcome.FAILED,
}

SLOW_DOWN_CODES = frozenset({"20429", "21611", "30001", "30022", "63017"})
"""Codes that speak about our pace. 30003 and 30008 are about one phone, so they slow nobody else down."""

SENDGRID_STATUSES: dict[int, Outcome] = {
    200: Outcome.ACCEPTED,  # sandbox mode
    202: Outcome.ACCEPTED,
    400: Outcome.FAILED,
    401: Outcome.CONFIGURATION,
    403: Outcome.CONFIGURATION,
    404: Outcome.CONFIGURATION,
    405: Outcome.CONFIGURATION,
    406: Outcome.CONFIGURATION,
    413: Outcome.FAILED,
    415: Outcome.CONFIGURATION,
    429: Outcome.RETRY,
}

BOUNCE_CLASSES: dict[str, Outcome] = {
    "invalid address": Outcome.UNREACHABLE,
    "mailbox unavailable": Outcome.FAILED,
    "technical": Outcome.FAILED,
    "content": Outcome.CONFIGURATION,
    "reputation": Outcome.CONFIGURATION,
    "frequency/volume too high": Outcome.RETRY,
    "frequency or volume too high": Outcome.RETRY,
    "unclassified": Outcome.FAILED,
}
"""`bounce_classification` of a bounce event, in small letters."""

DROP_REASONS: dict[str, Outcome] = {
    "bounced address": Outcome.UNREACHABLE,
    "invalid": Outcome.UNREACHABLE,
    "spam reporting address": Outcome.STOPPED,
    "unsubscribed address": Outcome.STOPPED,
    "invalid smtpapi header": Outcome.FAILED,
    "spam content (if spam checker app enabled)": Outcome.CONFIGURATION,
    "recipient list over package quota": Outcome.CONFIGURATION,
}
"""`reason` of a dropped event, in small letters."""

REMEDIES: dict[str, str] = {
    "21610": "This person has texted STOP to our number. They can only come back by texting START themselves.",
    "21211": "This is not a phone number. Ask the member for the right one.",
    "21614": "This number cannot receive texts. Ask for a mobile number, or write by email.",
    "30005": "The number is not in use (any more). Ask the member for the right one.",
    "30006": "This is a landline, or its carrier takes no texts. Ask for a mobile number, or write by email.",
    "20003": "Twilio refused our account id or token. An operator must check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.",
    "20005": "The Twilio account is not active. An operator must sign in at Twilio and see why.",
    "20404": "Twilio does not know our account or sender. An operator must check TWILIO_ACCOUNT_SID and the sender.",
    "21212": "Our sender is not a valid number. An operator must check TWILIO_FROM.",
    "21408": "Twilio is not allowed to text this country. An operator can allow it under Messaging, Geo permissions.",
    "21606": "Our sender number may not text this number. An operator must check TWILIO_FROM or the Messaging Service.",
    "21608": "The Twilio account is a trial: it only texts numbers that were verified there. Upgrade the account.",
    "21703": "The Messaging Service has no number that can send this. An operator must add a sender to it.",
    "30002": "Twilio has suspended the account. An operator must contact Twilio before anything else is sent.",
    "30007": "A carrier filtered this as unwanted. Do not send it again: soften the words, drop links, "
    "check the registration.",
    "30032": "The toll-free number is not verified yet. An operator must finish its verification at Twilio.",
    "30033": "The carriers have suspended our campaign registration. An operator must contact Twilio.",
    "30034": "Our number is not registered for texting in the US (10DLC). An operator must register it at Twilio.",
    "30035": "Our number is still being set up. Wait until Twilio shows it as ready, then resume.",
    "20429": "We sent faster than Twilio allows. Sending slows down by itself.",
    "21611": "More than ten hours of texts wait at Twilio for our number. Sending goes on when they have left.",
    "30001": "Twilio's queue for our number is full. Sending slows down by itself.",
    "30003": "The phone is off or out of reach. It will be tried again.",
    "30008": "The carrier did not say why it failed. It will be tried again.",
    "30022": "We sent faster than our registration allows. Sending slows down by itself.",
    "30024": "The carrier could not take it just now. It will be tried again.",
    "30036": "It waited too long at Twilio and was not sent. It will be tried again.",
    "63017": "We sent faster than this channel allows. Sending slows down by itself.",
    "30023": "Today's limit of our registration is used up. The rest leaves tomorrow.",
    "21612": "Twilio could not say whether this number can be reached from our sender. It is being looked up.",
    "30004": "The message was blocked on its way, perhaps after it left. It is being looked up.",
    "30410": "The carrier did not answer Twilio in time. It is being looked up.",
    "21602": "The text is empty. Write something, then send it again.",
    "21617": "The text is longer than 1600 characters. Shorten it.",
    "invalid_address": "This is not an email address. Ask the member for the right one.",
    "bounced": "The mailbox does not exist. Ask the member for the right address.",
    "blocked": "The mail server turned this message away for now. It may accept the next one.",
    "content": "A mail server took this for unwanted mail. Read it again with a stranger's eyes before sending more.",
    "reputation": "Mail servers do not trust our sender yet. An operator must check SPF, DKIM and DMARC.",
    "spamreport": "This person marked a message of ours as spam. They get no more email.",
    "unsubscribed": "This person has unsubscribed at the provider. They get no more email.",
    "401": "SendGrid refused our key. An operator must check SENDGRID_API_KEY.",
    "403": "SendGrid does not let us send from this address. An operator must verify SENDGRID_FROM there.",
    "404": "This is not SendGrid's address. An operator must check SENDGRID_API_URL.",
    "413": "The message is too large. Shorten it.",
    "429": "We sent faster than the provider allows. Sending slows down by itself.",
    "not_connected": "The provider could not be reached. It will be tried again.",
    "interrupted": "The connection broke before the provider answered. Whether it left is being looked up.",
    "unreadable": "The provider's answer could not be read. Whether it left is being looked up.",
}
"""What a coordinator can do, by code; codes that are words are our own."""


def outcome_of_code(code: str | int | None) -> Outcome:
    """What a Twilio error code means, in an answer or in a status callback. FAILED for one that we do not know."""
    return TWILIO_CODES.get(str(code), Outcome.FAILED)


def slows_down(code: str | int | None) -> bool:
    """Whether a Twilio code tells all workers to slow down."""
    return str(code) in SLOW_DOWN_CODES


def outcome_of_sendgrid_status(status: int) -> Outcome:
    """What an HTTP status of mail/send means: any 5xx or odd one may have been sent, other 4xx fail."""
    if status in SENDGRID_STATUSES:
        return SENDGRID_STATUSES[status]
    if 300 <= status < 400:
        return Outcome.CONFIGURATION  # we follow no redirects: the base address is wrong
    return Outcome.FAILED if 400 <= status < 500 and status != 408 else Outcome.UNKNOWN


def outcome_of_bounce(kind: str | None, classification: str | None) -> Outcome:
    """What a SendGrid bounce event means. `kind` is its `type`: a "blocked" one never condemns the address."""
    known = BOUNCE_CLASSES.get((classification or "").strip().lower())
    if (kind or "").lower() == "blocked":
        return Outcome.FAILED if known in (None, Outcome.UNREACHABLE) else known
    return known if known is not None else Outcome.UNREACHABLE


def outcome_of_drop(reason: str | None) -> Outcome:
    """What a SendGrid dropped event means; FAILED for a reason that we do not know."""
    return DROP_REASONS.get((reason or "").strip().lower(), Outcome.FAILED)


def remedy(code: str | int | None) -> str:
    """What a coordinator can do about a code, in one or two plain sentences; never empty."""
    if code is None or str(code) == "":
        return "The provider gave no reason. Try again later, or write on the other channel."
    known = REMEDIES.get(str(code))
    return known or f"The provider refused it (code {code}). If it happens again, show this code to an operator."

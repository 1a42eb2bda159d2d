"""The line between what a member wrote and what their mail program added; when in doubt, the member wrote it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.channels.inbound_html import to_text
from service.channels.inbound_words import clean, new_words

OURS = "Hearthline <reply+abc@replies.example.org>"


@pytest.mark.parametrize(
    "words",
    [
        "Hi\nThanks, I am not safe tonight\nplease call",
        "What helps me:\n- walking\n- my sister\nI want to die",
        "On Monday my mum wrote:\nyou are useless\nand I cried",
        "El lunes mi madre escribió:\nno vales nada",
        "From: my heart\nTo: you all\nthank you for tonight",
        "I'm fine\n--\nactually I'm not",
        "Warning: he reads my mail and I am afraid of him",
        ">:( what a day",
        ">_< hard",
        "Sent from my heart, to all of you",
        "Regards to everyone\nI will miss you",
        "On and on she wrote: never mind",
    ],
)
def test_a_persons_words_are_never_taken_for_a_mail_programs(words):
    assert new_words(words) == words


@pytest.mark.parametrize(
    "introduction",
    [
        f"On Tue, Nov 3, 2026 at 9:58 AM {OURS} wrote:",
        "On Tue, Nov 3, 2026 at 9:58 AM Hearthline <\nreply+abc@replies.example.org> wrote:",
        f"On Nov 3, 2026, at 9:58\u202fAM, {OURS} wrote:",
        "On 03/11/2026 09:58, Hearthline wrote:",
        f"El mar, 3 nov 2026 a las 10:00, {OURS} escribió:",
        "El mar, 3 nov 2026 a las 10:00, Ana escribió:",
        "El mar, 3 nov 2026 a las 10:00, Ana Hearthline\n(<reply+abc@replies.example.org>) escribió:",
        "El martes, 3 de noviembre de 2026, 10:00:00 GMT-6,\nHearthline <reply+abc@replies.example.org>\nescribió:",
    ],
)
@pytest.mark.parametrize("quoted", ["> How are you?\n> 1-5", "\n> How are you?", "How are you?\n1-5", ""])
def test_an_introduction_and_its_quote_go(introduction, quoted):
    assert new_words(f"4 today\n\n{introduction}\n{quoted}") == "4 today"


def test_an_answer_below_the_quote_stays():
    assert new_words(f"On Tue, Nov 3, 2026 at 9:58 AM {OURS} wrote:\n> How are you?\n\n4 today") == "4 today"


@pytest.mark.parametrize(
    "block",
    [
        f"From: {OURS}\nSent: Tuesday, November 3, 2026 9:58 AM\nTo: Dev\nSubject: Circle",
        f"________________________________\nDe: {OURS}\nEnviado: martes\nPara: Dev\nAsunto: Círculo",
        f"*From:* {OURS}\n*Date:* Tuesday\n*To:* Dev",
        "-----Original Message-----",
        "-----Mensaje original-----",
        "---------- Forwarded message ---------",
        "Begin forwarded message:",
    ],
)
def test_outlooks_header_block_ends_the_new_words(block):
    assert new_words(f"Yes, I'll come\n\n{block}\n\nWill you come?") == "Yes, I'll come"


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my iPhone",
        "Sent from Outlook for Android<https://aka.ms/x>",
        "Get Outlook for iOS<https://aka.ms/x>",
        "Sent from Yahoo Mail on Android",
        "Enviado desde mi iPhone",
        "Enviado desde mi Samsung Galaxy",
        "Obtener Outlook para Android",
    ],
)
def test_a_device_line_goes_and_nothing_after_it(line):
    assert new_words(f"Yes\n\n{line}\n\nPS: bring tea") == "Yes\n\nPS: bring tea"


def test_a_short_signature_goes_and_a_long_one_is_no_signature():
    assert new_words("Yes\n-- \nRosa\n555 0100\n\n> old") == "Yes"
    story = "\n".join(f"line {i}" for i in range(9))
    assert new_words(f"Yes\n-- \n{story}").endswith("line 8")


def test_html_that_a_person_indented_stays():
    html = '<div>Listen:</div><blockquote style="margin:0 0 0 40px">I am not well</blockquote>'
    assert new_words(to_text(html)) == "Listen:\nI am not well"


@pytest.mark.parametrize(
    "html",
    [
        '<p>4</p><div class="yahoo_quoted"><div>On Tue, Nov 3, 2026 at 9:58 AM, H wrote:</div><div>old</div></div>',
        '<p>4</p><div class="moz-cite-prefix">On 11/3/26 9:58, H wrote:</div><blockquote type="cite">old</blockquote>',
        '<p>4</p><div class="gmail_quote">On Tue, 9:58 H wrote:<br><blockquote>old<p>older</p></blockquote></div>',
        "<p>4</p><p>El mar, 3 nov 2026 a las 10:00, Ana escribió:</p><blockquote>old</blockquote>",
        '<p>4</p><hr><div id="divRplyFwdMsg"><b>From:</b> H<br><b>Sent:</b> Tue<br><b>To:</b> D</div><div>old</div>',
    ],
)
def test_quoted_html_goes(html):
    assert new_words(to_text(html)) == "4"
    assert "old" in to_text(html)


def test_an_answer_inside_gmails_quote_stays():
    quote = '<blockquote class="gmail_quote">How are you?</blockquote>'
    html = f'<div class="gmail_quote">On Tue 3 Nov 9:58 H wrote:{quote}<div>Bad</div>{quote}<div>Yes</div></div>'
    assert new_words(to_text(html)).split() == ["Bad", "Yes"]


def test_emoji_sent_as_pictures_are_words_and_tracking_pictures_are_not():
    assert to_text('<p>thanks <img goomoji="1f622" alt="😢"><img src="x.gif" alt="logo"></p>').strip() == "thanks 😢"


def test_text_that_looks_like_html_stays_text():
    assert to_text("<p>&lt;script&gt;1 &amp;amp; 2</p>").strip() == "<script>1 &amp; 2"


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<blockquote>", "<a href=x><b><p>", "<table><td>", "<p>", "&", "<"])
def test_hostile_html_takes_no_time(tag):
    began = time.thread_time()
    to_text(tag * 200_000 + "end")
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    "line", ["On a ", "On 1\n", "On 1 wrote:\n\n", "From: a\n", " \n", "> ", "-- \n\n", "\u0301\u0323"]
)
def test_hostile_text_takes_no_time(line):
    began = time.thread_time()
    new_words(clean(line * 50_000, 100_000))
    assert time.thread_time() - began < 5


def test_a_deeply_nested_page_still_gives_its_words():
    assert "I need help" in to_text("<div>" * 2000 + "I need &amp; want; I need help")


@given(st.text())
def test_nothing_is_invented(text):
    whole = clean(text, 1000)
    assert set(new_words(whole).split()) <= set(whole.split())


@given(st.text(alphabet="<>/&;#abpdivrsx =\"'\n!-[]", max_size=300))
def test_any_html_is_read(html):
    new_words(clean(to_text(html), 1000)).encode()

"""Emails written once for everybody: the same as if each had been written for one, and nobody's words are markup."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.channels import email_source
from service.channels.email import CompiledEmail, compile_email, render_email
from service.channels.email_source import TOKEN
from service.channels.render import EXAMPLES, MissingValue, TemplateInvalid

BRAND: dict[str, Any] = {
    "org_name": "Hearth & Home",
    "org_postal_address": "12 Lantern Lane, Willowbrook",
    "help_contact": "help@hearth.example",
    "discreet": False,
    "language": "en",
    "why": "",
}
WAYS = {"preferences_url": "https://hearth.example/p/1", "unsubscribe_url": "https://hearth.example/u/1"}


class Reader(HTMLParser):
    """What a person sees of an HTML email, and which elements and addresses it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self._silent = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._silent = tag in ("style", "title")
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._silent else data


def compiled(body: str, subject: str = "Hello", **changes: Any) -> CompiledEmail:
    options = {k: changes.pop(k) for k in ("constants", "shared") if k in changes}
    return compile_email(subject, body, layout={**BRAND, **changes}, **options)


def shown(email: CompiledEmail, **context: str | None) -> tuple[str, str, str]:
    return render_email(email, {**WAYS, **context})


def body_of(html: str) -> str:
    return html.split('class="card"')[1].split("</td>")[0].split(">", 1)[1]


STORY = """# {{ story_title }}

Hi {{ first_name or "friend" }},

{% if circle_name %}
You are in **{{ circle_name }}**:

- come as you are
- leave when you like
{% else %}
Find your own circle: {{ story_url }}
{% endif %}

{{ story_body }}

[Yes, I'll be there]({{ rsvp_yes_url }}){% if session_place %} at {{ session_place }}{% endif %}.
Or [write](mailto:a@b.example).
"""


def test_a_story_reads_well_in_both_parts() -> None:
    email = compiled(STORY, "{{ story_title }}{% if first_name %}, {{ first_name }}{% endif %}")
    assert email.shared
    subject, text, html = shown(
        email, story_title="The first quiet morning", first_name="Ana", story_body="One.\n\nTwo\nlines.",
        rsvp_yes_url="https://hearth.example/r/1?a=1&b=2", circle_name="Oak", session_place="Elm House",
    )  # fmt: skip
    assert subject == "The first quiet morning, Ana"
    assert text == (
        "The first quiet morning\n\nHi Ana,\n\nYou are in Oak:\n\n- come as you are\n- leave when you like\n\n"
        "One.\n\nTwo\nlines.\n\n"
        "Yes, I'll be there <https://hearth.example/r/1?a=1&b=2> at Elm House.\nOr write <a@b.example>.\n\n"
        "-- \nYou get this because you asked Hearth & Home to write to you.\n"
        "Questions? Just answer this email, or write to help@hearth.example\n"
        "Choose what you get: https://hearth.example/p/1\nStop these emails: https://hearth.example/u/1\n"
        "Hearth & Home\n12 Lantern Lane, Willowbrook\n"
    )
    page = Reader(html)
    assert "https://hearth.example/r/1?a=1&b=2" in page.links
    assert body_of(html).count("<p ") == 5  # greeting, circle, the story's own two, and the answer
    assert not TOKEN.search(html + text + subject)


def test_the_same_email_for_somebody_of_whom_less_is_known() -> None:
    email = compiled(STORY, "{{ story_title }}{% if first_name %}, {{ first_name }}{% endif %}")
    subject, text, html = shown(
        email, story_title="T", story_body="B", rsvp_yes_url="https://x.example", story_url="https://s.example/1"
    )
    assert subject == "T"
    assert "Hi friend,\n\nFind your own circle: https://s.example/1\n\nB\n\n" in text
    assert '<a href="https://s.example/1"' in html  # an address by itself is a link
    assert "Oak" not in html


def test_what_members_share_is_made_once_and_the_rest_is_small() -> None:
    email = compiled("Hi {{ first_name }}, {{ first_name }}!\n\n" + "A long shared story. " * 500)
    first, second = (email.substitutions({**WAYS, "first_name": n}) for n in ("Ana", "Ben"))
    assert first.keys() == second.keys()
    assert len(first) == 4  # the name in HTML and in text, and the ways out in both
    assert sum(len(k) + len(v) for k, v in first.items()) < 1200
    assert all(re.fullmatch(r"[a-z0-9]{18}", token) for token in first)
    assert all(isinstance(value, str) for value in first.values())


def test_html_text_and_subject_have_words_of_their_own_and_only_html_escapes() -> None:
    email = compiled("{{ first_name }}", "{{ first_name }}")
    made = email.substitutions({**WAYS, "first_name": "A & <b>"})
    values = sorted(v for v in made.values() if v.startswith("A"))
    assert values == ["A & <b>", "A & <b>", "A &amp; &lt;b&gt;"]
    for part in (email.subject, email.text, email.html):
        assert sum(token in part for token, v in made.items() if v.startswith("A")) == 1


def test_what_is_the_same_for_everybody_is_put_in_at_once() -> None:
    known = {"story_title": "A <title>", "story_body": "One\n\nTwo *stars*", "circle_name": "Oak"}
    rest = {"first_name": "Ana", "rsvp_yes_url": "https://x.example", "session_place": "Elm", "story_url": "https://s"}
    split = compiled(STORY, "{{ story_title }} for {{ first_name }}")
    fixed = compiled(STORY, "{{ story_title }} for {{ first_name }}", constants=known)
    assert shown(fixed, **rest) == shown(split, **known, **rest)
    assert "*stars*" in fixed.html
    assert len(fixed.substitutions({**WAYS, **rest})) < len(split.substitutions({**WAYS, **rest, **known}))


def test_a_constant_that_is_missing_is_named_while_compiling() -> None:
    with pytest.raises(MissingValue, match="story_title"):
        compiled("{{ story_title }}", constants={"story_title": None})


@pytest.mark.parametrize(
    "body",
    [
        '{% set who = first_name or "friend" %}Hi **{{ who }}**, {{ who }}',
        "{% set who %}*Hi* {{ first_name }}{% endset %}{{ who }} and {{ who }}",
        "{% macro hi(who) %}Hi **{{ who }}**{% endmacro %}{{ hi(first_name) }}",
        "{% for n in ['one', 'two'] %}- {{ n }} {{ first_name }}\n{% endfor %}",
        "*a {% if first_name %}b*{% endif %} {{ first_name }}",  # a condition that changes how its surroundings read
        "- a\n{% if first_name %}- {{ first_name }}\n{% endif %}- c",
    ],
)
def test_what_cannot_be_shared_is_written_for_each(body: str) -> None:
    email = compiled(body)
    assert not email.shared
    _, text, html = shown(email, first_name="Ana *x* <b>")
    assert "Ana *x* &lt;b&gt;" in html
    assert "Ana *x* <b>" in text
    assert not TOKEN.search(html + text)


def test_set_and_macro_texts_are_markdown_and_values_are_not() -> None:
    _, _, html = shown(compiled("{% set w %}**Hi** {{ first_name }}{% endset %}{{ w }}"), first_name="**A**")
    assert "<strong>Hi</strong> **A**" in html


def test_a_condition_in_a_list_or_a_quote_reads_as_written() -> None:
    email = compiled(
        "> Hi {% if first_name %}**{{ first_name }}**{% else %}you{% endif %}\n\n1. a{% if circle_name %}b{% endif %}"
    )
    assert email.shared
    assert "> Hi Ana\n\n1. a\n\n" in shown(email, first_name="Ana")[1]
    assert "> Hi you\n\n1. ab\n\n" in shown(email, circle_name="Oak")[1]


def test_too_many_combinations_are_written_for_each_and_not_tried_for_ever() -> None:
    fields = ["first_name", "circle_name", "session_day", "session_time", "session_place", "story_title", "tool_title"]
    body = " ".join(f"{{% if {name} %}}{{{{ {name} }}}}{{% endif %}}" for name in fields)
    email = compiled(body)
    assert not email.shared
    assert "Ana Elm" in re.sub(" +", " ", shown(email, first_name="Ana", session_place="Elm")[1])


@pytest.mark.parametrize("hostile", ["javascript:alert(1)", " JaVaScRiPt:x", "data:text/html,x", "//evil.example", "x"])
def test_a_value_is_a_link_only_to_a_page_or_a_mailbox(hostile: str) -> None:
    for body in ("[go]({{ story_url }})", "{{ story_url }}"):
        page = Reader(shown(compiled(body), story_url=hostile)[2])
        assert page.links == ["#", *WAYS.values()]


def test_a_value_inside_an_address_stays_inside_it() -> None:
    page = Reader(shown(compiled("[go](https://x.example/?n={{ first_name }}&z=1)"), first_name='"><a>&q=é /')[2])
    assert page.links[0] == "https://x.example/?n=%22%3E%3Ca%3E%26q%3D%C3%A9%20%2F&z=1"


@pytest.mark.parametrize(
    ("body", "absent"),
    [
        ("<script>alert(1)</script>", "script"),
        ('<img src="https://t.example/x.gif" onerror=alert(1)>', "img"),
        ("![x](https://t.example/x.gif)", "img"),
        ("<iframe src=x></iframe>", "iframe"),
    ],
)
def test_a_body_holds_no_pictures_and_no_html_of_its_own(body: str, absent: str) -> None:
    assert absent not in Reader(shown(compiled(body))[2]).tags


def test_a_link_in_the_body_to_a_script_is_no_link() -> None:
    page = Reader(shown(compiled("[x](javascript:alert(1)) [y](vbscript:x) [z](data:text/html,x)"))[2])
    assert page.links == list(WAYS.values())


def test_a_subject_has_one_line_whatever_a_member_wrote() -> None:
    for subject in (
        "Hi {{ first_name }}",
        "{% set x = first_name %}Hi {{ x }}",
        "{% if first_name %}Hi {{ first_name }}{% endif %}",
    ):
        title, _, _ = shown(compiled("x", subject), first_name="A\r\nBcc: b@c.example\x00")
        assert title == "Hi A Bcc: b@c.example"


def test_an_email_without_a_way_out_is_refused_unless_it_is_said_that_there_is_none() -> None:
    email = compiled("Hi")
    with pytest.raises(MissingValue, match="unsubscribe_url"):
        email.substitutions({"preferences_url": "https://x.example"})
    _, text, html = render_email(email, {"preferences_url": None, "unsubscribe_url": None})
    assert "Stop these emails" not in html + text
    assert "12 Lantern Lane" in html
    assert "12 Lantern Lane" in text
    _, text, html = shown(email)
    for part in (html, text):
        assert WAYS["unsubscribe_url"] in part
        assert WAYS["preferences_url"] in part


def test_a_missing_value_is_named_before_anything_is_sent() -> None:
    with pytest.raises(MissingValue, match="first_name"):
        shown(compiled("Hi {{ first_name }}"), first_name="")
    with pytest.raises(MissingValue, match="first_name"):
        shown(compiled("Hi", "For {{ first_name }}"))
    # What stands only in the branch that is not taken is not missing.
    assert "Bye" in shown(compiled("{% if first_name %}{{ first_name }}{{ circle_name }}{% else %}Bye{% endif %}"))[1]


def test_what_is_wrong_is_named_while_compiling() -> None:
    for subject, body in (("{{ frist_name }}", "x"), ("x", "{{ frist_name }}"), ("x", "{% if %}")):
        with pytest.raises(TemplateInvalid):
            compile_email(subject, body, layout=BRAND)


@pytest.mark.parametrize("language", ["en", "es"])
def test_discreet_mails_name_neither_the_organisation_nor_the_topic(language: str) -> None:
    email = compile_email(
        "A note for you", "Hi {{ first_name }}",
        layout={**BRAND, "discreet": True, "language": language, "why": "You asked for hope stories about grief.",
                "org_postal_address": "Hearth & Home, 12 Lantern Lane", "preheader": "A story about grief"},
    )  # fmt: skip
    subject, text, html = shown(email, first_name="Ana")
    everything = (subject + text + html).lower().replace("hearth.example", "")
    assert "hearth" not in everything
    assert "grief" not in everything
    assert "hope" not in everything
    assert "12 Lantern Lane" in html
    assert "12 Lantern Lane" in text
    assert WAYS["unsubscribe_url"] in html


def test_spanish_members_read_the_footer_in_spanish_and_words_can_be_given() -> None:
    _, text, html = shown(compiled("Hola", language="es-MX"))
    assert "Elige lo que recibes" in html
    assert "No recibir más estos correos" in text
    assert '<html lang="es"' in html
    given_words = shown(compiled("Hi", why="You asked for tools.", leave="Leave", preheader="Just & so"))[2]
    assert "You asked for tools." in given_words
    assert ">Leave</a>" in given_words
    assert "Just &amp; so" in given_words


def test_text_part_of_everything_that_markdown_has() -> None:
    body = "\n".join([
        "# Title", "", "Some *soft* and **strong** `code` words  ", "on two lines", "", "* one", "* two", "  1. inner",
        "  2. more", "", "3. three", "", "4. four", "", "> said", "> so", "", "---", "", "```", "as *is*", "```", "",
        "<https://a.example/x_y> and https://b.example/z.",
    ])  # fmt: skip
    text = shown(compiled(body))[1].split("\n-- \n")[0]
    assert text == (
        "Title\n\nSome soft and strong code words\non two lines\n\n- one\n- two\n  1. inner\n  2. more\n\n"
        "3. three\n\n4. four\n\n> said\n> so\n\n* * *\n\nas *is*\n\nhttps://a.example/x_y and https://b.example/z.\n"
    )


# The same for one as for all -------------------------------------------------------------------------------------

FIELDS = ["first_name", "circle_name", "session_place", "story_title", "story_body", "story_url", "rsvp_yes_url"]
WORDS = st.lists(
    st.sampled_from([*"ab cD*_`[]()<>#!&\\\"'-+.1\n~|>ñ😀é\t", "\n\n", "**", "](", "https://e.org/x", "- ", "> "]),
    max_size=14,
).map("".join)
NAMES = st.sampled_from(FIELDS)
EXPRESSIONS = st.one_of(
    NAMES.map(lambda n: f"{{{{ {n} or 'x*y' }}}}"),
    NAMES.map(lambda n: f"{{{{ {n} | fallback('z') | upper }}}}"),
    NAMES.map(lambda n: f"[go _on_]({{{{ {n} or 'https://e.org' }}}})"),
    NAMES.map(lambda n: f"https://e.org/?q={{{{ {n} or 1 }}}}"),
    NAMES.map(lambda n: f"\n\n{{{{ {n} or 'alone' }}}}\n\n"),
)
FLAT = st.lists(st.one_of(WORDS, EXPRESSIONS), max_size=4).map("".join)
CONDITIONS = st.builds(
    lambda name, then, other, lines: (
        f"\n\n{{% if {name} %}}\n{then}\n{{% else %}}\n{other}\n{{% endif %}}\n\n"
        if lines
        else f"{{% if {name} %}}{then}{{% else %}}{other}{{% endif %}}"
    ),
    NAMES, FLAT, st.one_of(st.just(""), FLAT), st.booleans(),
)  # fmt: skip
NESTED = st.builds(
    lambda name, before, inner, after: f"{{% if {name} %}}{before}{inner}{after}{{% endif %}}",
    NAMES,
    WORDS,
    CONDITIONS,
    WORDS,
)
BODIES = st.lists(st.one_of(WORDS, EXPRESSIONS, CONDITIONS, NESTED), min_size=1, max_size=6).map("".join)
VALUES = st.one_of(
    st.none(),
    st.text(st.sampled_from(list("aZ <>&\"'*_`[](){}%#\n\\/:.é😀-=")), max_size=20),
    st.sampled_from(["Ana", "</p><script>x</script>", "[x](http://e.org)", "https://e.org/a?b=1&c=2", "javascript:x"]),
)
CONTEXTS = st.fixed_dictionaries(dict.fromkeys(FIELDS, VALUES))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(BODIES, st.lists(CONTEXTS, min_size=1, max_size=3))
def test_a_batch_gives_each_member_what_writing_for_them_alone_gives(
    body: str, contexts: list[Mapping[str, str | None]]
) -> None:
    subject = "Re {{ first_name or 'you' }}{% if circle_name %} {{ circle_name }}{% endif %}"
    together = compile_email(subject, body, layout=BRAND)
    alone = compile_email(subject, body, layout=BRAND, shared=False)
    for context in contexts:
        assert render_email(together, {**WAYS, **context}) == render_email(alone, {**WAYS, **context})


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_what_a_member_wrote_is_shown_as_they_wrote_it(value: str) -> None:
    email = compile_email("Re: {{ first_name or 'x' }}", "Hi **{{ first_name or 'x' }}**, _so_", layout=BRAND)
    _, text, html = shown(email, first_name=value)
    plain = shown(email, first_name="Ana")
    kept = email_source.clean(value) or "x"
    page = Reader(html)
    assert [t for t in page.tags if t != "br"] == [t for t in Reader(plain[2]).tags if t != "br"]
    assert page.links == Reader(plain[2]).links
    assert f"Hi {kept}, so".split() == page.text[page.text.index("Hi ") : page.text.index(", so") + 4].split()
    assert f"Hi {kept}, so\n\n" in text


def test_most_bodies_of_the_kind_that_people_write_are_shared() -> None:
    for body in (STORY, "Hi {{ first_name or 'there' }}!{% if circle_name %} From {{ circle_name }}.{% endif %}"):
        assert compiled(body).shared
    assert shown(compiled(STORY), **EXAMPLES)[2]


# The layout ------------------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_words_are_readable_in_light_and_in_dark() -> None:
    html = shown(compiled("Hi [x](https://x.example)"))[2]
    colour = {
        name: re.search(rf'class="{name}"[^>]*?(?<![-])color: (#\w+)', html)[1]  # type: ignore[index]
        for name in ("card", "foot", "name")
    }
    link = re.search(r"<a [^>]*?[^-]color: (#\w+)", html)[1]  # type: ignore[index]
    for text, back in [(colour["card"], "#fffdfa"), (colour["foot"], "#f6f0e8"), (colour["name"], "#f6f0e8"),
                       (link, "#fffdfa"), (link, "#f6f0e8")]:  # fmt: skip
        assert contrast(text, back) >= 4.5
    assert "background-color: #fffdfa" in html
    assert "background-color: #f6f0e8" in html
    dark = html.split("prefers-color-scheme: dark")[1].split("@media")[0]
    for text, back in [("#f3ece4", "#2a2521"), ("#f2b48c", "#2a2521"), ("#f2b48c", "#1e1b18"), ("#c9bdb0", "#1e1b18")]:
        assert text in dark
        assert back in dark
        assert contrast(text, back) >= 4.5


def test_the_layout_is_narrow_has_no_pictures_and_asks_for_nothing_from_elsewhere() -> None:
    html = shown(compiled("Hi"))[2]
    page = Reader(html)
    assert "max-width: 600px" in html
    assert not re.search(r"[^-]width: [1-9]\d{2,}px", html)
    assert not {"img", "script", "link", "iframe", "video", "form"} & set(page.tags)
    assert "url(" not in html
    assert page.links == list(WAYS.values())
    assert 'name="color-scheme" content="light dark"' in html
    assert 'name="viewport"' in html
    assert html.count("<table") == html.count('role="presentation"')
    assert len(html.encode()) < 20_000  # long mails are cut off by some mail programmes

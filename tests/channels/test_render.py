"""Merge fields: what is found wrong before sending, what may not be written, and whose words are only ever values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.channels.render import (
    EXAMPLES,
    FIELDS,
    MissingValue,
    TemplateInvalid,
    check,
    compile_text,
    render_text,
)
from service.errors import Invalid


@pytest.mark.parametrize(
    "source",
    [
        "Hi {{ first_name }}",
        'Hi {{ first_name or "friend" }}',
        'Hi {{ first_name | fallback("friend") }}',
        'Hi {{ first_name | default("friend") | upper }}',
        "{% if session_place %}At {{ session_place }}{% elif circle_name %}{{ circle_name }}{% else %}Soon{% endif %}",
        "{% if session_place is defined and not circle_name %}x{% endif %}",
        "{{ first_name ~ ' and ' ~ coordinator_name }}",
        "{{ 'you' if first_name == 'Ana' else 'they' }}",
        '{% set who = first_name or "friend" %}Hi {{ who }}, {{ who }}!',
        '{% macro hi(who) %}Hi {{ who }}{% endmacro %}{{ hi(first_name or "friend") }}',
        "{% for n in ['one', 'two'] %}{{ n }}, {{ first_name }}{% endfor %}",
        "{# a note #}{% raw %}{{ not read }}{% endraw %}",
        "1 very hard … 5 good { } %",
        "",
    ],
)
def test_what_may_be_written(source: str) -> None:
    assert check(source) == []
    compile_text(source)


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("Hi\n{{ first_nam }}", 2, "“first_nam” is not a field that we know. Did you mean “first_name”?"),
        ("{{ sessionday }}", 1, "Did you mean “session_day”?"),
        ("{{ qqq }}", 1, "Known fields: circle_name"),
        ("a\nb\n{% if first_name %}", 3, "cannot be read"),
        ("{{ first_name }", 1, "cannot be read"),
        ("{{ first_name.upper() }}", 1, "the dot"),
        ("{{ first_name.__class__.__mro__ }}", 1, "the dot"),
        ("{{ first_name['x'] }}", 1, "the brackets"),
        ("{{ range(9) }}", 1, "may not call"),
        ("{{ first_name() }}", 1, "may not call"),
        ("{% import 'x' as x %}", 1, "importing"),
        ("{% include 'x' %}", 1, "including"),
        ("{% extends 'x' %}", 1, "extending"),
        ("{% block x %}{% endblock %}", 1, "blocks"),
        ("{% for n in first_name %}{% endfor %}", 1, "written out"),
        ("{% for n in ['a'] %}{% for m in ['b'] %}{% endfor %}{% endfor %}", 1, "no other loop"),
        ("{% for n in [" + "'a'," * 51 + "] %}{% endfor %}", 1, "written out"),
        ("{% macro m() %}{{ m() }}{% endmacro %}", 1, "may not call or hold another"),
        ("{{ 9 ** 9 }}", 1, "pow"),
        ("{{ 'a' * 999999999 }}", 1, "mul"),
        ("{{ first_name | safe }}", 1, "no filter “safe”"),
        ("{{ first_name is mapping }}", 1, "no test “mapping”"),
        ("{{ 'x' if first_name }}", 1, "what comes otherwise"),
        ("{{ first_name | fallback }}", 1, "cannot be rendered"),
        ("{{ first_name | upper(3) }}", 1, "cannot be rendered"),
        ("{{ first_name < 3 }}", 1, "cannot be rendered"),
        ('{{ "\\x02" }}', 1, "control character"),
        ("{{" + "(" * 5000 + "}}", 1, "nested"),
        ("x" * 100_001, 1, "the most"),
    ],
)
def test_what_is_named_before_anything_is_sent(source: str, line: int, words: str) -> None:
    problems = check(source)
    assert problems
    assert problems[0].line == line
    assert any(words in p.message for p in problems)
    with pytest.raises(TemplateInvalid) as caught:
        render_text(source, EXAMPLES)
    assert caught.value.problems == problems


def test_every_problem_is_named_at_once_with_the_nearest_field() -> None:
    problems = check("{{ frist_name }}\n{{ circel_name }}\n{{ first_name | nope }}")
    assert [(p.line, p.field, p.suggestion) for p in problems] == [
        (1, "frist_name", "first_name"),
        (2, "circel_name", "circle_name"),
        (3, None, None),
    ]


def test_a_field_of_another_kind_of_message_is_a_problem_too() -> None:
    (problem,) = check("{{ story_title }}", available={"first_name", "org_name"})
    assert "not available in this kind of message" in problem.message


@pytest.mark.parametrize("value", [None, ""])
def test_a_value_that_is_missing_is_named_unless_there_is_a_fallback(value: str | None) -> None:
    context = {"first_name": value, "circle_name": "Tuesdays"}
    assert render_text('{{ first_name or "friend" }}', context) == "friend"
    assert render_text('{{ first_name | fallback("friend") }}', context) == "friend"
    assert render_text('{{ first_name | default("friend") }}', {}) == "friend"
    assert render_text("{% if first_name %}Hi{% else %}Hello{% endif %}", context) == "Hello"
    assert render_text("{% if first_name == 'Ana' %}Hi{% else %}Hello{% endif %}", context) == "Hello"
    for source in ("{{ first_name }}", "{{ first_name | upper }}", "{{ 'Hi ' ~ first_name }}"):
        with pytest.raises(MissingValue) as caught:
            render_text(source, context)
        assert caught.value.name == "first_name"
        assert isinstance(caught.value, Invalid)
        assert 'first_name or "…"' in caught.value.message


def test_a_line_with_only_a_tag_leaves_no_empty_line_in_a_text() -> None:
    source = "Hi\n  {% if circle_name %}\nSee you in {{ circle_name }}\n  {% endif %}\nBye"
    assert render_text(source, {"circle_name": "Oak"}) == "Hi\nSee you in Oak\nBye"
    assert render_text(source, {}) == "Hi\nBye"


@given(st.text())
def test_what_a_member_wrote_is_never_a_template(value: str) -> None:
    for hostile in (f"!{value}", f"{{{{ {value} }}}}", f"{{% if {value} %}}", f"{{# {value} #}}"):
        assert render_text("<{{ first_name }}>", {"first_name": hostile}) == f"<{hostile}>"


@given(st.lists(st.sampled_from([*"{}%# \n|.'\"()[]~", "{{", "}}", "{%", "%}", "if ", "or ", *FIELDS])).map("".join))
def test_a_source_is_either_named_as_wrong_or_renders(source: str) -> None:
    if check(source):
        with pytest.raises(TemplateInvalid):
            render_text(source, EXAMPLES)
    else:
        render_text(source, EXAMPLES)


def test_every_field_says_what_it_is() -> None:
    assert all(f.description and f.example for f in FIELDS.values())
    assert {"first_name", "circle_name", "session_day", "story_body", "preferences_url"} <= set(FIELDS)

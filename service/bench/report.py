"""The figures as a table for the terminal, as Markdown for docs/performance.md, and as the plot beside it."""

from collections.abc import Sequence
from pathlib import Path

from service.bench.figures import Figure, Plan
from service.bench.plot import growth_svg
from service.bench.run import Run

HEAD = ("row", "database", "measured", "value", "ceiling of the same run", "ratio", "goal", "")
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
PICTURE = "pictures/growth.svg"


def table(figures: Sequence[Figure]) -> str:
    """Lines of equal width, one for each figure."""
    lines = [HEAD, *(_cells(figure) for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown(run: Run) -> str:
    """What stands between the marks in docs/performance.md."""
    where = run.machine
    parts = [
        f"Measured on {where['date']}: {where['cores']} cores ({where['machine']}), {where['system']}, "
        f"Python {where['python']}.",
        "\n".join(["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|", *map(_line, run.figures)]),
        *_notes(run.figures),
    ]
    if run.points:
        parts += [f"![Cost by number of recipients]({PICTURE})"]
    parts += [_plan(plan) for plan in run.plans]
    return "\n\n".join(parts)


def write(run: Run, page: Path) -> None:
    """Put the figures between the marks of `page`, and the plot beside it. Raises ValueError without the marks."""
    text = page.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} has no {BEGIN} and {END}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{markdown(run)}\n{END}{after}", "utf-8")
    if run.points:
        picture = page.parent / PICTURE
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(growth_svg(run.points), "utf-8")


def number(value: float) -> str:
    """A value with as many digits as mean something."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:,.{digits}f}"


def _cells(figure: Figure) -> tuple[str, ...]:
    ceiling = "" if figure.ceiling is None else f"{number(figure.ceiling)} ({figure.beside})"
    ratio = "" if figure.ratio is None else f"{100 * figure.ratio:.0f}%"
    sign = "≥" if figure.at_least else "≤"
    goal = "" if figure.goal is None else f"{sign} {number(figure.goal)}"
    met = {None: "", True: "met", False: "missed"}[figure.met]
    value = f"{number(figure.value)} {figure.unit}"
    return (figure.row, figure.database, figure.what, value, ceiling, ratio, goal, met)


def _line(figure: Figure) -> str:
    return "| " + " | ".join(_cells(figure)) + " |"


def _notes(figures: Sequence[Figure]) -> list[str]:
    noted = [f"- {f.row}, {f.database}, {f.what}: {f.note}" for f in figures if f.note]
    return ["Beside these figures:\n\n" + "\n".join(noted)] if noted else []


def _plan(plan: Plan) -> str:
    heading = f"**{plan.database}, {plan.rows:,} deliveries, `{plan.statement}`**"
    return "\n".join([heading, "", "```", *plan.lines, "```"])

"""The plot of cost by number of recipients, drawn as plain SVG: two panels, one line for each database."""

from collections.abc import Callable, Sequence
from math import ceil, floor, log10

from service.bench.figures import Point

WIDTH, HEIGHT = 790, 650
LEFT, RIGHT, TOP, PANEL, GAP = 86, 736, 64, 220, 84
COLOURS = {"sqlite": "#b5472f", "postgresql": "#2f6f8f"}
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_INK, _FAINT = "#3b332e", "#ddd3ca"

Value = Callable[[Point], float]


def growth_svg(points: Sequence[Point]) -> str:
    """The whole picture: seconds on logarithmic axes, where a straight line means proportion, and memory from 0 up."""
    panels: list[tuple[str, Value, str]] = [
        ("Seconds for a whole campaign: the freeze (dashed) and the sending by one worker", lambda p: p.send_seconds,
         "s"),
        ("Megabytes that the sending worker holds at most", lambda p: p.worker_memory / 1e6, "MB"),
    ]  # fmt: skip
    body = [_legend(points)]
    for at, (title, value, unit) in enumerate(panels):
        top = TOP + at * (PANEL + GAP)
        more: list[Value] = [lambda p: p.freeze_seconds] if at == 0 else []
        body.append(_panel(points, top, title, [value, *more], unit, from_zero=at == 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13" fill="{_INK}">'
        "<title>Cost of a campaign by number of recipients</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fdfaf6"/>' + "".join(body) + "</svg>\n"
    )


def _panel(
    points: Sequence[Point], top: int, title: str, values: Sequence[Value], unit: str, *, from_zero: bool
) -> str:
    shown = [(p, [v(p) for v in values]) for p in points]
    known = [v for _, all_ in shown for v in all_ if v > 0]
    if not known:
        return ""
    x_low, x_high = floor(log10(min(p.recipients for p in points))), ceil(log10(max(p.recipients for p in points)))
    x_high = max(x_high, x_low + 1)
    marks = _tens(known) if from_zero else _powers(known)

    def x(value: float) -> float:
        return LEFT + (log10(value) - x_low) / (x_high - x_low) * (RIGHT - LEFT)

    def y(value: float) -> float:
        share = value / marks[-1] if from_zero else log10(value / marks[0]) / log10(marks[-1] / marks[0])
        return top + PANEL - share * PANEL

    parts = [f'<text x="{LEFT}" y="{top - 14}" font-weight="600">{title}</text>']
    for power in range(x_low, x_high + 1):
        parts.append(_rule(x(10.0**power), top, x(10.0**power), top + PANEL))
        parts.append(_label(x(10.0**power), top + PANEL + 20, f"{10**power:,}", "middle"))
    for mark in marks:
        parts.append(_rule(LEFT, y(mark), RIGHT, y(mark)))
        parts.append(_label(LEFT - 8, y(mark) + 4, f"{mark:g} {unit}", "end"))
    for database, colour in COLOURS.items():
        for which in range(len(values)):
            line = [(x(p.recipients), y(v[which])) for p, v in shown if p.database == database and v[which] > 0]
            parts.append(_line(line, colour, dashed=which == 1))
    parts.append(_label((LEFT + RIGHT) / 2, top + PANEL + 40, "recipients", "middle"))
    return "".join(parts)


def _powers(values: Sequence[float]) -> list[float]:
    """Powers of ten around `values`: at least two."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _tens(values: Sequence[float]) -> list[float]:
    """0 and up to eight even marks that reach beyond the largest of `values`."""
    step = 10.0 ** floor(log10(max(values)))
    step = step / 4 if max(values) < 2 * step else step
    return [step * mark for mark in range(ceil(max(values) / step) + 1)]


def _legend(points: Sequence[Point]) -> str:
    parts, at = [], LEFT
    for database, colour in COLOURS.items():
        if any(p.database == database for p in points):
            parts.append(f'<circle cx="{at + 6}" cy="20" r="6" fill="{colour}"/>')
            parts.append(_label(at + 18, 25, NAMES[database], "start"))
            at += 120
    return "".join(parts)


def _line(line: Sequence[tuple[float, float]], colour: str, *, dashed: bool) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
    dash = ' stroke-dasharray="6 5"' if dashed else ""
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in line)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>{dots}' if line else ""


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_FAINT}"/>'


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'

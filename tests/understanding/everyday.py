"""Ordinary messages, none of them risky: what members mostly write. `HELD` files are for measuring only."""

from tests.understanding.corpora import FOLDER

HELD = (2, 40, *range(150, 159), 164, 165, 166)
TUNED = tuple(sorted({int(path.stem.removeprefix("plain_")) for path in FOLDER.glob("plain_*.txt")} - {*HELD}))


def everyday(number: int) -> list[str]:
    """The lines of `plain_<number>.txt`, each once."""
    rows = (FOLDER / f"plain_{number}.txt").read_text(encoding="utf-8").splitlines()
    return [row for row in dict.fromkeys(row.strip() for row in rows) if row]

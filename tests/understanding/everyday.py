"""Ordinary messages, none of them risky: what members mostly write. Files 2, 17 and 30 are held out."""

from tests.understanding.corpora import FOLDER

TUNED, HELD = (1, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 18, 21, 22, 23, 24, 25, 26, 27, 28, 29), (2, 17, 30)


def everyday(number: int) -> list[str]:
    """The lines of `plain_<number>.txt`, each once."""
    rows = (FOLDER / f"plain_{number}.txt").read_text(encoding="utf-8").splitlines()
    return [row for row in dict.fromkeys(row.strip() for row in rows) if row]

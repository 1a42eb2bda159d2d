"""Ordinary messages, none of them risky: what members mostly write. File 1 is tuned on, file 2 is held out."""

from tests.understanding.corpora import FOLDER


def everyday(number: int) -> list[str]:
    """The lines of `plain_<number>.txt`, each once."""
    rows = (FOLDER / f"plain_{number}.txt").read_text(encoding="utf-8").splitlines()
    return [row for row in dict.fromkeys(row.strip() for row in rows) if row]

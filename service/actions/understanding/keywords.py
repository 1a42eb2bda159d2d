"""Commands a member can text. Rule of conversation 10: the whole message, or the word and an argument that is known."""

from service.actions.understanding.lexicon import lexicon
from service.actions.understanding.normalise import Text


def read_keyword(text: Text) -> tuple[str | None, str | None]:
    """The keyword in its English spelling and its argument, if it has one: `TOOL anxiety` gives ("TOOL", "anxiety")."""
    words = text.words.strip(" .,?").replace(" ,", "").replace(" .", "").split()
    if not words or len(words) > 5:
        return None, None
    commands: dict[str, dict[str, list[str]]] = lexicon().spelling["commands"]
    for keyword, table in commands.items():
        for name in table["names"]:
            spelled = name.split()
            if words[: len(spelled)] != spelled:
                continue
            rest = _bare(words[len(spelled) :])
            if not rest:
                return keyword, None
            argument = _argument(rest, table.get("takes", []))
            if argument:
                return keyword, argument
    return None, None


def _bare(words: list[str]) -> list[str]:
    polite = set(lexicon().spelling["polite"])
    return [word for word in words if word not in polite]


def _argument(words: list[str], takes: list[str]) -> str | None:
    said = " ".join(words)
    if said in takes:
        return said
    if "DIGITS" in takes and said.isdigit() and len(said) == 3:
        return said
    return said if "PLACE" in takes and len(words) <= 3 and all(w.isalpha() or w.isdigit() for w in words) else None

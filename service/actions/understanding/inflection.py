"""Bends verbs by rule, so that the data files name a verb once. Irregular verbs are listed here."""

IRREGULAR = {
    "be": "am is are was were been being",
    "bleed": "bleeds bled bleeding",
    "break": "breaks broke broken breaking",
    "bring": "brings brought bringing",
    "burn": "burns burned burnt burning",
    "buy": "buys bought buying",
    "choose": "chooses chose chosen choosing",
    "come": "comes came coming",
    "cut": "cuts cutting",
    "die": "dies died dying",
    "do": "does did done doing",
    "drink": "drinks drank drunk drinking",
    "drive": "drives drove driven driving",
    "feel": "feels felt feeling",
    "find": "finds found finding",
    "get": "gets got gotten getting",
    "give": "gives gave given giving",
    "go": "goes went gone going",
    "hang": "hangs hung hanged hanging",
    "have": "has had having",
    "hit": "hits hitting",
    "hurt": "hurts hurting",
    "keep": "keeps kept keeping",
    "leave": "leaves left leaving",
    "lose": "loses lost losing",
    "make": "makes made making",
    "od": "ods oded oding",
    "put": "puts putting",
    "quit": "quits quitting",
    "say": "says said saying",
    "see": "sees saw seen seeing",
    "send": "sends sent sending",
    "shoot": "shoots shot shooting",
    "sleep": "sleeps slept sleeping",
    "slit": "slits slitting",
    "take": "takes took taken taking",
    "tell": "tells told telling",
    "think": "thinks thought thinking",
    "throw": "throws threw thrown throwing",
    "write": "writes wrote written writing",
}
DOUBLING = {
    "stop",
    "slip",
    "stab",
    "plan",
    "rob",
    "drop",
    "grab",
    "beg",
    "unsub",
    "chop",
    "slap",
    "wrap",
    "rip",
    "trap",
}
VOWELS = "aeiou"


def english(verb: str) -> list[str]:
    """The base, third person, past, participle and -ing form, without doubles."""
    if verb in IRREGULAR:
        return [verb, *IRREGULAR[verb].split()]
    third = verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z")) else "s")
    if verb.endswith("e"):
        return [verb, third, verb + "d", verb[:-1] + "ing"]
    if verb.endswith("y") and verb[-2] not in VOWELS:
        return [verb, verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"]
    stem = verb + verb[-1] if verb in DOUBLING else verb
    return [verb, third, stem + "ed", stem + "ing"]


REGULAR_ENDINGS = {
    "ar": "o as a amos ais an e aste o asteis aron aba abas abamos aban are aras ara aremos aran aria arias arian "
    "es emos en ado ada ando ad ase ara aran aras",
    "er": "o es e emos eis en i iste io ieron ia ias iamos ian ere eras era eremos eran eria erian a as amos an "
    "ido ida iendo ed iera ieran",
    "ir": "o es e imos is en i iste io ieron ia ias iamos ian ire iras ira iremos iran iria irian a as amos an "
    "ido ida iendo id iera ieran",
}
STEMS = {
    "morir": "muer mur mor",
    "dormir": "duerm durm dorm",
    "poder": "pued pud pod",
    "querer": "quier quis quer",
    "ahorcar": "ahorc ahorqu",
    "colgar": "cuelg colg colgu cuelgu",
    "pegar": "peg pegu",
    "cortar": "cort",
    "golpear": "golpe",
    "dar": "d",
    "ahogar": "ahog ahogu",
    "seguir": "sig sigu segu",
    "sentir": "sient sint sent",
    "acabar": "acab",
    "desaparecer": "desaparec desaparezc",
    "rendir": "rind rend",
    "borrar": "borr",
    "cancelar": "cancel",
    "suscribir": "suscrib",
    "tirar": "tir",
    "despertar": "despiert despert",
    "contar": "cuent cont",
    "perder": "pierd perd",
    "volar": "vuel vol",
    "apagar": "apag apagu",
    "fregar": "freg fregu",
    "arrancar": "arranc arranqu",
    "tocar": "toc toqu",
    "amenazar": "amenaz amenac",
    "lanzar": "lanz lanc",
    "pausar": "paus",
}
CLITICS = "me te se lo la los las le les nos melo selo telo noslo melos selas".split()


def spanish(verb: str) -> list[str]:
    """Forms of a regular verb (accents folded), each infinitive, gerund and command also with its pronouns sewn on."""
    stem, ending = verb[:-2], verb[-2:]
    stems = STEMS.get(verb, stem).split()
    found = {verb}
    found.update(one + end for one in stems for end in REGULAR_ENDINGS[ending].split())
    found.update(f"{stem}{end}" for end in REGULAR_ENDINGS[ending].split() if end.startswith(ending[0] + "r"))
    gerund = "ando" if ending == "ar" else "iendo"
    command = ("e", "en", "a") if ending == "ar" else ("a", "an", "e")
    bases = {
        verb,
        *(one + gerund for one in stems),
        *(one + end for one in stems for end in command),
    }
    found.update(base + clitic for base in bases for clitic in CLITICS)
    return sorted(found)

"""Language codes as other systems write them: ISO 639-3 with an ISO 15924 script, ``deu-Latn``.

Ours are as the data uses them, mostly ISO 639-1. Both directions are tables, from the code alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.scripts import UNKNOWN, primary, script_of

# ISO 639-1 to ISO 639-3, as the registration authority pairs them (SIL, iso-639-3.tab).
_PAIRS = """
aa aar ab abk ae ave af afr ak aka am amh an arg ar ara as asm av ava ay aym az aze ba bak be bel
bg bul bi bis bm bam bn ben bo bod br bre bs bos ca cat ce che ch cha co cos cr cre cs ces cu chu
cv chv cy cym da dan de deu dv div dz dzo ee ewe el ell en eng eo epo es spa et est eu eus fa fas
ff ful fi fin fj fij fo fao fr fra fy fry ga gle gd gla gl glg gn grn gu guj gv glv ha hau he heb
hi hin ho hmo hr hrv ht hat hu hun hy hye hz her ia ina id ind ie ile ig ibo ii iii ik ipk io ido
is isl it ita iu iku ja jpn jv jav ka kat kg kon ki kik kj kua kk kaz kl kal km khm kn kan ko kor
kr kau ks kas ku kur kv kom kw cor ky kir la lat lb ltz lg lug li lim ln lin lo lao lt lit lu lub
lv lav mg mlg mh mah mi mri mk mkd ml mal mn mon mr mar ms msa mt mlt my mya na nau nb nob nd nde
ne nep ng ndo nl nld nn nno no nor nr nbl nv nav ny nya oc oci oj oji om orm or ori os oss pa pan
pi pli pl pol ps pus pt por qu que rm roh rn run ro ron ru rus rw kin sa san sc srd sd snd se sme
sg sag sh hbs si sin sk slk sl slv sm smo sn sna so som sq sqi sr srp ss ssw st sot su sun sv swe
sw swa ta tam te tel tg tgk th tha ti tir tk tuk tl tgl tn tsn to ton tr tur ts tso tt tat tw twi
ty tah ug uig uk ukr ur urd uz uzb ve ven vi vie vo vol wa wln wo wol xh xho yi yid yo yor za zha
zh zho zu zul
""".split()
_ALPHA_3: Mapping[str, str] = dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True))
_ALPHA_1: Mapping[str, str] = {long: short for short, long in _ALPHA_3.items()}

# Members by which collections name a whole macrolanguage of ISO 639-3.
_MACRO: Mapping[str, str] = {
    "als": "sq", "arb": "ar", "azj": "az", "cmn": "zh", "ekk": "et", "gaz": "om", "khk": "mn",
    "kmr": "ku", "lvs": "lv", "npi": "ne", "ory": "or", "pbt": "ps", "pes": "fa", "plt": "mg",
    "swh": "sw", "uzn": "uz", "ydd": "yi", "zsm": "ms",
}  # fmt: skip

# Our names of scripts (harness.scripts) to ISO 15924.
_SCRIPTS: Mapping[str, str] = {
    "Arabic": "Arab", "Armenian": "Armn", "Bengali": "Beng", "Canadian syllabics": "Cans",
    "Cyrillic": "Cyrl", "Devanagari": "Deva", "Ethiopic": "Ethi", "Georgian": "Geor",
    "Greek": "Grek", "Gujarati": "Gujr", "Gurmukhi": "Guru", "Han": "Hans", "Hangul": "Kore",
    "Hebrew": "Hebr", "Japanese": "Jpan", "Kannada": "Knda", "Khmer": "Khmr", "Lao": "Laoo",
    "Latin": "Latn", "Malayalam": "Mlym", "Myanmar": "Mymr", "N'Ko": "Nkoo", "Odia": "Orya",
    "Ol Chiki": "Olck", "Sinhala": "Sinh", "Tamil": "Taml", "Telugu": "Telu", "Thaana": "Thaa",
    "Thai": "Thai", "Tibetan": "Tibt", "Tifinagh": "Tfng", "Yi": "Yiii",
}  # fmt: skip

# Hangul alone, and hangul with hanja: collections name Korean's script either way.
_HANGUL = {"Hang", "Kore"}


def with_script(language: str) -> str:
    """``deu-Latn`` of ``de``, ``zho-Hant`` of ``zh-Hant``; a script that is not known is ``Zyyy``.

    A code that is no ISO 639-1 code is taken to be ISO 639-3 already.
    """
    subtags = language.replace("_", "-").split("-")[1:]
    written = next((x.title() for x in subtags if len(x) == 4 and x.isalpha()), None)
    script = script_of(language)
    if written is None:
        written = "Zyyy" if script == UNKNOWN else _SCRIPTS.get(script, "Zyyy")
    return f"{_ALPHA_3.get(primary(language), primary(language))}-{written}"


def short(language: str) -> str:
    """``de`` of ``deu-Latn``, ``zh`` of ``cmn-Hans``; what has no ISO 639-1 code keeps its own.

    A script that is not the one of the short code stays: ``hi-Latn`` of ``hin-Latn``.
    """
    code = primary(language)
    found = _MACRO.get(code) or _ALPHA_1.get(code, code)
    script = language.replace("_", "-").partition("-")[2].split("-")[0].title()
    usual = with_script(found).partition("-")[2]
    if len(script) != 4 or usual in (script, "Zyyy") or {usual, script} <= _HANGUL:
        return found
    return f"{found}-{script}"

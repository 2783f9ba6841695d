"""Language codes: which exist, how other systems write them, and the scripts of the languages.

Codes are those of the data, mostly ISO 639-1. Other systems write ISO 639-3 with an ISO 15924
script, ``deu-Latn``; tables convert in both directions.

The script is the one in which public multilingual text collections mostly write the language; a
script subtag (``sr-Latn``, ``zh-Hant``) takes precedence. Traditional and simplified Chinese are
one script here; Japanese and Korean each have their own, though Japanese shares characters with
Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# ISO 639-1, then the ISO 639-3 codes that public multilingual text collections use.
_ISO_639 = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da
de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz
ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln
lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi
pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th
ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
ace acm acq aeb ajp als amh apc arb arq ars ary arz asm ast awa ayr azb azj bam ban bel bem ben
bho bjn bod bos brx bug bul cat ceb ces ckb cmn crh cym dan deu dik dyu dzo ekk ell eng epo est
eus ewe fao fas fij fil fin fon fra fur fuv gaz gla gle glg gom grn gsw guj hat hau heb hin hne
hrv hsb hun hye ibo ilo ind isl ita jav jpn kab kac kam kan kas kat kaz kbp kea khk khm kik kin
kir kmb kmr knc kon kor lao lat lij lim lin lit lmo ltg ltz lua lug luo lus lvs mag mai mal mar
min mkd mlt mni mos mri msa mya nds nld nno nob npi nqo nso nus nya oci ory pag pan pap pbt pcm
pes plt pol por prs quy ron run rus sag san sat scn shn sin slk slv smo sna snd som sot spa srd
srp ssw sun swa swe swh szl tam taq tat tel tgk tgl tha tir tpi tsn tso tuk tum tur twi tzm uig
ukr umb urd uzn vec vie war wol wuu xho ydd yor yue zgh zho zsm zul
"""
LANGUAGES = frozenset(_ISO_639.split())
_LANGUAGE = re.compile(r"([a-z]{2,3})(-[A-Z][a-z]{3})?(-(?:[A-Z]{2}|[0-9]{3}))?")
# ISO 639-2 reserves qaa to qtz for local use: any language can take one of them.
_LOCAL_USE = re.compile(r"q[a-t][a-z]")


def is_language(code: str) -> bool:
    """Whether ``code`` is an ISO 639 code, optionally with script and region: ``zh-Hant-TW``."""
    parts = _LANGUAGE.fullmatch(code)
    return parts is not None and (
        parts[1] in LANGUAGES or _LOCAL_USE.fullmatch(parts[1]) is not None
    )


UNKNOWN = "unknown"

_WRITTEN_IN = {
    "Arabic": """ar fa ks ps sd ug ur acm acq aeb ajp apc arb arq ars ary arz azb ckb fas kas pbt
        pes prs snd uig urd""",
    "Armenian": "hy hye",
    "Bengali": "as bn asm ben mni",
    "Canadian syllabics": "cr iu oj",
    "Cyrillic": """ab av ba be bg ce cu cv kk kv ky mk mn os ru sr tg tt uk bel bul kaz khk kir mkd
        rus srp tat tgk ukr""",
    "Devanagari": "bh hi mr ne sa awa bho brx gom hin hne mag mai mar npi san",
    "Ethiopic": "am ti amh tir",
    "Georgian": "ka kat",
    "Greek": "el ell",
    "Gujarati": "gu guj",
    "Gurmukhi": "pa pan",
    "Han": "zh cmn wuu yue zho",
    "Hangul": "ko kor",
    "Hebrew": "he yi heb ydd",
    "Japanese": "ja jpn",
    "Kannada": "kn kan",
    "Khmer": "km khm",
    "Lao": "lo lao",
    "Latin": """aa ae af ak an ay az bi bm br bs ca ch co cs cy da de ee en eo es et eu ff fi fj fo
        fr fy ga gd gl gn gv ha ho hr ht hu hz ia id ie ig ik io is it jv kg ki kj kl kr ku kw la lb
        lg li ln lt lu lv mg mh mi ms mt na nb nd ng nl nn no nr nv ny oc om pi pl pt qu rm rn ro rw
        sc se sg sh sk sl sm sn so sq ss st su sv sw tk tl tn to tr ts tw ty uz ve vi vo wa wo xh yo
        za zu ace als ast ayr azj bam ban bem bjn bos bug cat ceb ces crh cym dan deu dik dyu ekk
        eng epo est eus ewe fao fij fil fin fon fra fur fuv gaz gla gle glg grn gsw hat hau hrv hsb
        hun ibo ilo ind isl ita jav kab kac kam kbp kea kik kin kmb kmr knc kon lat lij lim lin lit
        lmo ltg ltz lua lug luo lus lvs min mlt mos mri msa nds nld nno nob nso nus nya oci pag pap
        pcm plt pol por quy ron run sag scn slk slv smo sna som sot spa srd ssw sun swa swe swh szl
        taq tgl tpi tsn tso tuk tum tur twi umb uzn vec vie war wol xho yor zsm zul""",
    "Malayalam": "ml mal",
    "Myanmar": "my mya shn",
    "N'Ko": "nqo",
    "Odia": "or ory",
    "Ol Chiki": "sat",
    "Sinhala": "si sin",
    "Tamil": "ta tam",
    "Telugu": "te tel",
    "Thaana": "dv",
    "Thai": "th tha",
    "Tibetan": "bo dz bod dzo",
    "Tifinagh": "tzm zgh",
    "Yi": "ii",
}
_BY_LANGUAGE: Mapping[str, str] = {
    code: script for script, codes in _WRITTEN_IN.items() for code in codes.split()
}

# ISO 15924, for codes with a script subtag; a subtag that is not listed is its own name.
_BY_SUBTAG: Mapping[str, str] = {
    "Arab": "Arabic", "Aran": "Arabic", "Armn": "Armenian", "Beng": "Bengali",
    "Cans": "Canadian syllabics", "Cyrl": "Cyrillic", "Deva": "Devanagari", "Ethi": "Ethiopic",
    "Geor": "Georgian", "Grek": "Greek", "Gujr": "Gujarati", "Guru": "Gurmukhi", "Hang": "Hangul",
    "Hani": "Han", "Hans": "Han", "Hant": "Han", "Hebr": "Hebrew", "Jpan": "Japanese",
    "Khmr": "Khmer", "Knda": "Kannada", "Kore": "Hangul", "Laoo": "Lao", "Latn": "Latin",
    "Mlym": "Malayalam", "Mymr": "Myanmar", "Nkoo": "N'Ko", "Olck": "Ol Chiki", "Orya": "Odia",
    "Sinh": "Sinhala", "Taml": "Tamil", "Telu": "Telugu", "Tfng": "Tifinagh", "Thaa": "Thaana",
    "Thai": "Thai", "Tibt": "Tibetan", "Yiii": "Yi",
}  # fmt: skip

_WITHOUT_SPACES = frozenset(("zh", "ja", "th", "lo", "km", "my", "yue", "wuu", "bo", "dz"))


def primary_subtag(language: str) -> str:
    """``zh`` of ``zh-Hant-TW``, ``zho`` of ``zho_Hant``."""
    return language.replace("_", "-").partition("-")[0].lower()


def outside(languages: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of ``languages`` that are not in ``known``; ``zh`` covers ``zh-Hant`` too."""
    primaries = {primary_subtag(x) for x in known}
    return [x for x in languages if primary_subtag(x) not in primaries]


def without_spaces(language: str) -> bool:
    """Whether the language is written without spaces between words."""
    return primary_subtag(short_code(language)) in _WITHOUT_SPACES


def _script_subtag(language: str) -> str | None:
    subtags = language.replace("_", "-").split("-")[1:]
    return next((x.title() for x in subtags if len(x) == 4 and x.isalpha()), None)


def script_of(language: str) -> str:
    """The script of ``language``, by name: ``Cyrillic``; :data:`UNKNOWN` if it is not known."""
    written = _script_subtag(language)
    if written is not None:
        return _BY_SUBTAG.get(written, written)
    return _BY_LANGUAGE.get(primary_subtag(language), UNKNOWN)


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


def three_letters(language: str) -> str | None:
    """The code of ISO 639-3 of ``language``, without script or region; ``None`` if it has none."""
    code = primary_subtag(language)
    return code if len(code) == 3 else _ALPHA_3.get(code)


# Member languages by which collections name a whole macrolanguage of ISO 639-3.
_MACRO: Mapping[str, str] = {
    "als": "sq", "arb": "ar", "azj": "az", "cmn": "zh", "ekk": "et", "gaz": "om", "khk": "mn",
    "kmr": "ku", "lvs": "lv", "npi": "ne", "ory": "or", "pbt": "ps", "pes": "fa", "plt": "mg",
    "swh": "sw", "uzn": "uz", "ydd": "yi", "zsm": "ms",
}  # fmt: skip

# Our names of scripts to ISO 15924.
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
    """``deu-Latn`` of ``de``, ``zho-Hant`` of ``zh-Hant``; an unknown script is ``Zyyy``.

    A code that is not in ISO 639-1 is taken to be ISO 639-3 already.
    """
    code = primary_subtag(language)
    script = _script_subtag(language) or _SCRIPTS.get(script_of(language), "Zyyy")
    return f"{_ALPHA_3.get(code, code)}-{script}"


def short_code(language: str) -> str:
    """``de`` of ``deu-Latn``, ``zh`` of ``cmn-Hans``; unchanged without an ISO 639-1 code.

    A script other than that of the short code stays: ``hi-Latn`` of ``hin-Latn``.
    """
    code, script = primary_subtag(language), _script_subtag(language)
    found = _MACRO.get(code) or _ALPHA_1.get(code, code)
    usual = _script_subtag(with_script(found))
    if script is None or usual in (script, "Zyyy") or {usual, script} <= _HANGUL:
        return found
    return f"{found}-{script}"

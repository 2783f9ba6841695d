"""Which codes name a language."""

from __future__ import annotations

import re

# ISO 639-1, then the ISO 639-3 codes that public multilingual text collections use.
_ISO_639 = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da
de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz
ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln
lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi
pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th
ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
ace acm acq aeb ajp als amh apc arb arq ars ary arz asm ast awa ayr azb azj bam ban bel bem ben
bho bjn bod bos brx bug bul cat ceb ces ckb crh cym dan deu dik dyu dzo ell eng epo est eus ewe
fao fas fij fil fin fon fra fur fuv gaz gla gle glg gom grn gsw guj hat hau heb hin hne hrv hsb
hun hye ibo ilo ind isl ita jav jpn kab kac kam kan kas kat kaz kbp kea khk khm kik kin kir kmb
kmr knc kon kor lao lat lij lim lin lit lmo ltg ltz lua lug luo lus lvs mag mai mal mar min mkd
mlt mni mos mri msa mya nds nld nno nob npi nqo nso nus nya oci ory pag pan pap pbt pcm pes plt
pol por prs quy ron run rus sag san sat scn shn sin slk slv smo sna snd som sot spa srd srp ssw
sun swa swe swh szl tam taq tat tel tgk tgl tha tir tpi tsn tso tuk tum tur twi tzm uig ukr umb
urd uzn vec vie war wol wuu xho ydd yor yue zgh zho zsm zul
"""
LANGUAGES = frozenset(_ISO_639.split())
_LANGUAGE = re.compile(r"([a-z]{2,3})(-[A-Z][a-z]{3})?(-(?:[A-Z]{2}|[0-9]{3}))?")
# ISO 639-2 reserves qaa to qtz for local use: any language can be named so.
_LOCAL_USE = re.compile(r"q[a-t][a-z]")


def is_language(code: str) -> bool:
    """Whether ``code`` is an ISO 639 code, with script and region if wanted: ``zh-Hant-TW``."""
    parts = _LANGUAGE.fullmatch(code)
    return parts is not None and (
        parts[1] in LANGUAGES or _LOCAL_USE.fullmatch(parts[1]) is not None
    )

"""Codes of languages as other systems write them."""

from __future__ import annotations

import pytest

from harness.base.languages import (
    is_language,
    outside,
    primary_subtag,
    script_of,
    short_code,
    with_script,
    without_spaces,
)
from harness.data.task import list_tasks


@pytest.mark.parametrize(
    ("ours", "theirs"),
    # As mteb's own multilingual retrieval tasks name these languages (its MIRACLRetrieval).
    [
        ("ar", "ara-Arab"),
        ("bn", "ben-Beng"),
        ("de", "deu-Latn"),
        ("fa", "fas-Arab"),
        ("hi", "hin-Deva"),
        ("ja", "jpn-Jpan"),
        ("ko", "kor-Kore"),
        ("sw", "swa-Latn"),
        ("te", "tel-Telu"),
        ("zh", "zho-Hans"),
        ("zh-Hant", "zho-Hant"),
        ("sr-Latn", "srp-Latn"),
        ("yue", "yue-Hans"),
    ],
)
def test_a_code_gets_three_letters_and_its_script(ours: str, theirs: str) -> None:
    assert with_script(ours) == theirs


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("arb-Arab", "ar"),
        ("cmn-Hans", "zh"),
        ("swh-Latn", "sw"),
        ("ell-Grek", "el"),
        ("yue", "yue"),
        ("hin-Latn", "hi-Latn"),
        ("zho_Hant", "zh-Hant"),
        ("kor-Hang", "ko"),
        ("npi-Deva", "ne"),
        ("pt-BR", "pt"),
    ],
)
def test_three_letters_become_two_where_there_are_two(theirs: str, ours: str) -> None:
    assert short_code(theirs) == ours


@pytest.mark.parametrize("language", ["zh", "zh-Hant", "zh_Hant_TW", "ZH-tw"])
def test_the_primary_subtag_is_before_the_first_hyphen_or_underscore(language: str) -> None:
    assert primary_subtag(language) == "zh"


def test_a_language_stands_for_its_scripts_and_regions() -> None:
    assert outside(["zh-Hant", "de", "pt-BR"], ["zh", "pt_PT"]) == ["de"]
    assert outside(["de"], []) == ["de"]


def test_which_languages_have_no_spaces() -> None:
    assert [x for x in ("zh-Hant", "th", "ko", "vi") if without_spaces(x)] == ["zh-Hant", "th"]
    long = ("cmn", "jpn-Jpan", "kor", "vie")  # the same by codes of three letters
    assert [x for x in long if without_spaces(x)] == ["cmn", "jpn-Jpan"]
    assert is_language("cmn") and script_of("cmn") == "Han"


def test_every_language_of_our_tasks_survives_the_round_trip_and_mteb_knows_it() -> None:
    from mteb.languages import ISO_TO_LANGUAGE, ISO_TO_SCRIPT

    for language in {x for task in list_tasks() for x in task.languages}:
        code = with_script(language)
        assert short_code(code) == language
        name, script = code.split("-")
        assert name in ISO_TO_LANGUAGE and script in ISO_TO_SCRIPT

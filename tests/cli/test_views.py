"""What the terminal shows: widths, colours, and what must never be left unsaid."""

from __future__ import annotations

import html
import io
import re
import warnings
from typing import Any

import pytest
from rich.console import Console

from harness.console import numbers, progress_bars
from harness.console.matrices import heat, print_matrix
from harness.console.terminal import Row, print_measures
from harness.errors import HarnessWarning
from harness.evaluation.record import Record, validate
from harness.evaluation.record_view import print_record

XQUAD = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
MEASURES = ("map", "recall@1", "recall@10", "mrr@10", "ndcg@10", "rank_distance")


def settings_of(languages: tuple[str, ...], pool: int) -> list[dict[str, Any]]:
    pairs = [("mono", x, x) for x in languages]
    pairs += [("cross", x, y) for x in languages for y in languages if x != y]
    pairs += [("multi", x, None) for x in languages]
    return [
        {
            "setting": f"cross/{q}-{p}" if kind == "cross" else f"{kind}/{q}",
            "kind": kind,
            "query_language": q,
            "passage_language": p,
            "queries": 1190,
            "pool": pool if kind == "multi" else pool // len(languages),
            "scores": {
                m: 1234.56 if m == "rank_distance" else 0.75809 if kind == "mono" else 0.5
                for m in MEASURES
                if m != "rank_distance" or kind == "multi"
            },
        }
        for kind, q, p in pairs
    ]


def document(
    languages: tuple[str, ...] = XQUAD, pool: int = 13_014, **entry: Any
) -> dict[str, Any]:
    """A record as a run of XQuAD-R makes it; ``entry`` replaces fields of its task."""
    both = {
        kind: {how: {m: s["scores"][m] for m in s["scores"]} for how in ("macro", "micro")}
        for kind, s in ((s["kind"], s) for s in settings_of(languages, pool))
    }
    return {
        "schema_version": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "command": None,
        "model": {
            "name": "org/model",
            "kind": "dense",
            "similarity": "cosine",
            "fingerprint": "0123456789abcdef" * 4,
            "facts": {},
            "prompts": {"query": "query: ", "passage": ""},
            "languages": None,
            "parameters": 118_000_000,
            "stored": True,
        },
        "options": {"dtype": "float32"},
        "device": "cpu",
        "tasks": [
            {
                "task": "xquad-r",
                "title": "XQuAD-R",
                "task_digest": "0" * 64,
                "data_digest": "0" * 64,
                "revision": None,
                "license": "CC-BY-SA-4.0",
                "text": "sentence",
                "text_default": "sentence",
                "languages": list(languages),
                "kinds": ["mono", "cross", "multi"],
                "partial": {},
                "measures": list(MEASURES),
                "counts": {"questions": 1190, "queries": {}, "passages": {}},
                "dimensions": 384,
                "encoding": {
                    "texts": 26_104,
                    "distinct": 25_952,
                    "from_store": 952,
                    "encoded": 25_000,
                    "model_seconds": 50.0,
                },
                "settings": settings_of(languages, pool),
                "means": both,
                "rank_distance_by_golds": {"11": 1234.56},
                "top_languages": {
                    "depth": 10,
                    "share": {q: {p: 1 / len(languages) for p in languages} for q in languages},
                },
                "intervals": None,
                "seconds": {"data": 0.4, "encode": 51.23, "search": 2.71, "measures": 0.2},
                "peak_bytes": {"encode": 3 * 2**29, "search": 2**29},
                "trec": None,
                "per_query": {"file": "x.parquet", "rows": 1, "sha256": "0" * 64},
                **entry,
            }
        ],
        "environment": {
            "python": "3.11.0",
            "platform": "Linux",
            "processor": "x",
            "cores": 2,
            "packages": {},
        },
    }


def printed(record: dict[str, Any], width: int = 80, *, verbose: bool = False) -> str:
    contents = validate(record, "the record of this test")
    out = io.StringIO()
    plain = Console(file=out, width=width, highlight=False, markup=False, emoji=False)
    print_record(plain, contents, verbose=verbose)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_a_record_of_eleven_languages_fits(width: int) -> None:
    text = printed(document(), width, verbose=True)
    assert max(map(len, text.splitlines())) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in text  # rich's sign that something was cut off
    assert "\x1b" not in text
    # One matrix row and one table row per language, whole: eleven values and six.
    assert re.search(r"^en( 0\.5000){3} 0\.7581( 0\.5000){7}$", text, re.MULTILINE)
    multi = r"^zh +1,190( +0\.5000){5} +1234\.6$"
    assert re.search(multi, text, re.MULTILINE)


def test_a_row_a_kind_with_the_field_s_names_and_digits() -> None:
    text = printed(document())
    head = next(x for x in text.splitlines() if "mAP" in x)
    assert head.split() == ["settings", "queries", "mAP", "R@1", "R@10", "MRR@10", "nDCG@10",
                            "distance"]  # fmt: skip
    # 11 mono, 110 cross and 11 multi settings of 1,190 questions each.
    assert re.search(r"^mono +11 +13,090( +0\.7581){5} +-$", text, re.MULTILINE)
    assert re.search(r"^cross +110 +130,900( +0\.5000){5} +-$", text, re.MULTILINE)
    assert re.search(r"^multi +11 +13,090( +0\.5000){5} +1234\.6$", text, re.MULTILINE)
    assert "micro" not in text


def test_micro_means_show_where_they_differ() -> None:
    record = document()
    record["tasks"][0]["means"]["cross"]["micro"]["map"] = 0.6
    rows = [
        x.split()[0] for x in printed(record).splitlines() if re.match(r"(mono|cross|multi|  )", x)
    ]
    assert rows[-4:] == ["mono", "cross", "micro", "multi"]


def test_rank_distance_is_shown_with_its_best_and_chance_values() -> None:
    # (N + 1)(m - 1) / (m + 1) for XQuAD-R's 11 relevant passages among 13,014 sentences: 10,846.
    assert (
        "Rank distance, 11 relevant passages among 13,014: best 10, chance 10845.8; read with mAP"
        in " ".join(printed(document()).split())
    )
    several = printed(document(rank_distance_by_golds={"2": 3.0, "3": None}))
    assert "  2 relevant passages: 3.0, best 1, chance 4338.3" in several
    assert "  3 relevant passages: -, best 2, chance 6507.5" in several
    assert ", chance" not in printed(document(measures=["map"], rank_distance_by_golds={}))


def intervals(clusters: int = 1190) -> dict[str, Any]:
    def ends(low: float, high: float) -> dict[str, Any]:
        return {"percentile": [0.0, 1.0], "bca": [low, high], "standard_error": 0.01}

    return {
        "method": "cluster bootstrap over question ids",
        "level": 0.95,
        "resamples": 10_000,
        "seed": 1,
        "clusters": clusters,
        "means": {
            "mono": dict.fromkeys(MEASURES[:-1], ends(0.7421, 0.77391)),
            "cross": dict.fromkeys(MEASURES[:-1], ends(0.45, 0.55)),
            "multi": dict.fromkeys(MEASURES, ends(0.4, 0.6))
            | {"rank_distance": ends(1200.04, 1300.06)},
        },
        "languages": {},
    }


@pytest.mark.parametrize("width", [80, 120, 200])
def test_intervals_stand_beside_the_means_or_below_where_there_is_no_room(width: int) -> None:
    text = printed(document(intervals=intervals()), width)
    assert max(map(len, text.splitlines())) <= width
    assert "95% intervals, cluster bootstrap over question ids, 1,190 questions" in text
    if width == 80:
        mean = (
            r"^mAP +0\.7581 +0\.5000 +0\.5000\n"
            r" +\[0\.7421, 0\.7739\]  \[0\.4500, 0\.5500\] +\[0\.4000, 0\.6000\]$"
        )
        assert re.search(mean, text, re.MULTILINE)
    else:
        assert "0.7581 [0.7421, 0.7739]" in text and "1234.6 [1200.0, 1300.1]" in text
    assert "[" not in printed(document())


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        (1190, None),
        (24, "multi mAP is known to about ±0.1000"),
        (1, "One question says nothing about others"),
    ],
)
def test_few_questions_are_said_to_leave_much_open(questions: int, words: str | None) -> None:
    text = " ".join(printed(document(intervals=intervals(questions))).split())
    assert ("known to" in text or "One question" in text) == (words is not None)
    assert words is None or words in text


def test_questions_that_all_score_alike_are_not_said_to_be_certain() -> None:
    found = intervals(24)
    for means in found["means"].values():
        for mean in means.values():
            mean["bca"] = [1.0, 1.0]
    text = " ".join(printed(document(intervals=found)).split())
    assert "leave much open: all score alike, and no interval shows how much" in text
    assert "±" not in text


def test_the_best_recall_of_the_pool_is_said() -> None:
    # Of eleven relevant passages, one fits on the first rank and ten in the top ten.
    text = printed(document())
    assert "Multi R@1: at most 0.0909 with 11 relevant passages, chance 0.0001\n" in text
    assert "Multi R@10: at most 0.9091 with 11 relevant passages, chance 0.0008\n" in text
    several = printed(document(rank_distance_by_golds={"1": 0.0, "2": 3.0}))
    assert "Multi R@1: at most 1.0000 with 1, 0.5000 with 2 relevant passages" in several
    assert "R@10: at most" not in several


def test_the_best_reach_of_the_pool_is_said() -> None:
    """Max rank m (N + 1) / (m + 1) by chance, and C(k, m) of C(N, m) complete top ks."""
    measures = ["map", "max_rank", "scaled_max_rank", "complete@10", "complete@1000"]
    text = printed(document(measures=measures))
    assert "Multi Max rank: best 11.0, chance 11930.4 with 11 relevant passages\n" in text
    assert "Multi Scaled max rank: best 0.0000, chance 0.9167 with 11 relevant passages" in text
    assert "Multi Complete@10: best 0.0000, chance 0.0000 with 11 relevant passages\n" in text
    several = " ".join(
        printed(document(measures=measures, rank_distance_by_golds={"1": 0.0, "2": 3.0})).split()
    )
    # 1,000 of 13,014, and 1,000 * 999 / (13,014 * 13,013).
    assert (
        "Multi Complete@1000 by number of relevant passages: 1: best 1.0000, chance 0.0768; 2: "
        "best 1.0000, chance 0.0059" in several
    )
    assert "Max rank" not in printed(document())


def test_bias_measures_have_a_direction_and_a_neutral_value() -> None:
    record = document()
    macro = record["tasks"][0]["means"]["multi"]["macro"]
    macro |= {"own_language_first": 0.6, "own_language_pairs": 0.7, "top_wrong_own": 0.2}
    text = printed(record, verbose=True)
    for row in (
        r"Own language first +0\.6000 +0\.0909 +neither +own_language_first",
        r"Own language ahead +0\.7000 +0\.5000 +neither +own_language_pairs",
        r"Top wrong, own language +0\.2000 +lower +top_wrong_own",
    ):
        assert re.search(f"^{row}$", text, re.MULTILINE)


def test_what_the_run_took() -> None:
    text = printed(document())
    assert "26,104 texts, 25,952 distinct: 25,000 encoded (500 texts/s), 952 from the store" in text
    assert "encode 51.2 s, search 2.7 s" in text
    assert "peak memory 1.5 GiB" in " ".join(text.split())
    assert "fingerprint 0123456789ab\n" in text
    assert "118.0M parameters" in text
    assert "query prompt: 'query: '" in text and "passage prompt" not in text


def test_an_older_record_s_share_of_the_matrix_rate_is_read_and_not_repeated() -> None:
    """It could exceed 1, so nothing measures it any more."""
    record = document()
    tokens = {"tokens": 9_000, "tokens_per_second": 180.0, "padding_share": 0.01}
    record["tasks"][0]["encoding"] |= {**tokens, "matrix_share": 1.07}
    text = printed(record, verbose=True)
    assert "9,000 tokens, 180/s, 1.0% padding\n" in text and "107" not in text


def test_what_makes_numbers_incomparable_is_in_plain_sight() -> None:
    record = document(
        text="sentence-context",
        partial={"limit": 50, "languages": ["de", "en"], "questions_without_gold": 1},
    )
    record["model"]["languages"] = ["en", "zh-Hans"]
    record["options"] |= {"dtype": "bfloat16", "max_length": 64, "query_prompt": "query: "}
    text = " ".join(printed(record).split())
    assert "TEXT OPTION sentence-context: not comparable with sentence, the task's" in text
    assert "PARTIAL: only the languages de, en; the first 50 questions of each language" in text
    assert "without 1 question that has no relevant passage" in text
    assert "not trained on ar, de, el, es, hi, ru, th, tr, vi." in text
    assert "options: max length 64, dtype bfloat16" in text
    whole = printed(document())
    assert not [x for x in ("TEXT OPTION", "PARTIAL", "not trained", "options:") if x in whole]


def test_a_notebook_shows_what_the_terminal_does() -> None:
    record = document()
    record["model"]["name"] = "<b>model</b>"
    shown = Record(record)._repr_html_()
    assert "<b>" not in shown and shown.startswith("<pre") and shown.endswith("</pre>")
    text = html.unescape(re.sub(r"<[^>]+>", "", shown))
    assert [x.rstrip() for x in text.splitlines()] == [
        x.rstrip() for x in printed(record, 110).splitlines()
    ]


def test_brackets_in_a_name_are_no_markup() -> None:
    record = document()
    record["model"]["name"] = "./my[bold]model"
    assert "./my[bold]model" in printed(record)


def test_an_undefined_value_is_a_dash() -> None:
    record = document()
    record["tasks"][0]["means"]["mono"]["macro"]["map"] = None
    assert re.search(r"^mono +11 +13,090 +-( +0\.7581){4}", printed(record), re.MULTILINE)
    assert numbers.value("map", float("nan")) == "-"


def matrix(columns: tuple[str, ...], width: int, *, colours: bool = False) -> str:
    out = io.StringIO()
    plain = Console(file=out, width=width, force_terminal=colours, color_system=None)
    if colours:
        plain = Console(file=out, width=width, force_terminal=True, color_system="truecolor")
    cells = {("en", x): i / 100 for i, x in enumerate(columns)}
    print_matrix(plain, ["en"], columns, cells, lambda x: f"{x:.4f}")
    return out.getvalue()


def test_a_matrix_wider_than_the_terminal_goes_on_below() -> None:
    columns = tuple(f"l{i:02d}" for i in range(18))
    lines = matrix(columns, 80).splitlines()
    assert max(map(len, lines)) <= 80
    headers = " ".join(x for x in lines if x.startswith("  ")).split()
    values = [v for x in lines if x.startswith("en") for v in x.split()[1:]]
    assert headers == list(columns)
    assert values == [f"{i / 100:.4f}" for i in range(18)]


def test_the_highest_value_is_the_brightest() -> None:
    text = matrix(("de", "en", "fr"), 80, colours=True)
    colours = re.findall(r"48;2;(\d+);(\d+);(\d+)m(\d\.\d+)", text)
    light = [0.2126 * int(r) + 0.7152 * int(g) + 0.0722 * int(b) for r, g, b, _ in colours]
    assert [x[3] for x in colours] == ["0.0000", "0.0100", "0.0200"]
    assert light == sorted(light) and light[0] < light[-1]
    assert heat(0.0).startswith("white on") and heat(1.0).startswith("black on")
    assert heat(-1.0) == heat(0.0) and heat(2.0) == heat(1.0)


def measured(width: int, rows: int) -> str:
    out = io.StringIO()
    names = [f"recall@{10**i}" for i in range(6)]
    table = [Row(f"run{n}", ("7",), {x: f"0.{i}{n:03d}" for i, x in enumerate(names)})
             for n in range(rows)]  # fmt: skip
    print_measures(Console(file=out, width=width), ("run", "queries"), names, table)
    return out.getvalue()


def test_more_measures_than_fit_go_down_or_into_further_tables() -> None:
    across, turned, blocks = measured(100, 9), measured(40, 3), measured(40, 9)
    for text, width in ((across, 100), (turned, 40), (blocks, 40)):
        assert max(map(len, text.splitlines())) <= width
    assert across.count("run0") == 1 and across.splitlines()[0].split()[-1] == "R@100000"
    assert turned.splitlines()[0].split() == ["run", "run0", "run1", "run2"]
    assert re.search(r"^R@100 +0\.2000  0\.2001  0\.2002$", turned, re.MULTILINE)
    assert blocks.count("run8") > 1
    for i in range(6):
        assert f"0.{i}008" in blocks


def test_bars_count_and_leave_nothing_behind() -> None:
    out = io.StringIO()
    terminal = Console(file=out, width=100, force_terminal=True, color_system=None)
    bars = progress_bars.Bars(terminal)
    with bars.drawn():
        bars.start("push runs[/old]", 0, "shards")  # brackets are no markup
        bars.finish()
        bars.start("encode xquad-r", 26_104, "texts")
        bars.advance(13_000)
        bars._bars.refresh()
        assert "encode xquad-r" in out.getvalue() and "13,000/26,104 texts" in out.getvalue()
        bars.finish()
        bars.start("no work", 0, "texts")
        bars.finish()
        bars.download("en.json", 10, 100)
        bars.download("en.json", 100, 100)
        bars._bars.refresh()
        assert "100/100 bytes" in out.getvalue()
    assert out.getvalue().endswith("\x1b[1A\x1b[2K" * 4)  # four lines, taken away again


def test_bars_of_many_trials_fit_a_small_terminal() -> None:
    out = io.StringIO()
    terminal = Console(file=out, width=80, height=20, force_terminal=True, color_system=None)
    bars = progress_bars.Bars(terminal)
    with bars.drawn():
        for trial in range(40):
            for stage in ("train", "encode", "search"):
                bars.start(f"{stage} hybrid-alpha0.25-seed{trial}", 1000, "texts")
                assert len(bars._bars.tasks) <= 10
                bars.finish()
            bars.note(f"{trial}/40 hybrid-alpha0.25-seed{trial}: 12 s")
        drawn = terminal.render_lines(bars._bars.get_renderable())
    assert len(drawn) <= 18
    assert all(sum(s.cell_length for s in line) <= 80 for line in drawn)


def test_only_the_harness_s_warnings_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_DEBUG", raising=False)
    with progress_bars.show_progress(quiet=True):
        warnings.warn("a matter\n of   languages", HarnessWarning, stacklevel=1)
        warnings.warn("old interface", FutureWarning, stacklevel=1)
    seen = capsys.readouterr()
    assert seen.err == "Warning: a matter of languages\n" and seen.out == ""
    monkeypatch.setenv("HARNESS_DEBUG", "1")
    with progress_bars.show_progress(quiet=True):
        warnings.warn("old interface", FutureWarning, stacklevel=1)
    seen = " ".join(capsys.readouterr().err.split())  # a long path makes it wrap
    assert "FutureWarning: old interface" in seen

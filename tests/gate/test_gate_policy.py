"""What a policy may say, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from gated import POLICY, policy

from harness.errors import PolicyError
from harness.gate import read_policy


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        policy(folder, text)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.startswith(f"{folder / 'gate.toml'}: ")
    return message.removeprefix(f"{folder / 'gate.toml'}: ")


RULE = '[[rules]]\nmeasure = "map"\nmax_drop = 0.01\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("alpah = 0.05\n" + RULE, "key 'alpah' is unknown; did you mean 'alpha'?"),
        (RULE + "max_dorp = 1\n", "key 'rules[1].max_dorp' is unknown; did you mean 'max_drop'?"),
        ("[[rules\n", "not valid TOML"),
        ("", "key 'rules' must have at least one table, written as [[rules]]"),
        (RULE.replace("map", "mapp"), "unknown measure 'mapp'; did you mean 'map'?"),
        (RULE.replace("map", "ndcg@x"), "the cutoff of measure 'ndcg@x' must be a whole number"),
        ("[[rules]]\nmax_drop = 1\n", "key 'rules[1].measure' is missing: it must be a string"),
        ('[[rules]]\nmeasure = "map"\n', "key 'rules[1].max_drop' is missing"),
        (RULE.replace("0.01", "-1"), "key 'rules[1].max_drop' must be at least 0, not -1"),
        (RULE.replace("0.01", '"1%"'), "key 'rules[1].max_drop' must be a number, not '1%'"),
        (RULE + "max_relative_drop = 5\n", "must be between 0 and 1, not 5"),
        (RULE + "margin = 0.001\n", "key 'rules[1].margin' must be at least max_drop, 0.01"),
        (RULE + "alpha = 0.1\n", "key 'rules[1].alpha' must be between 0.001 and 0.05"),
        (RULE + "min_queries = 0\n", "key 'rules[1].min_queries' must be at least 1, not 0"),
        (RULE + 'settings = ["mon"]\n', "must be one of mono, cross, multi, pairs, not 'mon'"),
        (RULE + 'by = "question"\n', "must be one of mean, language, pair, not 'question'"),
        (RULE + 'by = "pair"\nsettings = ["mono"]\n', "only if settings contain 'cross'"),
        (RULE + 'tier = "crucial"\n', "one of critical, supporting, watched, not 'crucial'"),
        (RULE + 'languages = ["german"]\n', "contains 'german', which is not a language code"),
        (RULE + 'direction = "up"\n', "must be one of higher, lower, same, not 'up'"),
        (RULE + 'inconclusive = "ok"\n', "must be one of fail, allow, not 'ok'"),
        (RULE + "required = 1\n", "key 'rules[1].required' must be true or false, not 1"),
        (
            RULE + RULE,
            "key 'rules[2].name' is 'mAP mono/cross/multi by mean', the name of an earlier rule",
        ),
        (
            RULE.replace("map", "own_language_first"),
            "key 'rules[1].direction' is missing: own_language_first has no better direction",
        ),
        (
            RULE.replace("map", "rank_distance") + 'settings = ["mono"]\n',
            "must contain one of multi, pairs: rank_distance has no others",
        ),
        (
            '[tiers]\ncritical = ["de"]\nwatched = ["de"]\n' + RULE,
            "key 'tiers.watched' contains 'de', which is in critical already",
        ),
        ('[tiers]\ncritcal = ["de"]\n' + RULE, "key 'tiers.critcal' is unknown; did you mean"),
        ("[tolerances.float23]\n" + RULE, "key 'tolerances.float23' is unknown; did you mean"),
        (
            '[tolerances.half]\n"map" = { men = 0.1 }\n' + RULE,
            "key 'tolerances.half.map.men' is unknown; did you mean 'mean'?",
        ),
    ],
)
def test_a_wrong_policy_is_refused_with_its_key(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"cannot be read \(No such file"):
        read_policy(tmp_path / "none.toml")


def test_the_default_policy_is_read_and_requires_nothing() -> None:
    found = read_policy()
    assert found.name == "the default policy"
    assert {rule.measure for rule in found.rules} >= {"ndcg@10", "rank_distance"}
    assert not any(rule.required for rule in found.rules)


def test_what_a_rule_leaves_out(tmp_path: Path) -> None:
    text = "alpha = 0.01\nmin_queries = 7\n" + POLICY.replace('settings = ["mono"]\n', "")
    (rule,) = policy(tmp_path, text).rules
    assert (rule.settings, rule.alpha, rule.min_queries) == (("mono", "cross", "multi"), 0.01, 7)
    assert (rule.direction, rule.inconclusive, rule.required) == ("higher", "fail", True)

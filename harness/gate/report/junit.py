"""A gate as JUnit XML: a suite for each rule, a test for each value it checks.

JUnit has no inconclusive state. A regression is a failure; a missing value, or an inconclusive one
that the policy does not allow, is an error; a watched or allowed one is skipped with its message.
So a test is red exactly if the gate's exit code is not 0.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from harness.gate import CheckResult, Gate, Outcome
from harness.gate.report.tables import place, verdict_of

# Characters that XML 1.0 cannot represent.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = "harness gate"


def to_junit(found: Gate) -> str:
    """``found`` as the text of a JUnit XML file."""
    root = ET.Element("testsuites", name=_NAME)
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for outcome in found.outcomes:
        suite = _suite(outcome, found.candidate.created[:19])
        for key in totals:
            totals[key] += int(suite.get(key, "0"))
        root.append(suite)
    for key, number in totals.items():
        root.set(key, str(number))
    root.set("time", "0")
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _suite(outcome: Outcome, created: str) -> ET.Element:
    tests = [_test(outcome, check) for check in outcome.cells]
    if outcome.note is not None:
        test = ET.Element("testcase", classname=_text(outcome.rule.name), name="rule", time="0")
        kind = "error" if outcome.verdict == "missing" else "skipped"
        _result(test, kind, outcome.verdict, outcome.note)
        tests.append(test)
    suite = ET.Element("testsuite", name=_text(outcome.rule.name), timestamp=created, time="0")
    suite.set("tests", str(len(tests)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(test.find(tag) is not None for test in tests)))
    suite.extend(tests)
    return suite


def _test(outcome: Outcome, check: CheckResult) -> ET.Element:
    test = ET.Element(
        "testcase",
        classname=_text(outcome.rule.name),
        name=_text(f"{check.task} {place(check)} {check.measure}"),
        time="0",
    )
    shown = verdict_of(check)
    message = check.reason if shown == check.verdict else f"{shown}: {check.reason}"
    if check.verdict in ("pass", "improvement"):
        return test
    allowed = check.verdict == "inconclusive" and outcome.rule.inconclusive == "allow"
    if not check.counts or allowed:
        _result(test, "skipped", check.verdict, message)
    else:
        kind = "failure" if check.verdict == "regression" else "error"
        _result(test, kind, check.verdict, message)
    return test


def _result(test: ET.Element, tag: str, kind: str, message: str) -> None:
    words = {"message": _text(message)} | ({} if tag == "skipped" else {"type": kind})
    ET.SubElement(test, tag, words)


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)

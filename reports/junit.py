"""JUnit XML: what CI systems show as a list of tests. A test is a case of the run."""

import re
from pathlib import Path
from xml.etree import ElementTree

from steelyard.core.run import LeftOut
from steelyard.render.output import ReportInputs, save
from steelyard.tables.records import CaseRecord, Records

_FAILURES = ("incorrect", "fallback")
_SKIPPED = ("unsupported", "skipped")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnit:
    """`junit.xml`: a suite for each workload, a test for each case.

    A slower, incorrect or fallen-back case is a failure; a crash, timeout, lack of memory or other failure an error
    with its stage and log tail; an unsupported case and a backend that was left out are skipped with the reason.
    `slower` is the verdict against the run's own baseline. Numbers are properties in base units. No test has a
    `time`: that would be how long the test took.
    """

    name = "junit"
    draws = False
    kind = "export"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write `junit.xml`."""
        run = inputs.of_one_run(self.name)
        root = ElementTree.Element("testsuites", {"name": _text(f"steelyard {run.suite} {run.run_id}")})
        for workload in dict.fromkeys(case.workload for case in run.cases):
            members = [_case(case) for case in run.cases if case.workload == workload]
            _suite(root, run, workload, members)
        if run.left_out:
            _suite(root, run, "left out", [_left_out(run, entry) for entry in run.left_out])
        for kind in ("tests", "failures", "errors"):  # the root has no `skipped`
            root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
        ElementTree.indent(root)
        text = ElementTree.tostring(root, encoding="unicode")
        return (save(directory / "junit.xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'),)


def _suite(root: ElementTree.Element, run: Records, name: str, tests: list[ElementTree.Element]) -> None:
    suite = ElementTree.SubElement(root, "testsuite", {"name": _text(f"{run.suite}.{name}")})
    suite.set("timestamp", run.created_utc[:19])
    counts = {"tests": len(tests)}
    for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        counts[kind] = sum(test.find(tag) is not None for test in tests)
    for kind, count in counts.items():
        suite.set(kind, str(count))
    suite.extend(tests)


def _case(case: CaseRecord) -> ElementTree.Element:
    test = ElementTree.Element(
        "testcase", {"classname": _text(f"{case.suite}.{case.workload}"), "name": _text(case.name)}
    )
    _properties(test, case)
    comparison = case.comparison
    if case.status in _SKIPPED:
        _outcome(test, "skipped", case.status, case.reason)
    elif case.status in _FAILURES:
        _outcome(test, "failure", case.status, case.reason, case.log_tail)
    elif case.status != "ok":
        _outcome(test, "error", case.status, f"at {case.stage or 'no known stage'}: {case.reason}", case.log_tail)
    elif comparison is not None and comparison.verdict == "slower":
        times = comparison.speedup
        told = "" if times is None else f"speed-up over {comparison.baseline} {times.value:.4g}: "
        _outcome(test, "failure", "slower", f"{told}{comparison.reason}")
    return test


def _left_out(run: Records, entry: LeftOut) -> ElementTree.Element:
    name = " ".join(filter(None, (entry.backend, entry.point)))
    test = ElementTree.Element("testcase", {"classname": _text(f"{run.suite}.left out"), "name": _text(name)})
    _outcome(test, "error" if entry.status == "suite error" else "skipped", entry.status, entry.reason)
    return test


def _outcome(test: ElementTree.Element, tag: str, kind: str, message: str, body: str = "") -> None:
    element = ElementTree.SubElement(test, tag, {"type": kind, "message": _text(message or "no reason was recorded")})
    element.text = _text(body) if body else None


def _properties(test: ElementTree.Element, case: CaseRecord) -> None:
    found = {
        "case": case.id,
        "status": case.status,
        "launches": str(case.launches),
        "launches_ok": str(case.launches_ok),
    }
    for value in case.timed:
        if value.estimate is not None:
            found[value.metric] = repr(value.estimate.value)
            if value.estimate.interval is not None:
                interval = value.estimate.interval
                found[f"{value.metric}_low"], found[f"{value.metric}_high"] = repr(interval.low), repr(interval.high)
    if case.approximate:
        found["approximate"] = case.approximate
    if case.comparison is not None:
        found |= {"verdict": case.comparison.verdict, "baseline": case.comparison.baseline}
    properties = ElementTree.SubElement(test, "properties")
    for name, text in found.items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": _text(text)})


def _text(text: str) -> str:
    """Without what XML cannot hold, not even escaped."""
    return _FORBIDDEN.sub("\ufffd", text)


REPORT = JUnit()

"""What a run was asked for: a test that is gone is missed where the command line names it."""

from pathlib import Path
from typing import Any

import pytest

from hpml_gate.run.missing import why_uncollected
from hpml_gate.run.selection import Selection

GONE = "bench/test_perf.py::TestGroup::test_sum[30000]"


def selection(tmp_path: Path, *arguments: str, **options: Any) -> Selection:
    folder = tmp_path / "bench"
    folder.mkdir(exist_ok=True)
    (folder / "test_perf.py").touch()
    return Selection(root=tmp_path, here=tmp_path, arguments=arguments, **options)


@pytest.mark.parametrize(
    "argument",
    [
        ".",
        "bench",
        "bench/test_perf.py",
        "bench/test_perf.py::TestGroup",
        "bench/test_perf.py::TestGroup::test_sum",
        GONE,
    ],
)
def test_what_holds_a_test_asks_for_it(tmp_path: Path, argument: str) -> None:
    assert selection(tmp_path, argument).asks_for(GONE)


@pytest.mark.parametrize(
    "argument",
    [
        "other",
        "bench/test_other.py",
        "bench/test_perf.py::TestGr",
        "bench/test_perf.py::TestGroup::test_su",
        "bench/test_perf.py::TestGroup::test_sum[3]",
        "bench/test_perf.py::test_sum",
    ],
)
def test_what_only_looks_like_it_does_not(tmp_path: Path, argument: str) -> None:
    assert not selection(tmp_path, argument).asks_for(GONE)


@pytest.mark.parametrize("argument", ["perf_of_tests", "perf_of_tests.test_perf::TestGroup"])
def test_a_module_is_named_by_its_import_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    package = tmp_path / "perf_of_tests"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "test_perf.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    test = "perf_of_tests/test_perf.py::TestGroup::test_sum"
    assert selection(tmp_path, argument, are_modules=True).asks_for(test)
    assert not selection(tmp_path, "no_such_package", are_modules=True).asks_for(test)


@pytest.mark.parametrize(
    ("options", "is_left_out"),
    [
        ({"ignored": ["bench"]}, True),
        ({"ignored": ["other"]}, False),
        ({"ignored_patterns": ["*perf*"]}, True),
        ({"deselected": ["bench/test_perf.py::TestGroup"]}, True),
        ({"deselected": ["bench/test_perf.py::TestOther"]}, False),
        ({"keywords": "sum"}, False),
        ({"keywords": "TESTGROUP and not other"}, False),
        ({"keywords": "not sum"}, True),
        ({"markers": "slow"}, True),
        ({"failed_last": frozenset({"bench/test_perf.py::test_other"})}, True),
        ({"failed_last": frozenset({GONE})}, False),
    ],
)
def test_options_leave_out_what_they_would_have_left_out(
    tmp_path: Path,
    options: dict[str, Any],
    is_left_out: bool,  # noqa: FBT001
) -> None:
    assert selection(tmp_path, "bench", **options).asks_for(GONE) != is_left_out


@pytest.mark.parametrize("node", ["bench", "bench/test_perf.py", "bench/test_perf.py::TestGroup"])
def test_a_test_below_what_could_not_be_collected_is_not_known_to_be_gone(node: str) -> None:
    assert why_uncollected(GONE, {node: "no import"}) == "no import"
    assert not why_uncollected(GONE, {"bench/test_perf": "no import", "ben": "neither"})

"""Paired runs, over a scripted suite in a git checkout of its own: base and head really run."""

from pathlib import Path

import pytest
from checkouts import Paired, assert_nothing_is_left, commit, gate_json, git, set_speed
from scripted import SPEED, SUITE, Run


def test_the_same_code_passes_and_leaves_nothing(paired: Paired, checkout: Path) -> None:
    run = paired()
    assert run.status == 0, run.output
    assert "gate: 2 pass" in run.output
    assert_nothing_is_left(checkout)
    assert run.sessions == []


def test_a_regression_since_the_base_fails_its_own_test(paired: Paired, checkout: Path) -> None:
    set_speed(checkout, MS={"one": 100, "two": 103})
    run = paired()
    assert run.status == 1
    assert list(run.failures) == ["test_step[two]"]
    assert "takes 1.030 of the base's time" in run.failures["test_step[two]"]
    assert gate_json(run)["test_step[two] time"]["status"] == "slower"
    assert "1 files changed since HEAD" in run.output  # an unclean worktree is said, not refused
    assert_nothing_is_left(checkout)


def test_what_is_slower_by_less_than_a_third_of_the_margin_passes(
    paired: Paired, checkout: Path
) -> None:
    set_speed(checkout, MS={"one": 100.5, "two": 100})
    assert paired().status == 0


def test_a_test_may_have_its_own_margin(paired: Paired, checkout: Path) -> None:
    suite = SUITE.replace("@pytest.mark.parametrize", "@pytest.mark.gate(margin='20%')\n"
                          "@pytest.mark.parametrize")  # fmt: skip
    (checkout / "test_suite.py").write_text(suite)
    set_speed(checkout, MS={"one": 105, "two": 100})
    assert paired("--gate-base=HEAD").status == 0
    set_speed(checkout, MS={"one": 110, "two": 100})
    assert list(paired().failures) == ["test_step[one]"]


def test_the_base_is_what_is_named(paired: Paired, checkout: Path) -> None:
    git(checkout, "tag", "before")
    set_speed(checkout, MS={"one": 110, "two": 100})
    commit(checkout)
    assert paired().status == 0
    assert list(paired("--gate-base=before").failures) == ["test_step[one]"]


@pytest.mark.parametrize(("better", "worse"), [("lower", 1100), ("higher", 900)])
def test_a_second_metric_is_judged_in_its_own_direction(
    paired: Paired, checkout: Path, better: str, worse: int
) -> None:
    set_speed(checkout, METRICS={"peak_bytes": (1000, better)})
    commit(checkout)
    set_speed(checkout, METRICS={"peak_bytes": (worse, better)})
    run = paired("-k", "one")
    assert "of the base's peak_bytes" in run.failures["test_step[one]"]
    assert gate_json(run)["test_step[one] time"]["status"] == "pass"
    set_speed(checkout, METRICS={"peak_bytes": (2000 - worse, better)})
    assert paired("-k", "one").status == 0


def test_a_null_control_that_raises_an_alarm_makes_slower_inconclusive(
    paired: Paired, checkout: Path
) -> None:
    """No machine here differs from itself on demand, so the suite says that it did."""
    alarmed = "from hpml_gate.run import confirm\nconfirm.is_alarm = lambda null, margin: True\n"
    (checkout / "conftest.py").write_text(alarmed)
    set_speed(checkout, MS={"one": 110, "two": 100})
    run = paired()
    assert run.status == 0
    verdict = gate_json(run)["test_step[one] time"]
    assert verdict["status"] == "inconclusive"
    assert "base against base gave 1.000" in str(verdict["reason"])


def test_what_scatters_too_much_is_inconclusive(paired: Paired, checkout: Path) -> None:
    set_speed(checkout, KIND={"one": "noisy"})
    commit(checkout)
    run = paired()
    assert run.status == 0
    assert gate_json(run)["test_step[one] time"]["status"] == "inconclusive"


def test_the_first_benchmarks_of_a_project_are_new_and_pass(paired: Paired, checkout: Path) -> None:
    (checkout / "test_suite.py").unlink()
    commit(checkout)
    (checkout / "test_suite.py").write_text(SUITE)
    run = paired("-k", "one", "test_suite.py")
    assert run.status == 0, run.output
    assert gate_json(run)["test_step[one] time"]["status"] == "new"
    assert_nothing_is_left(checkout)


def test_a_base_that_cannot_be_imported_is_incomparable(paired: Paired, checkout: Path) -> None:
    (checkout / "test_suite.py").write_text("import no_such_module\n")
    commit(checkout)
    (checkout / "test_suite.py").write_text(SUITE)
    run = paired("-k", "one")
    assert run.status == 1
    assert gate_json(run)["test_step[one] time"]["status"] == "incomparable"
    assert "the base fails (LackingError" in run.output
    assert "nothing was judged" in run.output
    assert_nothing_is_left(checkout)


def test_a_test_that_is_gone_since_the_base_is_missing(paired: Paired, checkout: Path) -> None:
    set_speed(checkout, MS={"one": 100, "two": 100, "three": 100})
    commit(checkout)
    (checkout / "test_suite.py").write_text(SUITE.replace('["one", "two"]', '["one", "three"]'))
    run = paired()
    assert run.status == 1
    assert list(run.failures) == ["test_step[two]"]
    assert "missing" in run.failures["test_step[two]"]
    (checkout / "pytest.ini").write_text("[pytest]\ngate_retired = test_suite.py::test_step?two?\n")
    assert paired().status == 0


def test_a_test_that_was_not_asked_for_is_not_missing(paired: Paired) -> None:
    assert paired("-k", "one").status == 0
    assert paired("test_suite.py::test_step[one]").status == 0


@pytest.mark.parametrize(
    ("how", "says"), [("SKIP", "was skipped"), ("RETURN", "passed without measuring")]
)
def test_a_test_that_no_longer_measures_is_missing(paired: Paired, how: str, says: str) -> None:
    run = paired(**{how: "one"})
    assert run.status == 1
    assert list(run.failures) == ["test_step[one]"]
    assert says in run.failures["test_step[one]"]


@pytest.mark.parametrize("option", ["--lf", "--ignore=test_suite.py"])
def test_what_pytest_was_told_to_leave_out_is_not_missing(paired: Paired, option: str) -> None:
    assert "missing" not in paired(option).output


def test_a_metric_that_only_one_side_has_is_said(paired: Paired, checkout: Path) -> None:
    set_speed(checkout, METRICS={"old_bytes": (1000, "lower")})
    commit(checkout)
    set_speed(checkout, METRICS={"new_bytes": (1000, "lower")})
    run = paired("-k", "one")
    assert gate_json(run)["test_step[one] old_bytes"]["status"] == "incomparable"
    assert gate_json(run)["test_step[one] new_bytes"]["status"] == "new"


def test_a_suspect_of_a_stored_baseline_is_confirmed_against_its_commit(checkout: Path) -> None:
    """A machine that got slower (times told by the environment) passes; slower code fails."""
    recorded = Run(checkout, "--gate=record")
    assert recorded.status == 0
    drifted = Run(checkout, "--gate-budget=0.3", ONE_MS="130", TWO_MS="130")
    assert drifted.status == 0, drifted.output
    assert gate_json(drifted)["test_step[one] time"]["against"] == "base"
    set_speed(checkout, MS={"one": 130, "two": 100})
    slower = Run(checkout, "--gate-budget=0.3")
    assert list(slower.failures) == ["test_step[one]"]
    assert "of the base's time" in slower.failures["test_step[one]"]


def test_a_baseline_with_uncommitted_changes_cannot_confirm(checkout: Path) -> None:
    set_speed(checkout)
    (checkout / "speed.py").write_text(SPEED + "# changed\n")
    Run(checkout, "--gate=record")
    slower = Run(checkout, TWO_MS="130")
    assert list(slower.failures) == ["test_step[two]"]
    assert "uncommitted changes" in slower.output

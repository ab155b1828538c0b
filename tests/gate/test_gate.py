"""The gate end to end: real runs of pytest, real launches, times that are scripted.

The suite under test is not ours and needs no torch: importing it is an error there.
"""

import json
from pathlib import Path

import pytest
from scripted import RunSuite

from hpml_gate.measure.block import Plan


def test_first_records_then_judges_then_fails_the_test_that_got_slower(
    run_suite: RunSuite,
) -> None:
    first = run_suite()
    assert first.status == 0
    assert "gate: 2 new" in first.output
    (session,) = first.sessions
    recorded = session.read_bytes()

    second = run_suite()
    assert second.status == 0
    assert "gate: 2 pass" in second.output
    assert len(second.sessions) == 2  # one more to know the drift by
    assert session.read_bytes() == recorded
    assert len(list(second.folder.glob("results/*/histograms/*.svg"))) == 4

    third = run_suite(TWO_MS="130")
    assert third.status == 1
    assert list(third.failures) == ["test_step[two]"]
    message = third.failures["test_step[two]"]
    assert "1.30" in message
    assert "margin 10%" in message
    assert "interval" in message
    assert cases_of(third.sessions[-1]) == ["test_suite.py::test_step[one]"]


def cases_of(session: Path) -> list[str]:
    rows = json.loads(session.read_text())["benchmarks"]
    return [row["extra_info"]["case_id"] for row in rows]


def test_sessions_that_passed_are_kept_until_there_are_enough(run_suite: RunSuite) -> None:
    for _ in range(6):
        run = run_suite("-k", "one")
    assert len(run.sessions) == 5


def test_a_margin_is_what_the_user_says(run_suite: RunSuite) -> None:
    run_suite()
    assert run_suite("--gate-margin=50%", TWO_MS="130").status == 0


def test_results_are_pytest_benchmarks_with_raw_times(run_suite: RunSuite) -> None:
    run = run_suite("--gate=off")
    (results,) = run.folder.glob("results/*/benchmarks.json")
    rows = json.loads(results.read_text())["benchmarks"]
    assert [len(row["stats"]["data"]) for row in rows] == [24, 24]
    assert rows[0]["extra_info"]["launches"] == 2
    assert rows[0]["extra_info"]["effective"]["scripted"] is True
    assert run.sessions == []


def test_a_step_observes_when_its_launch_has_been_timed(run_suite: RunSuite) -> None:
    run = run_suite("--gate=off", "-k", "one")
    (results,) = run.folder.glob("results/*/benchmarks.json")
    (row,) = json.loads(results.read_text())["benchmarks"]
    warm_up = 4  # three steps, and the block that says how many fill one
    observed_after = row["extra_info"]["effective"]["observed_after_blocks"]
    assert observed_after == warm_up + Plan().blocks


def test_record_replaces_and_faster_is_no_failure(run_suite: RunSuite) -> None:
    run_suite()
    faster = run_suite(TWO_MS="50")
    assert faster.status == 0
    assert "1 faster, 1 pass" in faster.output
    assert len(run_suite("--gate=record", TWO_MS="50").sessions) == 3
    assert "gate: 2 pass" in run_suite(TWO_MS="50").output


def test_launches_that_scatter_are_measured_again_before_they_become_a_baseline(
    run_suite: RunSuite,
) -> None:
    (session,) = run_suite("-k", "one", ONE="scattering").sessions
    (row,) = json.loads(session.read_text())["benchmarks"]
    assert set(row["stats"]["data"]) == {0.1}
    assert (session.parents[2] / "launches").read_text().count("one more") == 4


def test_judge_without_a_baseline_does_not_pass(run_suite: RunSuite) -> None:
    run = run_suite("--gate=judge")
    assert run.status == 1
    assert "nothing was judged" in run.output
    assert run.sessions == []


def test_judge_on_another_machine_says_incomparable_and_does_not_pass(
    run_suite: RunSuite,
) -> None:
    (session,) = run_suite().sessions
    session.parent.rename(session.parent.with_name("another-cpu-64c-00000000"))
    run = run_suite("--gate=judge")
    assert run.status == 1
    assert "incomparable" in run.output
    assert "another-cpu-64c-00000000" in run.output


def test_a_failed_test_leaves_no_baseline(run_suite: RunSuite) -> None:
    run = run_suite(ONE="raising")
    (session,) = run.sessions
    assert [row["name"] for row in json.loads(session.read_text())["benchmarks"]] == [
        "test_suite.py::test_step[two]"
    ]


def test_a_renamed_test_is_missing_until_it_is_retired(run_suite: RunSuite) -> None:
    suite = run_suite().folder / "test_suite.py"
    suite.write_text(suite.read_text().replace('"two"]', '"three"]'))
    run = run_suite()
    assert run.status == 1
    assert list(run.failures) == ["test_step[two]"]
    assert "missing" in run.failures["test_step[two]"]
    retiring = run_suite("--gate=record")
    assert retiring.status == 0
    assert "retired" in retiring.output
    assert "2 pass" in run_suite().output


@pytest.mark.parametrize(
    ("how", "says", "recording"),
    [
        ("SKIP", "was skipped (Skipped: not today)", "is kept: its test was skipped"),
        ("RETURN", "without measuring", "retired"),
    ],
)
def test_a_test_that_no_longer_measures_is_missing(
    run_suite: RunSuite, how: str, says: str, recording: str
) -> None:
    """What is skipped today may run tomorrow, so only what ran without measuring is retired."""
    run_suite()
    run = run_suite(**{how: "one"})
    assert run.status == 1
    assert list(run.failures) == ["test_step[one]"]
    assert says in run.failures["test_step[one]"]
    assert recording in run_suite("--gate=record", **{how: "one"}).output


def test_a_test_that_got_its_fixture_late_fails_like_any_other(run_suite: RunSuite) -> None:
    """Pytest does not know of it when it collects, and reports it before it is judged."""
    suite = run_suite("--collect-only").folder / "test_suite.py"
    late = "def test_step(request, name):\n    bench = request.getfixturevalue('bench')"
    suite.write_text(suite.read_text().replace("def test_step(bench, name):", late))
    assert run_suite("--gate=record").status == 0
    run = run_suite("--gate=judge", TWO_MS="130")
    assert run.status == 1, run.output
    assert list(run.failures) == ["test_step[two]"]
    assert "takes 1.300" in run.failures["test_step[two]"]


def test_a_test_that_skips_before_it_measures_is_no_error(run_suite: RunSuite) -> None:
    """Pytest-benchmark warns of a fixture that was not used, and a suite may forbid warnings."""
    suite = run_suite("--collect-only").folder / "test_suite.py"
    skipping = "\n@pytest.fixture\ndef case():\n    pytest.skip('no_hardware: none')\n"
    late = "\ndef test_other(bench, case):\n    bench(prepare, 'one')\n"
    suite.write_text(suite.read_text() + skipping + late)
    run = run_suite("-W", "error", "-k", "other")
    assert run.status == 0, run.output
    assert "gate: 1 no_hardware" in run.output


def test_a_module_that_is_skipped_retires_nothing(run_suite: RunSuite) -> None:
    suite = run_suite("--gate=record").folder / "test_suite.py"
    (suite.parent / "test_other.py").write_text(suite.read_text())
    skipping = "import pytest; pytest.skip('no GPU', allow_module_level=True)\n"
    suite.write_text(skipping + suite.read_text())
    recording = run_suite("--gate=record")
    assert len(recording.sessions) == 2
    assert "retired" not in recording.output
    judging = run_suite("--gate=judge", "test_suite.py")
    assert "its module was skipped" in judging.failures["test_step[one]"]


@pytest.mark.parametrize("selection", [("-k", "one"), ("test_suite.py::test_step[one]",)])
def test_what_was_not_selected_is_not_missing(
    run_suite: RunSuite, selection: tuple[str, ...]
) -> None:
    run_suite()
    run = run_suite(*selection)
    assert run.status == 0
    assert "gate: 1 pass" in run.output

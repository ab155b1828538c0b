"""Stored baselines: whole or not there, never overwritten, bad ones named with a remedy."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.storage.file import FileStorage

from hpml_gate.baselines.fingerprint import Fingerprint
from hpml_gate.baselines.session_file import KEY, BaselineError
from hpml_gate.baselines.store import MOST_SESSIONS, Baselines

HERE = Fingerprint(facts={"cpu": "Test CPU (R)", "cores": 2})
THERE = Fingerprint(facts={"cpu": "Test CPU (R)", "cores": 4})


def row(case_id: str, seconds: list[Any]) -> dict[str, Any]:
    return {
        "fullname": f"test_it.py::test[{case_id}]",
        "extra_info": {"case_id": case_id, "launches": 2},
        "stats": {"data": seconds},
    }


def document(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"benchmarks": list(rows), "machine_info": {}, "commit_info": {"id": "a" * 40}}


@pytest.fixture
def baselines(tmp_path: Path) -> Baselines:
    return Baselines(folder=tmp_path, fingerprint=HERE)


def reread(baselines: Baselines) -> Baselines:
    return Baselines(folder=baselines.folder, fingerprint=baselines.fingerprint)


def test_a_fingerprint_names_the_machine_in_words() -> None:
    assert HERE.id.startswith("test-cpu-r-2c-")
    assert THERE.id != HERE.id


def test_what_is_written_is_read(baselines: Baselines) -> None:
    baselines.write(document(row("a", [1.0, 2.0, 3.0, 4.0])), added=[], retired=[])
    found = reread(baselines).by_case["a"]
    assert found.step_ns == [[1e9, 2e9], [3e9, 4e9]]
    assert found.test == "test_it.py::test[a]"


def test_the_newest_session_counts_and_the_older_stays(baselines: Baselines) -> None:
    first = baselines.write(
        document(row("a", [1.0, 1.0]), row("b", [5.0, 5.0])), added=[], retired=[]
    )
    before = first.read_bytes()
    baselines.write(document(row("a", [2.0, 2.0])), added=[], retired=[])
    found = reread(baselines).by_case
    assert found["a"].step_ns == [[2e9], [2e9]]
    assert found["b"].step_ns == [[5e9], [5e9]]
    assert first.read_bytes() == before


def test_sessions_are_kept_beside_each_other_until_a_case_starts_anew(
    baselines: Baselines,
) -> None:
    baselines.write(document(row("a", [1.0, 1.0])), added=[], retired=[])
    baselines.write(document(row("a", [2.0, 2.0])), added=["a"], retired=[])
    assert reread(baselines).by_case["a"].launch_medians_ns == [[1e9, 1e9], [2e9, 2e9]]
    for _ in range(MOST_SESSIONS):
        baselines.write(document(row("a", [3.0, 3.0])), added=["a"], retired=[])
    assert reread(baselines).by_case["a"].launch_medians_ns == [[3e9, 3e9]] * MOST_SESSIONS
    baselines.write(document(row("a", [4.0, 4.0])), added=[], retired=[])
    assert reread(baselines).by_case["a"].launch_medians_ns == [[4e9, 4e9]]


def test_the_commit_is_that_of_the_session_that_began_the_level(baselines: Baselines) -> None:
    first = {**document(row("a", [1.0, 1.0])), "commit_info": {"id": "b" * 40, "dirty": True}}
    baselines.write(first, added=[], retired=[])
    baselines.write(document(row("a", [1.0, 1.0])), added=["a"], retired=[])
    kept = reread(baselines).by_case["a"]
    assert (kept.commit, kept.is_dirty, len(kept.sessions)) == ("b" * 40, True, 2)
    unknown = {**document(row("a", [1.0, 1.0])), "commit_info": {"id": "unversioned"}}
    baselines.write(unknown, added=[], retired=[])
    assert reread(baselines).by_case["a"].commit is None


def test_a_retired_case_is_gone_until_it_is_recorded_again(baselines: Baselines) -> None:
    baselines.write(document(row("a", [1.0, 1.0])), added=[], retired=[])
    baselines.write(document(), added=[], retired=["a"])
    assert reread(baselines).by_case == {}
    baselines.write(document(row("a", [3.0, 3.0])), added=[], retired=[])
    assert reread(baselines).by_case["a"].step_ns == [[3e9], [3e9]]


def test_runs_that_write_at_once_each_get_a_file(baselines: Baselines) -> None:
    with ThreadPoolExecutor(8) as pool:
        files = list(
            pool.map(
                lambda n: reread(baselines).write(
                    document(row(f"c{n}", [1.0, 1.0])), added=[], retired=[]
                ),
                range(24),
            )
        )
    assert len(set(files)) == 24
    assert set(reread(baselines).by_case) == {f"c{n}" for n in range(24)}
    assert not list(baselines.own_folder.glob("*.part"))


def test_another_machines_baseline_is_known_but_not_used(baselines: Baselines) -> None:
    Baselines(folder=baselines.folder, fingerprint=THERE).write(
        document(row("a", [1.0, 1.0])), added=[], retired=[]
    )
    assert baselines.by_case == {}
    assert baselines.measured_elsewhere("a") == THERE.id
    assert baselines.measured_elsewhere("b") is None


def test_two_branches_that_record_merge_without_conflict(tmp_path: Path) -> None:
    """Each adds a file that the other does not have; the later one counts where both measured."""
    ours, theirs = (
        Baselines(folder=tmp_path / name, fingerprint=HERE) for name in ("ours", "theirs")
    )
    ours.write(document(row("a", [1.0, 1.0]), row("b", [1.0, 1.0])), added=[], retired=[])
    theirs.write(document(row("a", [2.0, 2.0])), added=[], retired=[])
    for file in theirs.own_folder.iterdir():
        assert not (ours.own_folder / file.name).exists()
        file.rename(ours.own_folder / file.name)
    found = reread(ours).by_case
    assert (found["a"].step_ns[0], found["b"].step_ns[0]) == ([2e9], [1e9])


def test_a_session_is_newer_than_all_before_it_whatever_the_clock_says(
    baselines: Baselines,
) -> None:
    first = baselines.write(document(row("a", [1.0, 1.0])), added=[], retired=[])
    first.rename(first.with_name("2999_0101T000000.000000-0a_gate.json"))
    baselines.write(document(row("a", [2.0, 2.0])), added=[], retired=[])
    assert reread(baselines).by_case["a"].step_ns == [[2e9], [2e9]]


def test_pytest_benchmarks_own_command_finds_the_sessions(baselines: Baselines) -> None:
    written = baselines.write(document(row("a", [1.0, 1.0])), added=[], retired=[])
    open_storage: Any = FileStorage  # without types
    storage = open_storage(str(baselines.folder), logger=None)
    assert [Path(file) for file in storage.query()] == [written]


WRITTEN = {
    **document(row("a", [1.0, 2.0])),
    KEY: {"schema_version": 1, "added": [], "retired": []},
}


def damage(baselines: Baselines, text: str) -> Path:
    file = baselines.own_folder / "0001_gate.json"
    file.parent.mkdir()
    file.write_text(text)
    return file


def changed(**changes: Any) -> str:
    """A session with one case, whose row or its parts are changed."""
    made = row("a", [1.0, 2.0])
    for name, value in changes.items():
        part = made["stats"] if name == "data" else made["extra_info"]
        part[name] = value
    return json.dumps({**WRITTEN, "benchmarks": [made]})


def test_what_the_gate_does_not_read_may_be_no_number(baselines: Baselines) -> None:
    damage(baselines, changed(effective={"loss": float("nan")}))
    assert baselines.by_case["a"].step_ns == [[1e9], [2e9]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "unreadable"),
        ('{"benchmarks": [', "unreadable"),
        ("<<<<<<< HEAD\n{}", "unreadable"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "unreadable"),
        ("[" * 100_000, "unreadable"),
        ("[]", "schema version None"),
        ("{}", "schema version None"),
        (json.dumps({KEY: [1]}), "schema version None"),
        (json.dumps({KEY: {"schema_version": 99}}), "schema version 99"),
        (json.dumps({KEY: {"schema_version": 1}}), "damaged"),
        (json.dumps({**WRITTEN, "benchmarks": [{}]}), "damaged"),
        (json.dumps({**WRITTEN, "benchmarks": None}), "damaged"),
        (json.dumps({**WRITTEN, "commit_info": ["id"]}), "damaged"),
        (json.dumps({**WRITTEN, "commit_info": {"id": 7}}), "damaged"),
        (json.dumps({**WRITTEN, KEY: {"schema_version": 1, "retired": "a"}}), "damaged"),
        (changed(data=[1.0] * 3), "3 times in 2 launches"),
        (changed(data=[1.0, -1.0]), "damaged"),
        (changed(data=[1.0, 0.0]), "damaged"),
        (changed(data=[1.0, float("nan")]), "damaged"),
        (changed(data=[1.0, float("inf")]), "damaged"),
        (changed(data=[1.0, 1e308]), "damaged"),
        (changed(data=["1.0", 1.0]), "damaged"),
        (changed(launches=1), "damaged"),
        (changed(launches=-2), "damaged"),
        (changed(case_id=["a"]), "damaged"),
        (changed(metrics=[1]), "damaged"),
        (changed(metrics={"peak_bytes": {"values": [float("nan")]}}), "damaged"),
    ],
)
def test_a_bad_file_is_named_with_a_remedy_and_left_alone(
    baselines: Baselines, text: str, says: str
) -> None:
    file = damage(baselines, text)
    with pytest.raises(BaselineError, match=says) as caught:
        _ = baselines.by_case
    assert str(file) in str(caught.value)
    assert "delete it" in str(caught.value)
    assert file.read_text() == text


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda file: file.symlink_to("/nowhere")])
def test_what_is_no_file_is_named(baselines: Baselines, make: Callable[[Path], object]) -> None:
    file = damage(baselines, "")
    file.unlink()
    make(file)
    with pytest.raises(BaselineError, match="no file that can be read"):
        _ = baselines.by_case


@pytest.mark.parametrize("commit", ["unversioned", "--output=/tmp/of-forty-letters-in-all-xy", ""])
def test_what_is_no_commits_name_is_none(baselines: Baselines, commit: str) -> None:
    damage(baselines, json.dumps({**WRITTEN, "commit_info": {"id": commit}}))
    assert baselines.by_case["a"].commit is None


def test_a_folder_that_cannot_be_written_is_known_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    baselines = Baselines(folder=tmp_path / "taken", fingerprint=HERE)
    with pytest.raises(BaselineError, match=r"cannot write .*taken.*--gate-baselines"):
        baselines.check_writable()
    with pytest.raises(BaselineError, match="cannot write"):
        baselines.write(document(row("a", [1.0, 1.0])), added=[], retired=[])
    assert (tmp_path / "taken").read_text() == "a file where a folder is wanted"

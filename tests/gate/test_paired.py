"""Paired runs, over a scripted suite in a git checkout of its own: base and head really run."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import processes_of_session, wait_for
from scripted import SPEED, SUITE, Run

Paired = Callable[..., Run]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose only commit holds the scripted suite."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "test_suite.py").write_text(SUITE)
    (folder / "speed.py").write_text(SPEED)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / ".gitignore").write_text("results\ngate_baselines\njunit.xml\n__pycache__\n")
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "a commit", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def set_speed(folder: Path, **lines: object) -> None:
    added = "\n".join(f"{name} = {value!r}" for name, value in lines.items())
    (folder / "speed.py").write_text(f"{SPEED}\n{added}\n")


@pytest.fixture
def paired(checkout: Path, tmp_path: Path) -> Paired:
    """Give paired runs over the checkout; worktrees are made where the test can see them."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def run(*arguments: str, **environment: str) -> Run:
        return Run(
            checkout,
            "--gate=paired",
            "--gate-budget=0.3",
            *arguments,
            TMPDIR=str(temporary),
            HANGING=str(tmp_path / "hanging"),
            **environment,
        )

    return run


def assert_nothing_is_left(folder: Path) -> None:
    assert len(git(folder, "worktree", "list").splitlines()) == 1
    assert not list((folder.parent / "temporary").glob("hpml-gate-base-*"))


def gate_json(run: Run) -> dict[str, dict[str, object]]:
    """The verdicts of the newest run, by case and metric."""
    newest = max(run.folder.glob("results/*/gate.json"))
    return {
        f"{case['case_id'].rpartition('::')[2]} {verdict['metric']}": verdict
        for case in json.loads(newest.read_text())["cases"]
        for verdict in case["verdicts"]
    }


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
    alarmed = "from hpml_gate import trial\ntrial.is_alarm = lambda null, margin: True\n"
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


@pytest.mark.parametrize(
    "base_suite", ["def broken(:\n", "import no_such_module\n", "def test_other():\n    pass\n"]
)
def test_a_base_that_does_not_build_or_lacks_the_benchmark_is_new(
    paired: Paired, checkout: Path, base_suite: str
) -> None:
    (checkout / "test_suite.py").write_text(base_suite)
    commit(checkout)
    (checkout / "test_suite.py").write_text(SUITE)
    run = paired("-k", "one")
    assert run.status == 1
    assert gate_json(run)["test_step[one] time"]["status"] == "new"
    assert "the base lacks it" in run.output
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


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("raising", "error", "RuntimeError: no such thing"),
        ("wrong", "incorrect", "a wrong sum"),
        ("dying_later", "error", "killed by signal 9"),
        ("hanging_later", "timeout", "--gate-timeout"),
    ],
)
def test_a_benchmark_that_fails_on_the_head_only_fails_its_test(
    paired: Paired, checkout: Path, kind: str, status: str, says: str
) -> None:
    set_speed(checkout, KIND={"one": kind})
    run = paired("--gate-timeout=4")
    assert list(run.failures) == ["test_step[one]"]
    assert run.failures["test_step[one]"].startswith(f"Failed: {status}:")
    assert says in run.failures["test_step[one]"]
    assert_nothing_is_left(checkout)


@pytest.mark.parametrize("kind", ["raising", "dying_later", "hanging_later"])
def test_a_benchmark_that_fails_on_the_base_only_is_incomparable(
    paired: Paired, checkout: Path, kind: str
) -> None:
    set_speed(checkout, KIND={"one": kind})
    commit(checkout)
    set_speed(checkout)
    run = paired("--gate-timeout=4")
    assert run.status == 0, run.output
    assert gate_json(run)["test_step[one] time"]["status"] == "incomparable"
    assert "the base fails" in run.output
    assert_nothing_is_left(checkout)


def test_an_unknown_base_is_refused_before_anything_is_measured(
    paired: Paired, checkout: Path
) -> None:
    run = paired("--gate-base=nowhere")
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "no commit 'nowhere'" in run.output
    assert "Traceback" not in run.output
    assert not (checkout / "results").exists()


def test_a_shallow_clone_is_told_to_fetch_more(checkout: Path) -> None:
    first = commit(checkout)
    commit(checkout)
    shallow = checkout.parent / "shallow"
    git(checkout.parent, "clone", "-q", "--depth=1", f"file://{checkout}", str(shallow))
    run = Run(shallow, "--gate=paired", f"--gate-base={first}")
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "shallow clone" in run.output
    assert "--unshallow" in run.output


def test_a_folder_without_git_has_no_base(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "speed.py").write_text(SPEED)
    run = Run(tmp_path, "--gate=paired", GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "lies in no git checkout" in run.output


def test_interpreters_that_differ_are_refused(paired: Paired, checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text('[project]\nrequires-python = "<3"\n')
    commit(checkout)
    (checkout / "pyproject.toml").unlink()
    run = paired()
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "requires Python <3" in run.output
    assert_nothing_is_left(checkout)


def test_a_base_of_other_dependencies_gets_an_environment_of_its_own(
    paired: Paired, checkout: Path
) -> None:
    """It installs a path to this one's packages, and another version of what the head has."""
    made = (
        "import pathlib, site; folder = pathlib.Path(site.getsitepackages()[0]); "
        f"(folder / 'own.pth').write_text({os.pathsep.join(sys.path)!r}.replace(':', chr(10))); "
        "(folder / 'versioned.py').write_text('MS = 50')"
    )
    heads = checkout.parent / "installed"
    heads.mkdir()
    (heads / "versioned.py").write_text("MS = 100\n")
    (checkout / "pytest.ini").write_text(f'[pytest]\ngate_base_install = -c "{made}"\n')
    (checkout / "requirements.txt").write_text("versioned==1\n")
    with (checkout / "speed.py").open("a") as speed:
        speed.write("import versioned\nMS = dict.fromkeys(MS, versioned.MS)\n")
    commit(checkout)
    (checkout / "requirements.txt").write_text("versioned==2\n")
    run = paired(PYTHONPATH=str(heads))
    assert sorted(run.failures) == ["test_step[one]", "test_step[two]"], run.output
    assert "takes 2.00" in run.failures["test_step[one]"]


def test_an_environment_that_cannot_be_made_leaves_all_new(paired: Paired, checkout: Path) -> None:
    (checkout / "pytest.ini").write_text('[pytest]\ngate_base_install = -c "raise SystemExit(9)"\n')
    (checkout / "requirements.txt").write_text("something\n")
    commit(checkout)
    (checkout / "requirements.txt").write_text("something else\n")
    run = paired("-k", "one")
    assert run.status == 1
    assert "gate_base_install" in run.output
    assert "ended with status 9" in run.output
    assert_nothing_is_left(checkout)


def test_a_base_that_imports_the_heads_code_is_no_base(paired: Paired, checkout: Path) -> None:
    set_speed(checkout)
    with (checkout / "speed.py").open("a") as speed:
        speed.write(f"import sys\nsys.path.insert(0, {str(checkout)!r})\nimport heads_own\n")
    (checkout / ".gitignore").write_text("heads_own.py\n")
    (checkout / "heads_own.py").write_text("")
    commit(checkout)
    run = paired("-k", "one")
    assert "which is not its own" in run.output
    assert gate_json(run)["test_step[one] time"]["status"] == "incomparable"


@pytest.mark.parametrize("how", [("-n2",), ("--benchmark-disable",)])
def test_where_nothing_can_be_timed_nothing_passes(paired: Paired, how: tuple[str, ...]) -> None:
    run = paired(*how)
    assert run.status == 1
    assert "--gate off" in run.failures["test_step[one]"]


def test_no_terminal_is_no_excuse(paired: Paired, checkout: Path) -> None:
    set_speed(checkout, MS={"one": 110, "two": 100})
    assert paired("-p", "no:terminal").status == 1


def test_a_run_without_cases_does_not_pass(paired: Paired) -> None:
    assert paired("-k", "nothing").status != 0


def test_a_full_disk_is_said(checkout: Path) -> None:
    script = (
        "import resource, sys, pytest; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); "
        "sys.exit(pytest.main(['-p', 'no:cacheprovider', '--gate=paired']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "git worktree add" in done.stdout + done.stderr
    assert len(git(checkout, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_process_and_no_worktree(
    checkout: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """After SIGKILL nobody could tidy up: the next run does."""
    set_speed(checkout, KIND={"one": "hanging_later"})
    temporary, hanging = tmp_path / "temporary", tmp_path / "hanging"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "HANGING": str(hanging)}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--gate=paired"],
        cwd=checkout,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        wait_for(hanging.exists)
        run.send_signal(number)
        run.wait(30)
    wait_for(lambda: not processes_of_session(run.pid))
    if number == signal.SIGKILL:
        set_speed(checkout)
        Run(checkout, "--gate=paired", "-k", "one", TMPDIR=str(temporary))
    assert_nothing_is_left(checkout)


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

"""Faults in paired runs: each is named, has its exit status, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import (
    Paired,
    assert_no_worktree_is_left,
    assert_nothing_is_left,
    commit,
    gate_json,
    git,
    set_speed,
)
from processes import processes_of_session, wait_for
from scripted import SPEED, SUITE, Run


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
    """What it installs comes before this run's packages, which it has all the same."""
    made = (
        "import pathlib, site; folder = pathlib.Path(site.getsitepackages()[0]); "
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
    path = os.pathsep.join(filter(None, [str(heads), os.environ.get("PYTHONPATH")]))
    run = paired("-k", "one", PYTHONPATH=path)
    assert list(run.failures) == ["test_step[one]"], run.output
    assert "takes 2.00" in run.failures["test_step[one]"]
    origins = json.loads(max(checkout.glob("results/*/gate.json")).read_text())["origins"]
    assert origins["base"]["speed"] == origins["head"]["speed"] == "speed.py"


def test_an_environment_that_cannot_be_made_leaves_all_incomparable(
    paired: Paired, checkout: Path
) -> None:
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
    (checkout / "pytest.ini").write_text("[pytest]\ngate_base_install = -c pass\n")
    run = paired("-k", "one")
    assert "which is not its own, although it was built for this run" in run.output
    assert gate_json(run)["test_step[one] time"]["status"] == "incomparable"
    assert_nothing_is_left(checkout)


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
    """After SIGKILL nobody could tidy up: the next run removes the worktree."""
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
        assert_no_worktree_is_left(checkout)
    else:
        assert_nothing_is_left(checkout)

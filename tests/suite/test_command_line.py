"""The command hpml finds its commands, hands their arguments on, and says what it lacks."""

import sys
from pathlib import Path

import pytest

import hpml_cli


def hpml(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | None:
    monkeypatch.setattr(sys, "argv", ["hpml", *arguments])
    return hpml_cli.main()


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_without_a_command_it_lists_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        hpml(monkeypatch, *arguments)
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in hpml_cli.COMMANDS)


def test_an_unknown_command_is_refused_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        hpml(monkeypatch, "histroy")
    assert (
        "'histroy' (choose from 'run', 'kernels', 'data', 'history', 'report')"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["kernels", "history"])
def test_a_command_answers_for_its_own_arguments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        hpml(monkeypatch, name, "--no-such-option")
    assert "--no-such-option" in capsys.readouterr().err


def test_a_status_of_a_command_is_the_status_of_hpml(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hpml(monkeypatch, "history", str(tmp_path)) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_run_hands_its_options_to_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(pytest, "main", asked.append)
    hpml(monkeypatch, "run", "--quick", "-k", "pi")
    assert asked[0][-3:] == ["--quick", "-k", "pi"]
    assert "benchmarks" in asked[0]


def test_a_run_outside_a_checkout_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hpml(monkeypatch, "run") == pytest.ExitCode.USAGE_ERROR
    assert f"no pyproject.toml and no benchmarks in {tmp_path}" in capsys.readouterr().err


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_numba() -> None:
        raise ModuleNotFoundError(name="numba")

    lacking = hpml_cli.Command(main=no_numba, summary="")
    monkeypatch.setattr(hpml_cli, "COMMANDS", {"kernels": lacking})
    with pytest.raises(SystemExit, match=r"needs numba: .*hpml\[suite\]"):
        hpml(monkeypatch, "kernels")

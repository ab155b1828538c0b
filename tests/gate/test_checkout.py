"""The user's git stays as it is, and a worktree holds all that its commit means."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import commit, git

from hpml_gate import own_folders
from hpml_gate.run.repository import BaseError, Repository
from hpml_gate.run.worktree import PREFIX, Worktree


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A checkout with one commit; what goes to a temporary folder is seen by the test."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return Repository(root=make_repository(tmp_path / "ours"))


def make_repository(folder: Path) -> Path:
    folder.mkdir()
    (folder / "code.py").write_text("VERSION = 1\n")
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def worktree_of(repository: Repository) -> Worktree:
    return Worktree(repository=repository, commit=repository.commit("HEAD"))


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_worktree_is_the_commit_and_goes_without_a_trace(repository: Repository) -> None:
    (repository.root / "code.py").write_text("VERSION = 2\n")
    worktree = worktree_of(repository)
    assert (worktree.root / "code.py").read_text() == "VERSION = 1\n"
    worktree.close()
    assert not worktree.folder.exists()
    assert len(git(repository.root, "worktree", "list").splitlines()) == 1


def test_the_variables_of_a_hook_do_not_lead_git_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other")
    (other / "staged.py").write_text("")
    git(other, "add", "-A")
    git(repository.root, "commit", "-q", "--allow-empty", "-m", "only ours")
    ours, index = git(repository.root, "rev-parse", "HEAD"), (other / ".git/index").read_bytes()
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert Repository.around(repository.root) == repository
    assert repository.commit("HEAD") == ours
    worktree_of(repository).close()
    assert (other / ".git/index").read_bytes() == index


def test_no_hook_of_the_user_runs(repository: Repository, tmp_path: Path) -> None:
    hook = repository.root / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'hooked'}\nexit 2\n")
    hook.chmod(0o755)
    worktree_of(repository).close()
    assert not (tmp_path / "hooked").exists()


def test_a_worktree_of_the_user_that_is_not_there_just_now_is_kept(
    repository: Repository, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    git(repository.root, "worktree", "add", "-q", "-b", "feature", str(tmp_path / "disk"))
    (tmp_path / "disk/new.txt").write_text("staged")
    git(tmp_path / "disk", "add", "new.txt")
    (tmp_path / "disk").rename(away)
    worktree_of(repository).close()
    away.rename(tmp_path / "disk")
    assert git(tmp_path / "disk", "status", "--porcelain") == "A  new.txt"


@pytest.mark.parametrize("is_locked", [False, True])
@pytest.mark.parametrize("is_gone", [False, True])
def test_a_killed_runs_worktree_is_removed_by_the_next_run(
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    is_gone: bool,  # noqa: FBT001  pytest gives it by name
    is_locked: bool,  # noqa: FBT001
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", ended_process)
        left = own_folders.new_folder(PREFIX)
    git(repository.root, "worktree", "add", "-q", "--detach", str(left / "tree"))
    if is_locked:  # git itself was killed
        git(repository.root, "worktree", "lock", str(left / "tree"))
    if is_gone:
        left.rename(left.with_name("elsewhere"))
    worktree_of(repository).close()
    assert not left.exists()
    assert len(git(repository.root, "worktree", "list").splitlines()) == 1


def test_a_living_run_keeps_its_worktree(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = worktree_of(repository)
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", os.getppid)
        others = own_folders.new_folder(PREFIX)
    git(repository.root, "worktree", "add", "-q", "--detach", str(others / "tree"))
    worktree_of(repository).close()
    assert own.root.exists()
    assert (others / "tree").exists()
    own.close()


def test_a_submodule_is_checked_out_at_the_commits_own_version(
    repository: Repository, tmp_path: Path
) -> None:
    library = make_repository(tmp_path / "library")
    allowed = ("-c", "protocol.file.allow=always")
    git(repository.root, *allowed, "submodule", "--quiet", "add", str(library), "library")
    base = commit(repository.root)
    (repository.root / "library/code.py").write_text("VERSION = 2\n")
    commit(repository.root / "library")
    commit(repository.root)
    worktree = Worktree(repository=repository, commit=base)
    assert (worktree.root / "library/code.py").read_text() == "VERSION = 1\n"
    worktree.close()
    assert len(git(repository.root, "worktree", "list").splitlines()) == 1


def test_lfs_content_that_only_the_checkout_has_is_no_base(repository: Repository) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n"
    (repository.root / "data.bin").write_text(pointer)
    commit(repository.root)
    (repository.root / ".gitattributes").write_text("*.bin filter=lfs\n")
    commit(repository.root)
    worktree_of(repository).close()  # both have the pointer: nothing is lacking
    (repository.root / "data.bin").write_bytes(bytes(1234))
    with pytest.raises(BaseError, match=r"data\.bin is Git LFS content that cannot be had"):
        worktree_of(repository)
    assert len(git(repository.root, "worktree", "list").splitlines()) == 1


def test_gits_own_message_is_passed_on(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(BaseError, match=r"safe\.directory"):
        Repository.around(repository.root)


@pytest.mark.parametrize("ref", ["nowhere", "HEAD^{tree}", "--help", ""])
def test_what_is_no_commit_is_named(repository: Repository, ref: str) -> None:
    with pytest.raises(BaseError, match="no commit"):
        repository.commit(ref)

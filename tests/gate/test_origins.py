"""Whose code ran: names of a project, and where its modules may come from."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from hpml_gate.measure.origins import Code, Question, project_modules
from hpml_gate.run.dependencies import dependencies
from hpml_gate.run.import_names import import_names, modules_of


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["src/dep/__init__.py", "src/dep/deep/__init__.py"], {"dep": "src"}),
        (["dep/__init__.py", "setup.py"], {"dep": "."}),
        (["one.py"], {"one": "."}),
        (["a/b/pyproject.toml", "a/b/pricing/__init__.py"], {"pricing": "a/b"}),
        (["src/shared/mine/__init__.py", "src/shared/mine/x.py"], {"shared.mine": "src"}),
        (["lib/__init__.py", "lib/one.py"], {"lib": "."}),
        (["random.py", "conftest.py"], {}),
        (["README.md", "dep/data.csv"], {}),
    ],
    ids=["src", "flat", "module", "monorepo", "namespace", "lib", "stdlib", "none"],
)
def test_a_projects_import_names_are_read_off_its_files(
    files: list[str], names: dict[str, str]
) -> None:
    assert import_names(modules_of(files)) == names


def test_modules_are_found_by_name_and_by_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {
        "dep.deep": "/env/site-packages/dep/deep.py",
        "deputy": "/env/site-packages/deputy.py",
        "helper": str(tmp_path / "helper.py"),
        "other": str(tmp_path / ".venv/lib/site-packages/other.py"),
    }
    for name, file in files.items():
        module = ModuleType(name)
        module.__file__ = file
        monkeypatch.setitem(sys.modules, name, module)
    question = Question(names=frozenset({"dep"}), folders=(f"{tmp_path}/",))
    assert project_modules(question).keys() == {"dep.deep", "helper"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout beside an environment: its package is installed there as it is."""
    for folder in ("tree/src/dep", "env/dep"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "one.py").write_text("same")
    (tmp_path / "env/dep/two.py").write_text("stale")
    (tmp_path / "tree/src/dep/two.py").write_text("newer")
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("name", "file", "problem"),
    [
        ("dep.one", "tree/src/dep/one.py", ""),
        ("dep.new", "tree/src/dep/new.py", ""),
        ("dep.one", "env/dep/one.py", ""),
        ("dep.two", "env/dep/two.py", "not its own"),
        ("dep.fast", "tree/src/dep/fast.so", "built of nobody knows what"),
        ("dep.known", "tree/src/dep/known.so", ""),
        ("dep.fast", "env/dep/fast.so", "not its own"),
        ("dep.gone", "env/dep/gone.py", "not its own"),
    ],
)
def test_a_side_owns_what_lies_in_its_tree_and_exact_copies(
    tree: Path, name: str, file: str, problem: str
) -> None:
    code = Code(
        question=Question(names=frozenset({"dep"}), folders=()),
        tree=tree,
        known=frozenset({"src/dep/one.py", "src/dep/two.py", "src/dep/known.so"}),
        sources={"dep.one": "src/dep/one.py", "dep.two": "src/dep/two.py"},
    )
    said = code.problem_with({name: str(tree.parent / file)})
    assert problem in said
    assert bool(problem) == bool(said)
    assert code.seen == {name: str(tree.parent / file)}


def test_a_built_side_owns_its_environment_and_all_of_its_tree(tree: Path) -> None:
    environment = tree.parent / "venv"
    question = Question(names=frozenset({"dep"}), folders=())
    code = Code(question=question, tree=tree, known=frozenset(), environment=environment)
    assert not code.problem_with({"dep.fast": str(environment / "dep/fast.so")})
    assert not code.problem_with({"dep.fast": str(tree / "src/dep/fast.so")})
    assert code.problem_with({"dep.one": str(tree.parent / "env/dep/one.py")})


def test_a_comment_in_a_requirements_file_changes_no_dependency(tmp_path: Path) -> None:
    for folder, text in {"a": "x==1\n", "b": "# why\n\nx==1  # here\n", "c": "x==2\n"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "requirements.txt").write_text(text)
    assert dependencies(tmp_path / "a") == dependencies(tmp_path / "b")
    assert dependencies(tmp_path / "a") != dependencies(tmp_path / "c")

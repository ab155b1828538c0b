"""The record: what is written is read back; what cannot be read is named, with what to do."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import case, measurement, run, unmeasured, verdict

from hpml_gate import record


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    made = run(
        case("one", verdict("slower", 1.3), axes={"model": "bert", "batch": 8, "cold": True}),
        unmeasured("two", "no_data", "give --data-root"),
        case("three", curves={"loss": record.Curve(by="epoch", at=[1, 2], values=[0.5, None])}),
    )
    assert record.read(record.write(made, tmp_path)) == made


Plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(Plain, lambda of: st.lists(of) | st.dictionaries(st.text(), of)))
@settings(max_examples=25)
def test_anything_that_a_step_says_of_itself_can_be_written(value: Any) -> None:
    made = run(case(measurement=measurement([[1.0]], effective={"said": record.plain(value)})))
    msgspec.json.decode(msgspec.json.encode(made), type=record.Run)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.5), 0.5),
        (Path("here"), f"{Path('here')!r}"),
        ({1: (2, {3})}, {"1": [2, [3]]}),
        ("half \ud800", "half \\ud800"),
        (True, True),
    ],
)
def test_what_json_cannot_hold_is_turned_into_what_it_can(value: object, plain: object) -> None:
    turned = record.plain(value)
    assert turned == plain
    assert type(turned) is type(plain)


def written(folder: Path, text: str) -> Path:
    target = folder / "gate.json"
    target.write_text(text)
    return target


WHOLE = msgspec.json.encode(run(case())).decode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"schema_version": 1, "cases": []}', "has schema version 1, this hpml reads 2: read it"),
        ('{"schema_version": 3}', "has schema version 3, this hpml reads 2: a newer hpml wrote it"),
        (WHOLE[: len(WHOLE) // 2], "is damaged"),
        ("", "is damaged"),
        ("[]", "is no record of this gate"),
        (WHOLE.replace('"duration_s":10.0', '"duration_s":"long"'), "$.duration_s"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(record.RecordError) as error:
        record.read(file)
    assert str(error.value).startswith(str(file))
    assert says in str(error.value)


def test_what_cannot_be_read_costs_no_other_record(tmp_path: Path) -> None:
    for name, text in (("a", WHOLE), ("b", WHOLE[:50])):
        (tmp_path / name).mkdir()
        written(tmp_path / name, text)
    (tmp_path / "empty").mkdir()
    runs, problems = record.read_all([tmp_path, tmp_path / "a", tmp_path / "empty"])
    assert [file.parent.name for file, _ in runs] == ["a"]
    assert any("damaged" in one for one in problems)
    assert any("empty: no gate.json" in one for one in problems)


def test_a_record_needs_no_more_than_its_module(tmp_path: Path) -> None:
    assert json.loads(record.write(run(), tmp_path).read_text())["schema_version"] == 2

"""The report: what stands in it is what the records hold, whatever they hold."""

import base64
import csv
import hashlib
import json
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import records

from hpml_gate import record
from hpml_gate.record import Curve, Machine, MetricValues, Run
from hpml_report.page.command import csv_of, main, markdown_of
from hpml_report.page.lines import lines_of, sentence
from hpml_report.page.page import page, parts_of

HARD = "</script><script>alert('\"&')</script>{{ 7*7 }} | `x`"
KERNEL = {"kernel": "add", "variant": "numba", "group": "one core", "size": 1, "limit": "dram"}
PEAK = {"peak_memory_bytes": MetricValues(values=[2.0**20] * 2, better="lower", margin=0.1)}
CASES = [
    records.case("slow", records.verdict("slower", 1.3), failed=True, axes={"model": HARD}),
    records.case(HARD, records.verdict("inconclusive", 1.05, reason=HARD)),
    records.case(
        "fine",
        records.verdict("pass", 1.01),
        measurement=records.measurement([[1e6]] * 2, metrics=PEAK, effective={"threads": HARD}),
    ),
    records.case("first", records.verdict("new", None)),
    records.unmeasured("large", "oom", "it needs 3 GiB"),
    records.unmeasured("elsewhere", "no_hardware", "there is no GPU"),
    records.case(
        "learning",
        measurement=None,
        curves={"loss": Curve(by="epoch", at=[1, 2, 3], values=[2, None, 1])},
    ),
    records.case(
        "limits",
        measurement=None,
        tables={
            "kernels": [{**KERNEL, "ratio_to_limit": 0.5}, {**KERNEL, "ratio_to_limit": None}],
            "sizes": [{"n": 1}, {"n": 2, "only here": "a value of its own"}],
        },
    ),
]  # fmt: skip
RUN = records.run(*CASES, command=["pytest", "-k", HARD], exit_status=1)


class Page(HTMLParser):
    """What a browser would make of a page, as far as tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.tags = "", Counter[str]()
        self.by_tag: dict[str, list[dict[str, str | None]]] = {}
        self.scripts: list[str] = []
        self._is_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.by_tag.setdefault(tag, []).append(dict(attrs))
        self._is_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._is_script = self._is_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts.append(data)
        self.text += data

    def attributes(self, name: str) -> list[str]:
        every = [one for some in self.by_tag.values() for one in some]
        return [value for one in every if (value := one.get(name)) is not None]


@pytest.fixture(scope="module")
def shown() -> Page:
    return Page(page(parts_of([(Path("run/gate.json"), RUN)]), []))


def test_names_with_markup_are_text_and_the_one_script_is_ours(shown: Page) -> None:
    assert shown.tags["script"] == 1
    digest = base64.b64encode(hashlib.sha256(shown.scripts[0].encode()).digest()).decode()
    policy = shown.by_tag["meta"][1]["content"] or ""
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    assert shown.text.count(HARD) >= 5
    assert json.loads(shown.attributes("data-axes")[0])["model"] == HARD


def test_the_sentence_counts_the_rows_of_the_table(shown: Page) -> None:
    axes = [json.loads(one) for one in shown.attributes("data-axes")]
    assert Counter(one["verdict"] for one in axes) == {
        "slower": 1, "oom": 1, "inconclusive": 1, "new": 1, "pass": 1, "no_hardware": 1, "ok": 2
    }  # fmt: skip
    said = "2 of 8 cells fail: 1 slower, 1 oom, 1 inconclusive, 1 new, 1 pass, 1 no_hardware, 2 ok."
    assert said in shown.text
    assert "6 of 8 cells measured" in shown.text


def test_every_figure_has_a_picture_a_name_and_its_data(shown: Page) -> None:
    assert shown.tags["figure"] == shown.tags["svg"] == 3
    pictures = [one for one in shown.by_tag["div"] if one.get("role") == "img"]
    assert all(one["aria-label"] for one in pictures)
    assert shown.text.count("Data of the figure") == 3
    ids = shown.attributes("id")
    assert len(ids) == len({*ids})


def test_rows_that_a_test_measured_are_all_there(shown: Page) -> None:
    assert "only here" in shown.text
    assert "a value of its own" in shown.text


def test_nothing_is_asked_of_a_network(shown: Page) -> None:
    links = [*shown.attributes("href"), *shown.attributes("src")]
    assert all(one.startswith("#") for one in links)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (records.run(), "Nothing was measured: the run holds no cells."),
        (
            records.run(records.unmeasured("a", "no_data", "no files")),
            "Nothing was measured, which is no pass: 1 no_data.",
        ),
        (
            records.run(records.case("a", records.verdict()), exit_status=2),
            "No cell fails, but pytest ended with exit status 2: 1 pass.",
        ),
        (
            records.run(records.case("a", records.verdict(), failed=True)),
            "1 of 1 cells fail: 1 pass, its test failed.",
        ),
    ],
)
def test_no_sentence_calls_a_pass_what_is_none(run: Run, said: str) -> None:
    assert sentence(run, lines_of(1, run)) == said
    assert said in Page(page(parts_of([(Path("gate.json"), run)]), [])).text


def test_a_state_of_a_newer_gate_needs_attention() -> None:
    (line,) = lines_of(1, records.run(records.case("a", records.verdict("slanted"))))
    assert line.needs_attention
    assert not line.is_folded


def test_what_was_not_measured_is_blank_and_never_zero() -> None:
    rows = [*csv.DictReader(csv_of(parts_of([(Path("gate.json"), RUN)])).splitlines())]
    large = next(row for row in rows if row["case"] == "large")
    assert {large[name] for name in ("ratio", "step_ns", "items_per_s", "memory_bytes")} == {""}
    assert large["reason"] == "it needs 3 GiB"
    fine = next(row for row in rows if row["case"] == "fine")
    assert (float(fine["step_ns"]), float(fine["memory_bytes"])) == (1e6, 2**20)


def test_a_table_in_markdown_holds_each_row_on_one_line() -> None:
    lines = markdown_of(parts_of([(Path("gate.json"), RUN)]), []).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(CASES)
    assert {line.replace("\\|", "").count("|") for line in table} == {8}


def test_machines_stand_side_by_side_and_are_not_compared() -> None:
    runs = [
        records.run(CASES[0], machine=Machine(id=f"cpu-{cores}", facts={"cores": cores}))
        for cores in (2, 4)
    ]
    both = Page(page(parts_of([(Path(run.machine.id), run) for run in runs]), []))
    assert both.tags["figure"] == 2
    assert "never compared" in both.text
    assert both.attributes("class").count("differs") == 2


def write(folder: Path, content: Run | str) -> Path:
    folder.mkdir()
    if isinstance(content, Run):
        return record.write(content, folder)
    (folder / "gate.json").write_text(content)
    return folder


def test_what_cannot_be_read_is_named_in_the_page_and_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = write(tmp_path / "whole", records.run(CASES[4]))
    bad = {
        "older": '{"schema_version": 1}',
        "newer": '{"schema_version": 3}',
        "half": whole.read_text()[:100],
        "other": "[]",
    }
    folders = [write(tmp_path / name, text) for name, text in bad.items()]
    (tmp_path / "empty").mkdir()
    places = [*map(str, folders), str(tmp_path / "empty")]
    out = tmp_path / "out" / "report.html"
    assert main([*places, str(whole), "--out", str(out)]) == 0
    said, text = capsys.readouterr().err, Page(out.read_text()).text
    for name in [*bad, "empty"]:
        line = next(one for one in said.splitlines() if str(tmp_path / name) in one)
        assert line.removeprefix("left out: ") in text
    assert "1 of 1 cells fail: 1 oom." in text
    assert main([*places, "--out", str(out)]) == 2
    assert "No record could be read" in out.read_text()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_named_and_leaves_the_old_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write(tmp_path / "run", records.run(CASES[4]))
    out = tmp_path / "report.html"
    out.write_text("the old one")
    with largest_file(1000):
        assert main([str(place), "--out", str(out)]) == 2
    assert "--out" in capsys.readouterr().err
    assert out.read_text() == "the old one"
    assert [*tmp_path.glob("*.part")] == []


def test_tables_and_figures_are_exported_beside_the_page(tmp_path: Path) -> None:
    place, out = write(tmp_path / "run", RUN), tmp_path / "report.html"
    assert main([str(place), "--out", str(out), "--export", "csv,md,svg,png"]) == 0
    drawn: dict[str, Any] = {one.name: one for one in (tmp_path / "report").iterdir()}
    names = ["kernels-1-one-core", "learning-1-loss-epoch", "ratios-1"]
    assert sorted(drawn) == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert "slow" in "".join(ET.parse(drawn["ratios-1.svg"]).getroot().itertext())
    assert drawn["ratios-1.png"].read_bytes().startswith(b"\x89PNG")
    assert out.with_suffix(".csv").exists()
    assert out.with_suffix(".md").exists()


def test_an_unknown_format_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--export", "csv,pdf"])
    assert "no format pdf: there are csv, md, svg, png" in capsys.readouterr().err

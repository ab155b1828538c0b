"""The comment for a pull request, and the terminal: what fails first, nothing cut unseen."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import case, run, unmeasured, verdict

from hpml_gate.markdown import code, prose
from hpml_gate.output.comment import comment
from hpml_gate.output.terminal import rendered, verdict_table
from hpml_gate.words import SCATTER, states

RUN = run(
    case("fine", verdict("pass", 1.01)),
    case("first", verdict("new", None)),
    case("unclear", verdict("inconclusive", 1.05)),
    case("noisy", verdict("inconclusive", 1.04, reason="others used 30% of the CPUs")),
    unmeasured("broken", "incorrect", "incorrect: broken: no such sum"),
    unmeasured("elsewhere", "no_hardware", "there is 1 GPU, it needs 2"),
    case("slow", verdict("slower", 1.3), verdict("slower", 1.2, metric="peak_bytes")),
)


def test_what_fails_comes_first_and_what_passes_is_folded() -> None:
    text = comment(RUN)
    order = ["slow`", "slow [peak_bytes]", "broken", "unclear", "noisy", "elsewhere", "<details>"]
    places = [text.index(one) for one in [*order, "first", "fine"]]
    assert places == sorted(places)
    assert "### Performance: 2 slower, 1 incorrect, 2 inconclusive, 1 new, 1 pass" in text
    assert text.index("fine") < text.index("</details>")


def test_an_undecided_case_has_the_reason_that_the_terminal_shows() -> None:
    text = comment(RUN)
    assert "others used 30% of the CPUs" in text
    assert prose(SCATTER) in text


@pytest.mark.parametrize("count", [10, 2_000])
def test_a_long_comment_is_cut_and_counts_what_is_left_out(count: int) -> None:
    text = comment(run(*(case(f"case 日本 {n}", verdict("slower", 1.3)) for n in range(count))))
    assert len(text.encode()) < 65_536
    shown = text.count("❌ slower")
    left_out = re.search(r"(\d+) more rows are left out", text)
    assert shown + (int(left_out[1]) if left_out else 0) == count


@given(st.text(min_size=1).filter(str.strip))
def test_any_id_is_one_cell_of_code(text: str) -> None:
    made = code(text)
    assert "\n" not in made
    assert not re.search(r"(?<!\\)\|", made)
    fence = re.match(r"`+", made)
    assert fence
    assert fence[0] not in made[len(fence[0]) : -len(fence[0])]


def test_prose_is_neither_markup_nor_mention() -> None:
    assert prose("<img> @all\n[x](y) |") == "\\<img\\> @\u200ball \\[x\\](y) \\|"


def test_the_terminals_table_fits_its_page_and_cuts_no_name() -> None:
    long = "x" * 250
    table = rendered(verdict_table(states(run(*RUN.cases, case(long, verdict("slower", 1.3))))))
    lines = table.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.count("x") for line in lines) >= 250
    assert lines[1].startswith("slower")
    assert lines[-1].split()[0] == "no_hardware"


def test_a_name_like_a_metrics_is_another_case() -> None:
    """Names are for people: a case called ``sum [disk]`` and ``sum``'s disk are told apart."""
    shown = states(
        run(
            case("sum", verdict("pass"), verdict("slower", 3.0, metric="disk")),
            case("sum [disk]", verdict("pass")),
        )
    )
    assert [(one.case_id, state) for one, _, state in shown] == [
        ("sum", "slower"),
        ("sum", "pass"),
        ("sum [disk]", "pass"),
    ]
    assert rendered(verdict_table(shown)).count("sum [disk]") == 2

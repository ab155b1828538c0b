"""The report in a real browser: script, keys and fragment; without Chromium these are skipped."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import records

from hpml_report.page.page import page, parts_of

HARD = "</script><script>alert(1)</script>"
CASES = [
    records.case("slow", records.verdict("slower", 1.3), axes={"model": "bert"}),
    records.case(HARD, records.verdict("slower", 1.2, reason=HARD), axes={"model": HARD}),
    records.case("fine", records.verdict("pass", 1.01), axes={"model": "bert"}),
    records.unmeasured("large", "oom", "it needs 3 GiB"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(page(parts_of([(Path("gate.json"), records.run(*CASES))]), []))
    return file.as_uri()


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Any]:
    """The page; what it complains of, asks for or opens fails its test."""
    context = browser.new_context()
    context.set_default_timeout(10_000)
    one = context.new_page()
    wrong: list[str] = []

    def refuse(dialog: Any) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    one.on("console", lambda message: wrong.append(message.text))
    one.on("pageerror", lambda error: wrong.append(str(error)))
    one.on("dialog", refuse)
    one.on("request", lambda request: wrong.append(request.url))
    one.goto(address)
    yield one
    context.close()
    assert [text for text in wrong if text != address] == []


def names(tab: Any) -> list[str]:
    rows = tab.locator("tr.case:visible summary")
    return [*map(str, rows.all_inner_texts())]


def test_columns_sort_with_blanks_last_and_passes_folded(tab: Any) -> None:
    assert names(tab) == ["slow", HARD, "large"]
    ratio = tab.get_by_role("button", name="ratio").first
    ratio.press("Enter")
    assert names(tab) == [HARD, "slow", "large"]
    ratio.press("Enter")
    assert names(tab) == ["slow", HARD, "large"]


def test_a_filter_a_search_and_their_order_stand_in_the_fragment(tab: Any, browser: Any) -> None:
    tab.get_by_label("model").select_option("bert")
    assert names(tab) == ["slow", "fine"]
    tab.keyboard.press("Escape")
    assert names(tab) == ["slow", HARD, "large"]
    tab.locator("body").press("/")
    tab.keyboard.type("script")
    assert names(tab) == [HARD]
    assert tab.get_by_role("status").inner_text() == "1 of 4 rows shown"
    again = browser.new_page()
    again.goto(tab.url)
    assert names(again) == [HARD]
    again.close()


def test_it_reads_without_a_script_and_prints(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    one = context.new_page()
    one.goto(address)
    assert names(one) == ["slow", HARD, "large"]
    assert one.locator("figure svg").bounding_box()["height"] > 50
    assert not one.locator("#controls").is_visible()
    assert one.pdf().startswith(b"%PDF")
    context.close()

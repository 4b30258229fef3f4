"""The page in a real browser: sorting, filtering, opening, comparing, exporting, the address, themes, phone and print."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from large import board_of, leaderboard, made, under_fog

from robench import parse
from robench.records.refusals import Refusal
from robench.reporting.leaderboard.contents import Leaderboard
from robench.reporting.leaderboard.page import as_html
from robench.reporting.leaderboard.texts import percent
from robench.reporting.statistics import wilson

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver"),
]
webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")


@pytest.fixture(scope="module")
def found() -> Leaderboard:
    return board_of(under_fog(made(8, 6, 60, pictures=True)))


@pytest.fixture(scope="module")
def page(found: Leaderboard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "board.html"
    path.write_text(as_html(found), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1300,1000",
    ):
        options.add_argument(flag)
    saved = tmp_path_factory.mktemp("saved")
    options.add_experimental_option("prefs", {"download.default_directory": str(saved)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    browser.saved = saved
    yield browser
    browser.quit()


@pytest.fixture
def opened(driver: Any, page: Path) -> Any:
    driver.get("about:blank")
    driver.get(page.as_uri())
    return driver


def column(driver: Any, place: int) -> list[str]:
    """Texts of a column of the rows that are shown."""
    cells: list[str] = driver.execute_script(
        f"return [...document.querySelectorAll('#table tr.row')].map(row => row.children[{place}].innerText.trim())"
    )
    return cells


def click(driver: Any, selector: str, place: int = 0) -> None:
    driver.find_elements("css selector", selector)[place].click()


def test_it_asks_for_nothing_and_says_no_error(opened: Any, page: Path) -> None:
    asked = [json.loads(line["message"])["message"] for line in opened.get_log("performance")]
    urls = {one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"}
    assert {url for url in urls if not url.startswith("data:")} <= {page.as_uri(), "about:blank"}
    assert opened.get_log("browser") == []


def test_rows_are_those_of_the_board_with_its_numbers(opened: Any, found: Leaderboard) -> None:
    standings = found.boards[0].standings
    assert column(opened, 1) == [one.label for one in standings]
    assert column(opened, 0) == [str(one.rank) for one in standings]
    assert [text.split("\n")[0] for text in column(opened, 2)] == [percent(one.worst) for one in standings]
    assert column(opened, 3) == [percent(one.clean) for one in standings]
    for count, total in ((0, 60), (60, 60), (17, 60), (1, 3)):
        assert opened.execute_script(f"return wilson({count}, {total})") == pytest.approx([*wilson(count, total)])


def test_the_scripts_tests_and_bits_are_those_of_the_package(opened: Any, found: Leaderboard) -> None:
    from robench.reporting.statistics import mcnemar

    for b, c in ((8, 1), (0, 6), (3, 3), (0, 0), (40, 70)):
        assert opened.execute_script(f"return mcnemar({b}, {c})") == pytest.approx(float(mcnemar(b, c)), abs=1e-9)
    first = found.boards[0].standings[0]
    assert opened.execute_script("return bits(DATA.boards[0].rows[0].right, 60)") == first.right.tolist()
    sizes = found.about[found.boards[0].dataset, first.model].distances("linf")
    assert sizes is not None
    got = opened.execute_script("return halves(model(DATA.boards[0].rows[0]).distances.linf).map(String)")
    for one, size in zip(got, sizes.tolist(), strict=True):
        assert (one == "Infinity") if size == float("inf") else float(one) == pytest.approx(size, rel=1e-3)


def test_a_column_is_sorted_by_its_button_both_ways(opened: Any) -> None:
    click(opened, "thead button", 3)
    heads = opened.find_elements("css selector", "thead th")
    assert [head.get_attribute("aria-sort") for head in heads].count("none") == 8
    assert heads[3].get_attribute("aria-sort") == "descending"
    shares = [float(text.split()[0]) for text in column(opened, 3)]
    assert shares == sorted(shares, reverse=True)
    click(opened, "thead button", 3)
    assert column(opened, 3) == sorted(column(opened, 3), key=lambda text: float(text.split()[0]))
    assert "sort=clean" in opened.current_url


def test_search_and_chips_leave_what_fits(opened: Any) -> None:
    opened.find_element("id", "search").send_keys("madry depth=3")
    assert column(opened, 1) == ["madry(model=vit(depth=3))"]
    assert "1 of 8 defenses" in opened.find_element("id", "status").text
    opened.execute_script("go({q: ''})")
    click(opened, "[aria-label=Recipe] button")
    assert all(text.startswith("madry") for text in column(opened, 1)) and len(column(opened, 1)) == 4
    assert opened.find_elements("css selector", "[aria-label=Recipe] button")[0].get_attribute("aria-pressed") == "true"
    click(opened, "[aria-label=Knowledge] button", 1)
    assert opened.find_element("css selector", "#table caption").text.endswith("score")


def test_a_row_opens_and_shows_what_is_behind_it(opened: Any, found: Leaderboard) -> None:
    click(opened, "button.open")
    detail = opened.find_element("css selector", "tr.detail").text
    about = found.behind(found.boards[0], found.boards[0].standings[0])
    for said in ("Robust accuracy under each attack", "Worst case over ε", "Smallest perturbations found", "Pictures",
                 "Attention held by the 4 largest weights", about.command, about.weights, about.records[0]):  # fmt: skip
        assert said in detail, said
    one = found.boards[0].standings[0].faced[0]
    assert f"{one.rate.count}/60" in detail
    picture = opened.find_element("css selector", "img.sprite")
    assert opened.execute_script("return arguments[0].naturalWidth", picture) == 4 * 8
    assert opened.find_element("css selector", "button.open").get_attribute("aria-expanded") == "true"
    click(opened, "button.open")
    assert not opened.find_elements("css selector", "tr.detail")


def test_two_rows_are_compared_on_their_images(opened: Any, found: Leaderboard) -> None:
    click(opened, "tr.row input")
    assert not opened.find_element("id", "compare").is_displayed()
    click(opened, "tr.row input", 4)
    said = opened.find_element("id", "compare").text
    first, second = (found.boards[0].standings[place] for place in (0, 4))
    b, c = int((first.right & ~second.right).sum()), int((second.right & ~first.right).sum())
    assert f"is {100 * (b - c) / 60:.1f} points" in said
    assert f"{c} images only {first.label} loses, {b} only {second.label}." in said
    sizes = [found.behind(found.boards[0], one).distances("linf") for one in (first, second)]
    both = (sizes[0] > 0) & (sizes[1] > 0) & (sizes[0] < 9) & (sizes[1] < 9)  # type: ignore[operator]
    assert f"mean over the {int(both.sum())} images that are broken in both" in said
    assert "compare=" in opened.current_url


def test_the_address_brings_the_same_state_back(opened: Any, page: Path) -> None:
    opened.execute_script("go({q: 'vit', sort: 'n', down: true, open: new Set([2]), picked: [1, 2]})")
    address, before = opened.current_url, opened.find_element("tag name", "main").text
    opened.get("about:blank")
    opened.get(address)
    assert opened.find_element("tag name", "main").text == before
    opened.get(page.as_uri() + "#board=99&sort=nonsense&open=x.7777&compare=-1")
    assert len(column(opened, 1)) == 8


def test_what_is_shown_is_exported_in_four_forms(opened: Any, found: Leaderboard) -> None:
    opened.execute_script("go({q: 'madry'})")
    forms = {form: opened.execute_script(f"return exported('{form}')") for form in ("md", "tex", "csv", "json")}
    assert forms["md"].count("\n| ") == 2 + 4
    assert "\\begin{tabular}{rlrrrrrlr}\\toprule" in forms["tex"]
    assert "\\label{tab:digits-l-0-1-white-box}" in forms["tex"] and forms["tex"].isascii()
    rows = json.loads(forms["json"])
    assert [row["defense"] for row in rows] == [s.label for s in found.boards[0].standings if "madry" in s.label]
    assert forms["csv"].splitlines()[0].startswith("dataset,norm,eps,knowledge,rank,defense")
    assert len(forms["csv"].splitlines()) == 5


@pytest.fixture
def with_refused(driver: Any, tmp_path: Path) -> Any:
    """A page on which one row of an odd name was refused."""
    refusal = Refusal(
        parse("odd(tag='∞ % $_{x}')"), parse("digits"), None, "dada00", "", 0, "float32", "it raises & stops", 0.0
    )
    path = tmp_path / "refused.html"
    path.write_text(as_html(board_of(replace(made(4, 5, 60), refused=[refusal]))), encoding="utf-8")
    driver.get(path.as_uri())
    return driver


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_the_latex_that_is_exported_compiles_within_the_text(with_refused: Any, tmp_path: Path) -> None:
    table = with_refused.execute_script("return exported('tex')")
    begin = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(begin + table + "\\end{document}", encoding="utf-8")
    call = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1500:]
    assert "Overfull" not in done.stdout


def test_refused_rows_are_searched_and_exported_like_the_others(with_refused: Any) -> None:
    opened = with_refused

    def shown() -> bool:
        return "it raises & stops" in opened.find_element("css selector", "table tbody").text

    assert shown()
    for form in ("md", "tex", "csv", "json"):
        assert "it raises" in opened.execute_script(f"return exported('{form}')"), form
    opened.execute_script("go({q: 'vit'})")
    assert not shown() and "it raises" not in opened.execute_script("return exported('csv')")
    opened.execute_script("go({q: 'odd'})")
    assert shown()


def test_a_chip_of_one_board_does_not_empty_the_next(opened: Any) -> None:
    opened.execute_script("go({architecture: 'vit', recipe: 'madry'})")
    opened.execute_script("const s = byId('board'); s.value = s.options[0].value; s.dispatchEvent(new Event('change'))")
    assert "architecture" not in opened.execute_script("return location.hash")
    opened.execute_script("location.hash = '#architecture=none_of_these'")
    opened.execute_script("read(); draw()")
    chips = opened.find_element("id", "chips").text
    assert "Architecture" in chips, "what filters can be undone"


def test_its_buttons_save_and_copy_what_is_shown(opened: Any) -> None:
    opened.execute_script("go({q: 'depth=2'})")
    opened.find_element("id", "format").send_keys("CSV")
    expected = opened.execute_script("return exported('csv')")
    click(opened, "#save")
    for _ in range(100):
        if (file := opened.saved / "leaderboard.csv").exists():
            break
        time.sleep(0.1)
    assert file.read_text(encoding="utf-8") == expected
    assert expected.count("\n") == 2
    click(opened, "#copy")
    for _ in range(100):
        if (told := opened.find_element("id", "status").text) == "Copied what is shown.":
            break
        time.sleep(0.1)
    assert told == "Copied what is shown."


def test_errors_under_corruptions_are_a_map_and_curves_stand_beside_three_others(opened: Any) -> None:
    opened.execute_script("go({open: new Set([0])})")
    cells = [cell.text for cell in opened.find_elements("css selector", ".heat tbody td")]
    assert cells == ["–", "–", "25", "–", "–"]
    for m in range(5):
        opened.execute_script(f"pick({m})")
    assert len(opened.execute_script("return state.picked")) == 4
    assert len(opened.find_elements("css selector", "tr.detail svg path")) == 4, "its own and three"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation(opened: Any, theme: str) -> None:
    axe = pytest.importorskip("axe_core_python", reason="needs axe-core")
    script = (Path(axe.__path__[0]) / "axe.min.js").read_text(encoding="utf-8")
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    opened.execute_script("go({open: new Set([0, 1]), picked: [0, 1]})")
    opened.execute_script(script)
    result = opened.execute_async_script("axe.run(document).then(arguments[0])")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in result["violations"]] == []
    assert len(result["passes"]) > 20


def test_a_phone_shows_three_columns_and_the_rest_on_opening(opened: Any) -> None:
    phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        shown = [head.text for head in opened.find_elements("css selector", "thead th") if head.is_displayed()]
        assert [text.strip(" ▲▼") for text in shown] == ["Rank", "Defense", "Worst case ↑"]
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 390
        click(opened, "button.open")
        assert "Clean" in opened.find_element("css selector", "dl.phone").text
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_print_shows_every_row_opened(opened: Any) -> None:
    printed = base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert [one.text for one in opened.find_elements("css selector", "article > h2")] == column(opened, 1)
    assert len(opened.find_elements("css selector", "article pre")) == 8
    opened.execute_script("dispatchEvent(new Event('afterprint'))")
    assert not opened.find_elements("css selector", "article")


def test_500_rows_open_in_a_second(driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "many.html"
    path.write_text(as_html(leaderboard(500, 5, 100)), encoding="utf-8")
    driver.get(path.as_uri())
    assert len(column(driver, 1)) == 500
    spent = driver.execute_script(
        "const t = performance.now(); draw(); document.body.offsetHeight; return performance.now() - t"
    )
    assert spent < 1000

"""The documentation: every snippet runs and prints what the page says, every public name is in it, the site builds."""

import contextlib
import doctest
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastconv import datasets

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = (
    "callbacks",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "optimizers.schedules",
    "plot",
    "regularizers",
)
NOT_FOR_USERS = ("CallbackList", "Logs", "check", "get", "get_ops", "schedules")


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docs_snippets = load_tool("docs_snippets")
snippets, run_page = docs_snippets.snippets, docs_snippets.run_page


@pytest.fixture
def reader(monkeypatch, tmp_path):
    """A reader's place: an empty folder, no screen, and for all of CIFAR-10 some images of the sample."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    few = tuple((x[:200], y[:200]) for x, y in datasets.load_sample())
    monkeypatch.setattr(datasets.cifar10, "load_data", lambda path=None: few)


def pages_with_snippets():
    return [page for page in PAGES if any(not s.not_run for s in snippets(page.read_text(encoding="utf-8")))]


@pytest.mark.parametrize("page", pages_with_snippets(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_snippets_run(page, reader):
    if "plot" in page.read_text(encoding="utf-8"):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: pages with pictures are not run")
    run_page(page)
    missing = [name for name in docs_snippets.pictures(page) if not Path(name).is_file()]
    assert not missing, "the page shows pictures that its code does not draw"


def test_reasons_are_given_where_a_snippet_is_not_run():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        marks = re.findall(r"^<!-- (.*) -->\n```python$", text, re.MULTILINE)
        assert all(re.fullmatch(r"not run: \S.{10,}", mark) for mark in marks), page


# --- every public name -----------------------------------------------------------------------------------------------


def public_names():
    """(module, name) of what users' programs name."""
    modules = [importlib.import_module(f"fastconv.{name}") for name in MODULES]
    return [(module.__name__, name) for module in modules for name in names_of(module) if name not in NOT_FOR_USERS]


def names_of(module):
    own = (name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__)
    return getattr(module, "__all__", None) or [name for name in own if name[0].isupper()]


def test_every_public_name_is_in_the_migration_table():
    words = set(re.findall(r"\w+", (ROOT / "docs" / "from_keras.md").read_text(encoding="utf-8")))
    missing = [f"{module}.{name}" for module, name in public_names() if name not in words]
    assert not missing


def test_every_command_is_on_its_page(tmp_path):
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    shown = subprocess.run([sys.executable, "-m", "fastconv", "--help"], capture_output=True, text=True, cwd=tmp_path)
    commands = re.findall(r"^\W*(\w+)  +[A-Z]", shown.stdout.partition("Commands")[2], re.MULTILINE)
    assert len(commands) > 4
    names = re.findall(r"\w+", " ".join(re.findall(r"^\| (`fastconv [^|]+)", page, re.MULTILINE)))
    assert not set(commands) - set(names)


@pytest.mark.parametrize("module", sorted({module for module, _ in public_names()}))
def test_every_module_is_in_the_reference(module):
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")]
    assert any(re.search(rf"^::: {re.escape(module)}$", page, re.MULTILINE) for page in pages)


# --- the site --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(module, reason="mkdocs, its theme or mkdocstrings is not installed: the site is not built")
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet, which would keep warnings from counting.
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.mark.slow
def test_every_public_name_has_a_place_in_the_reference(site):
    html = "".join(page.read_text(encoding="utf-8") for page in (site / "reference").glob("*.html"))
    names = {(module, getattr(sys.modules[module], name).__name__) for module, name in public_names()}  # not short ones
    missing = [f"{module}.{name}" for module, name in sorted(names) if f'id="{module}.{name}"' not in html]
    assert not missing


@pytest.mark.slow
def test_pages_ask_nothing_of_the_network(site):
    loaded = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"?(?:https?:)?//[^\s>]*", re.IGNORECASE)
    asked = {match[0] for page in site.rglob("*.html") for match in loaded.finditer(page.read_text(encoding="utf-8"))}
    assert not asked


@pytest.mark.slow
def test_pictures_of_the_benchmarks_are_part_of_the_site(site):
    pictures = re.findall(r'<img [^>]*src="([^"]+)"', (site / "performance.html").read_text(encoding="utf-8"))
    assert pictures and all((site / picture).is_file() for picture in pictures)


def test_docstrings_become_markdown():
    pytest.importorskip("griffe", reason="griffe is not installed: the reference is not made")
    assert doctest.testmod(load_tool("docs_docstrings")) == (0, 1)


# --- the checks themselves -------------------------------------------------------------------------------------------


def test_snippets_are_found_with_their_marks():
    page = "\n".join(
        (
            "```python",
            "print(1.0)",
            "```",
            "",
            "<!-- output, numbers within 5% -->",
            "```text",
            "1.04",
            "```",
            "<!-- not run: needs a GPU, which not every machine has -->",
            "```python",
            "x",
            "```",
            "```bash",
            "ls",
            "```",
        )
    )
    first, second = snippets(page)
    assert first == docs_snippets.Snippet(2, "print(1.0)\n", "", "1.04\n", 0.05)
    assert second == docs_snippets.Snippet(11, "x\n", "needs a GPU, which not every machine has")


def test_a_wrong_output_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(2)\n```\n\n<!-- output -->\n```text\n3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError):
        run_page(page)


@pytest.mark.parametrize(("printed", "alike"), [("a 1.02 b", True), ("a 1.2 b", False), ("c 1.0 b", False)])
def test_numbers_may_differ_as_much_as_the_page_says(printed, alike):
    with contextlib.nullcontext() if alike else pytest.raises(AssertionError):
        docs_snippets.require_alike(printed, "a 1.00 b", 0.05)


def test_a_snippets_error_names_its_page_and_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\n1 / 0\n```\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError) as error:
        run_page(page)
    assert (Path(error.traceback[-1].path).name, error.traceback[-1].lineno + 1) == ("page.md", 4)

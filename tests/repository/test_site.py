"""The documentation site: it builds without a warning, has every page, can be searched, and asks no other host for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from devtools.site import __main__ as site
from tests.repository.test_links import ROOT, markdown_files

CONF = ROOT / "devtools" / "site" / "conf.py"
_LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']([^"']+)|<link\b[^>]*\bhref=["']([^"']+)""")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "html"
    assert site.main(["--output", str(folder)]) == 0
    return folder


@pytest.mark.timeout(600)
def test_every_page_is_in_the_site_and_can_be_searched(built: Path) -> None:
    pages = [path.relative_to(ROOT) for path in markdown_files() if not path.relative_to(ROOT).parts[0].startswith((".", "tests"))]
    assert [page for page in pages if not (built / page.with_suffix(".html")).is_file()] == []
    index = (built / "searchindex.js").read_text(encoding="utf-8")
    assert all(f'"{page.with_suffix("").as_posix()}"' in index for page in pages)
    contents = (built / "docs" / "index.html").read_text(encoding="utf-8")
    assert all(caption in contents for caption in ("Use it", "Operate it", "Change it"))


def test_headings_can_be_reached_as_on_github(built: Path) -> None:
    page = (built / "docs" / "runbook.html").read_text(encoding="utf-8")
    assert 'id="notice-dead_letter"' in page and 'id="error-server_error"' in page


def test_no_page_loads_anything_from_another_host(built: Path) -> None:
    loaded = set()
    for page in built.rglob("*.html"):
        for match in _LOADED.finditer(page.read_text(encoding="utf-8")):
            loaded.add(match[1] or match[2])
    assert loaded and [address for address in loaded if re.match(r"(?:[a-z]+:)?//", address)] == []
    for sheet in built.rglob("*.css"):
        assert not re.search(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", sheet.read_text(encoding="utf-8")), sheet.name


@pytest.mark.parametrize("link", ["nowhere.md", "other.md#nothing", "other.md"])
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a small repository with the same settings; the last link leads somewhere."""
    (tmp_path / "devtools" / "site").mkdir(parents=True)
    shutil.copy(CONF, tmp_path / "devtools" / "site" / "conf.py")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Index\n\n[there]({link})\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n\n## Something\n\nText.\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    monkeypatch.setattr(site, "ROOT", tmp_path)
    monkeypatch.setattr(site, "__file__", str(tmp_path / "devtools" / "site" / "__main__.py"))
    assert (site.build(tmp_path / "out") == 0) == (link == "other.md")


@pytest.mark.browser
@pytest.mark.npm
@pytest.mark.timeout(600)
def test_diagrams_are_drawn(built: Path) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
    page = (built / "README.html").as_uri()
    shown = subprocess.run([*command, page], capture_output=True, text=True, check=True, timeout=120).stdout
    assert re.search(r"<svg[^>]*flowchart", shown) and 'http-equiv="refresh"' in (built / "index.html").read_text()

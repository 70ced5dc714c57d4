"""The example site builds with Hugo as it is, and needs nothing from outside."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "examples" / "site"

pytestmark = [
    pytest.mark.hugo,
    pytest.mark.skipif(shutil.which("hugo") is None, reason="hugo is missing: sudo apt-get install hugo"),
]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(SITE, folder / "site")
    command = [
        "hugo",
        "--minify",
        "--panicOnWarning",
        "-s",
        str(folder / "site"),
        "-d",
        str(folder / "public"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "public"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("index.html", "Stories of care"),
        ("introduction/index.html", "Three questions to take along"),
        ("stories-project/index.html", "On this page"),
        ("404.html", "This page is not here"),
    ],
)
def test_page_is_built(public: Path, page: str, words: str) -> None:
    html = (public / page).read_text("utf-8")
    assert words in html
    assert re.search(r"<main\b", html)
    assert re.search(r'href="?#main', html), "a way past the navigation"


def test_nothing_is_fetched_from_elsewhere(public: Path) -> None:
    for page in public.rglob("*.html"):
        for link in re.findall(r"(?:src|href)=[\"']?([^\"' >]+)", page.read_text("utf-8")):
            assert not re.match(r"(https?:)?//", link), (page, link)


def test_every_link_leads_somewhere(public: Path) -> None:
    for page in public.rglob("*.html"):
        for link in re.findall(r"(?:src|href)=[\"']?([^\"' >#]+)", page.read_text("utf-8")):
            target = (page.parent / link).resolve()
            assert (target / "index.html").is_file() or target.is_file(), (page, link)


def test_clips_join_the_navigation_once_there_are_some(tmp_path: Path) -> None:
    shutil.copytree(SITE, tmp_path / "site")
    clips = tmp_path / "site" / "content" / "clips"
    clips.mkdir()
    (clips / "_index.md").write_text('+++\ntitle = "Clips"\n+++\n', "utf-8")
    (clips / "small.md").write_text('+++\ntitle = "Small things matter"\n+++\n', "utf-8")
    command = ["hugo", "-s", str(tmp_path / "site"), "-d", str(tmp_path / "public")]
    subprocess.run(command, check=True, capture_output=True)
    home = (tmp_path / "public" / "index.html").read_text("utf-8")
    assert 'href="./clips/"' in home
    assert "Small things matter" in home

"""The migrations travel in the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

BUILD = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
USE = """
import sys
from pathlib import Path
import db
from db.engine import check, current_revision, head_revision, open_database
assert Path(db.__file__).is_relative_to(sys.argv[1]), db.__file__
engine = open_database("stories.db")
assert check(engine) == []
print(current_revision(engine) == head_revision())
"""


def test_a_database_opens_from_an_installed_wheel(tmp_path: Path) -> None:
    source, wheels, site, work = (tmp_path / name for name in ("source", "wheels", "site 100%", "work"))
    for folder in (source, wheels, site, work):
        folder.mkdir()
    shutil.copytree(ROOT / "db", source / "db", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", source)
    (source / "README.md").write_text("Only this room.")
    subprocess.run([sys.executable, "-c", BUILD, wheels], cwd=source, check=True, capture_output=True)
    [wheel] = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)

    code = f"import sys; sys.path.insert(0, sys.argv[1])\n{USE}"
    ran = subprocess.run(
        [sys.executable, "-c", code, site], cwd=work, check=False, capture_output=True, text=True
    )
    assert ran.stdout.strip() == "True", ran.stderr

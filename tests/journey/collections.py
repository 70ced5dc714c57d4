"""Small real collections for the journey's tests: spoken by flite, written by ffmpeg."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

HEADER = "file,story,storyteller,role,sector,place,phase,date,method,language,consent,notes\n"

TOLD = (
    "My name is Margaret, and I live in Glasgow. We kept talking to families every day, and it made a real difference. "
    "I was very lonely at night. The phone never stopped ringing. We started a lunch club in the hall. "
    "Small things matter. Nobody should have to grieve alone."
)
ASKED = "What was the hardest part of working from home?"
ANSWERED = (
    "I felt very tired, and my sister felt lonely too. We had to learn new skills. "
    "A video call made a real difference to my mother. In the end, we got through it together."
)


def say(text: str, target: Path, voice: str = "slt") -> Path:
    """Speak into a 16 kHz wav."""
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", target], check=True)
    return target


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg quietly."""
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments], check=True)


def joined(parts: Sequence[Path], target: Path) -> Path:
    """One file after the other."""
    inputs = [piece for part in parts for piece in ("-i", part)]
    ffmpeg(*inputs, "-filter_complex", f"concat=n={len(parts)}:v=0:a=1", target)
    return target


def filmed(sound: Path, target: Path, *options: str) -> Path:
    """Put a moving picture to a sound."""
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-i", sound, "-shortest"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", *options),
        target,
    )
    return target


def made(root: Path, lines: str = "", settings: str = "") -> Path:
    """An empty collection on the built-in model."""
    (root / "recordings").mkdir(parents=True)
    (root / "stories.toml").write_text(f'[transcription]\nmodel = "demo"\nbeam_size = 1\n{settings}')
    (root / "intake.csv").write_text(HEADER + lines)
    (root / "themes.yaml").write_text((ROOT / "examples/collection/themes.yaml").read_text())
    return root


def two_recordings(root: Path) -> Path:
    """A collection of one telling and one short interview on film."""
    made(
        root,
        "told.wav,A garden,Margaret Ross,Volunteer,Third sector,Glasgow City,1,2020-05-31,self-recorded,en,public,\n"
        "asked.mp4,Working on,Jean Gray,Manager,Education,Fife,2,2020-10-01,interview,en,anonymous,\n",
    )
    say(TOLD, root / "recordings" / "told.wav")
    parts = [say(ASKED, root / "q.wav", "rms"), say(ANSWERED, root / "a.wav", "slt")]
    filmed(joined(parts, root / "qa.wav"), root / "recordings" / "asked.mp4")
    return root


def command(root: Path, *arguments: str | Path) -> list[str]:
    """The command line of `stories` on a collection."""
    return [sys.executable, "-m", "pipeline.cli", "-C", str(root), *map(str, arguments)]


def environment() -> dict[str, str]:
    """A quiet environment in which the rooms are found."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "STORIES_AUTHOR": "tester"}


def stories(root: Path, *arguments: str | Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run `stories` on a collection, as its user would."""
    ran = subprocess.run(
        command(root, *arguments), capture_output=True, text=True, env=environment(), check=False
    )
    assert status is None or ran.returncode == status, ran.stdout + ran.stderr
    return ran


def told(root: Path, *arguments: str | Path, status: int | None = 0) -> Any:
    """What `stories … --json` says."""
    return json.loads(stories(root, *arguments, "--json", status=status).stdout)

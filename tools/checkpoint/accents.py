"""Speakers nobody has met: espeak-ng voices with accents and throats drawn at random.

The built-in accents of a synthesiser are few enough to be learned by heart. Drawn ones are never the same twice: sounds
that accents of English put for each other (Wells 1982, "Accents of English"), another rhythm, other formants.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

BASES = ("en", "en-us", "en-sc", "en-rp", "en-wm", "en-n")
"""espeak-ng's tables of English sounds, but for those of the accents that are held out."""
_DICTIONARY_RULES = {"en-us": "3 6", "en-sc": "2 5 6 7"}

# Which sound, what may stand for it, how often; 00 everywhere, 03 where it is unstressed or last.
_CONSONANTS = (
    ("00", "T", ("t", "t", "f", "s"), 0.4),
    ("00", "D", ("d", "d", "v", "z"), 0.4),
    ("03", "N", ("n",), 0.4),
    ("00", "h", ("NULL",), 0.12),
    ("00", "w", ("v",), 0.05),
    ("00", "v", ("w", "b"), 0.05),
    ("03", "z", ("s",), 0.12),
    ("03", "t", ("?",), 0.1),
    ("00", "Z", ("S",), 0.1),
)
_VOWELS = (
    ("00", "V", ("U", "a", "0", "@"), 0.25),
    ("00", "a", ("E", "A:", "0"), 0.2),
    ("00", "0", ("A:", "O:", "a"), 0.2),
    ("00", "E", ("a", "I", "eI"), 0.12),
    ("00", "I", ("i", "E", "@"), 0.15),
    ("03", "I2", ("i", "@"), 0.2),
    ("03", "i", ("I2", "I"), 0.2),
    ("03", "@", ("V", "a", "E", "0"), 0.25),
    ("03", "3", ("V", "a", "E", "@"), 0.25),
    ("00", "3:", ("E", "V", "O:"), 0.15),
    ("00", "U", ("u:", "V"), 0.15),
    ("00", "u:", ("U", "i:"), 0.12),
    ("00", "i:", ("I", "eI"), 0.1),
    ("00", "eI", ("E", "aI", "i:"), 0.2),
    ("00", "oU", ("O:", "0", "aU", "u:"), 0.2),
    ("00", "aI", ("OI", "A:", "eI"), 0.15),
    ("00", "aU", ("u:", "a", "oU"), 0.15),
    ("00", "O:", ("oU", "0", "A:"), 0.15),
    ("00", "A:", ("a", "0", "O:"), 0.15),
    ("00", "e@", ("E", "3:", "i@"), 0.2),
    ("00", "i@", ("i:", "e@"), 0.15),
    ("00", "U@", ("O:", "3:"), 0.2),
)


def accent(draw: random.Random) -> str:
    """The lines of an espeak-ng voice file that make a way of speaking English: sounds and rhythm."""
    base = draw.choice(BASES)
    lines = [f"phonemes {base}"]
    if base in _DICTIONARY_RULES:
        lines.append(f"dictrules {_DICTIONARY_RULES[base]}")
    strength = draw.uniform(0.3, 1.4)
    lines += [
        f"replace {where} {sound} {draw.choice(others)}"
        for where, sound, others, chance in (*_CONSONANTS, *_VOWELS)
        if draw.random() < chance * strength
    ]
    unstressed = draw.uniform(110, 190)
    stressed = unstressed + draw.uniform(10, 90)
    lengths = [*(unstressed * draw.uniform(0.9, 1.1) for _ in range(2)), *[(unstressed + stressed) / 2] * 2]
    lengths += [stressed, stressed, stressed * 1.15, stressed * 1.3]
    lines.append("stressLength " + " ".join(f"{length:.0f}" for length in lengths))
    return "\n".join(lines)


def throat(draw: random.Random) -> str:
    """The lines of an espeak-ng voice file that make a voice: pitch, formants, how rough and how breathy."""
    size = draw.uniform(0.86, 1.24)
    low = 68 + 105 * (size - 0.86) / 0.38 + draw.uniform(-12, 40)
    lines = [f"pitch {low:.0f} {low * draw.uniform(1.15, 1.6):.0f}"]
    for number in range(9):
        frequency = 100 * size * draw.uniform(0.94, 1.06)
        height, width = draw.uniform(65, 120), draw.uniform(70, 160)
        lines.append(f"formant {number} {frequency:.0f} {height:.0f} {width:.0f}")
    if draw.random() < 0.4:
        lines.append(f"roughness {draw.randint(0, 5)}")
    if draw.random() < 0.4:
        lines.append(f"flutter {draw.randint(0, 8)}")
    if draw.random() < 0.3:
        lines.append(f"voicing {draw.randint(60, 130)}")
    if draw.random() < 0.3:
        lines.append(f"consonants {draw.randint(60, 130)} {draw.randint(60, 130)}")
    if draw.random() < 0.15:
        lines.append(f"breath {' '.join(str(draw.randint(0, 40)) for _ in range(8))}")
    if draw.random() < 0.15:
        lines.append(f"echo {draw.randint(60, 160)} {draw.randint(5, 15)}")
    return "\n".join(lines)


def draw_voices(draw: random.Random, count: int, folder: Path) -> tuple[str, ...]:
    """Write so many voices into ``folder`` and let this process's espeak-ng find them; their names.

    To be called before anything is spoken. What espeak-ng brings itself stays where it is: the folder links to it.

    Raises:
        FileNotFoundError: when espeak-ng is not installed.
    """
    theirs, ours = _data(), folder / "espeak-ng-data"
    for one in _linked(theirs, ours):
        (ours / one).symlink_to(theirs / one)
    names = tuple(f"drawn{number:03}" for number in range(count))
    for name in names:
        head = f"name {name}\nlanguage en-x-{name}\nlanguage en 99\n"
        (ours / "voices" / name).write_text(f"{head}{accent(draw)}\n{throat(draw)}\n", encoding="ascii")
    os.environ["ESPEAK_DATA_PATH"] = str(folder)
    return names


def _linked(theirs: Path, ours: Path) -> Iterator[Path]:
    """What can be taken as it is: all but the folder that the new voices go into, and MBROLA's, which fill the list."""
    (ours / "voices").mkdir(parents=True)
    for folder in (Path(), Path("voices")):
        for one in (theirs / folder).iterdir():
            if one.name not in ("voices", "mb"):
                yield folder / one.name


def _data() -> Path:
    """Where espeak-ng keeps what it knows, as it says itself."""
    said = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    return Path(said.split("Data at:")[1].strip())

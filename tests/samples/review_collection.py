"""A small collection as `stories process` would leave it, made through the tables with short real media."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import wave
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from db import models
from media.poster import poster, waveform_poster
from media.waveform import peaks
from pipeline import indexing, mapping
from pipeline.collection import Collection

PAUSE_MS = 300

GARDEN = [
    (1, "Thank you for coming, Margaret. How did it begin?"),
    (2, "Well, in the spring the day centre closed, and nobody knew for how long."),
    (2, "So we carried the chairs out into the garden and met there."),
    (2, "Twelve people came the first week, and every one of them had brought a flask of tea."),
    (1, "And did that change how you work?"),
    (2, "It did. We stopped asking what people need and began to ask what matters to them."),
    (2, "One man said it was the first time anybody had asked him that."),
]
PHONE = [
    (1, "I have cared for my husband for eleven years."),
    (1, "When the visits stopped I rang the same number every morning."),
    (1, "The voice at the other end knew my name, and that was enough."),
]
THEMES = [
    ("outdoors", "Meeting outdoors", "#4f7a2c", "Work that moves out of doors."),
    ("what-matters", "What matters to people", "#1f6f78", "Asking for outcomes, not for needs."),
    ("being-known", "Being known", None, "Somebody knows my name."),
]


@dataclass(frozen=True)
class Telling:
    """What one recording of the sample holds."""

    name: str
    title: str
    storyteller: str
    phase: str
    consent: str | None
    lines: list[tuple[int, str]]
    film: bool = False
    unsure: tuple[str, ...] = ()
    passages: tuple[tuple[int, int, str | None], ...] = ()
    clips: tuple[tuple[int, int, str], ...] = ()
    failed: str = ""


TELLINGS = [
    Telling(
        "margaret.mp4",
        "The garden that opened early",
        "Margaret Lindsay",
        "1",
        "public",
        GARDEN,
        film=True,
        unsure=("flask",),
        passages=((0, 3, "outdoors"), (4, 6, "what-matters")),
        clips=((1, 3, "outdoors"), (5, 6, "what-matters")),
    ),
    Telling(
        "carer.m4a",
        "The same number every morning",
        "Isla Bain",
        "2",
        "anonymous",
        PHONE,
        passages=((0, 2, None),),
        clips=((0, 2, "being-known"),),
    ),
    Telling(
        "staff.m4a",
        "A talk among staff",
        "Gordon Weir",
        "2",
        "internal",
        PHONE,
        clips=((1, 2, "being-known"),),
    ),
    Telling("gone.m4a", "A story taken back", "Eilidh Ross", "3", "withdrawn", PHONE),
    Telling(
        "cut-off.mp4",
        "The call that broke off",
        "Hamish Muir",
        "3",
        "public",
        [],
        failed=("recordings/cut-off.mp4 ends too early to be read; copy it from the phone again."),
    ),
]


def write_codebook(collection: Collection) -> None:
    """The file that THEMES were read from, for what reads it again."""
    themes = [
        {"key": key, "name": name, "description": description} | ({"colour": colour} if colour else {})
        for key, name, colour, description in THEMES
    ]
    (collection.root / "themes.yaml").write_text(yaml.safe_dump({"themes": themes}, sort_keys=False))


def copy_collection(made: Path, root: Path) -> Collection:
    """A copy of a collection that nobody has open, to be changed freely."""
    shutil.copytree(made, root)
    return Collection.open(root)


def make_collection(root: Path) -> Collection:
    """The collection of TELLINGS in ``root``, with media that can be played and cut."""
    (root / "recordings").mkdir(parents=True)
    (root / "stories.toml").write_text('[collection]\ntitle = "Keeping in touch"\n')
    collection = Collection.open(root)
    spoken: dict[int, tuple[Path, list[tuple[int, int]]]] = {}
    with collection.sessions.begin() as session:
        for position, (key, name, colour, description) in enumerate(THEMES):
            session.add(
                models.Theme(key=key, name=name, colour=colour, description=description, position=position)
            )
        session.flush()
        for telling in TELLINGS:
            if telling.lines and id(telling.lines) not in spoken:
                spoken[id(telling.lines)] = speak(telling.lines, root / f"{telling.name}.wav")
            _add(collection, session, telling, spoken.get(id(telling.lines)))
        session.add(
            models.SourceFile(
                path="recordings/notes.mp3",
                bytes=12,
                mtime_ns=0,
                sha256="0" * 64,
                problem="is text, not sound; take it out of the folder or rename it to .txt.",
            )
        )
    collection.engine.dispose()
    return collection


def speak(lines: list[tuple[int, str]], target: Path) -> tuple[Path, list[tuple[int, int]]]:
    """Say the lines one after the other in a system voice; the file, and each line's span in milliseconds."""
    spans, sound = [], b""
    for speaker, text in lines:
        voice = "en-gb-scotland" if speaker == 1 else "en-gb+f3"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "185", "-w", str(target), text], check=True)
        with wave.open(str(target)) as said:
            pcm, rate_hz = said.readframes(said.getnframes()), said.getframerate()
        start_ms = len(sound) * 1000 // (2 * rate_hz)
        sound += pcm
        spans.append((start_ms, len(sound) * 1000 // (2 * rate_hz)))
        sound += bytes(2 * (rate_hz * PAUSE_MS // 1000))
    with wave.open(str(target), "wb") as out:
        out.setparams((1, 2, rate_hz, 0, "NONE", ""))
        out.writeframes(sound)
    return target, spans


def words_of(text: str, start_ms: int, end_ms: int) -> list[tuple[int, int, str]]:
    """Words with times in proportion to their letters: (start_ms, end_ms, text with its leading space)."""
    parts = text.split()
    letters = sum(len(part) for part in parts)
    made, passed = [], 0
    for part in parts:
        begin = start_ms + (end_ms - start_ms) * passed // letters
        passed += len(part)
        made.append((begin, start_ms + (end_ms - start_ms) * passed // letters, f" {part}"))
    return made


def _add(collection: Collection, session, telling: Telling, spoken) -> None:
    source = collection.recordings / telling.name
    if spoken is None:
        source.write_bytes(b"cut off")
        duration_ms = 61_000
    else:
        _encode(spoken[0], source, telling.film)
        duration_ms = spoken[1][-1][1] + PAUSE_MS
    recording = _recording(telling, source, duration_ms)
    session.add(recording)
    session.flush()
    session.add_all(_runs(telling, recording))
    if spoken is not None:
        _renditions(collection, recording, source, spoken[0], telling.film)
        _transcript(session, recording, telling, spoken[1])


def _encode(sound: Path, target: Path, film: bool) -> None:
    """The recording's file; the same sound is encoded once."""
    done = sound.with_suffix(target.suffix)
    if not done.exists():
        picture = "gradients=s=320x180:r=15:c0=0x1d3b4a:c1=0xe0a458:x0=0:y0=0:x1=320:y1=180:speed=0.02"
        given = ["-f", "lavfi", "-i", picture] if film else []
        video = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "15"] if film else []
        command = ["ffmpeg", "-v", "error", *given, "-i", str(sound), "-shortest", "-c:a", "aac", *video]
        subprocess.run([*command, "-movflags", "+faststart", str(done)], check=True)
    shutil.copy(done, target)


def _recording(telling: Telling, source: Path, duration_ms: int) -> models.Recording:
    digest = hashlib.sha256(telling.name.encode() + source.read_bytes()).hexdigest()
    story = models.Story(
        key=telling.name.split(".")[0],
        title=telling.title,
        phase=telling.phase,
        told_on=date(2020, 6, 4),
        method="interview" if telling.film else "self-recorded",
        storyteller=models.Storyteller(
            key=telling.storyteller.lower().replace(" ", "-"),
            name=telling.storyteller,
            role="support worker" if telling.film else "unpaid carer",
            sector="third sector",
            place="Glasgow",
        ),
        consents=[models.Consent(scope=telling.consent, source="intake")] if telling.consent else [],
    )
    stat = source.stat()
    return models.Recording(
        sha256=digest,
        story=story,
        kind="video" if telling.name.endswith("mp4") else "audio",
        container="mov",
        bytes=stat.st_size,
        duration_ms=duration_ms,
        audio_codec="aac",
        files=[
            models.SourceFile(
                path=f"recordings/{telling.name}",
                bytes=stat.st_size,
                mtime_ns=stat.st_mtime_ns,
                sha256=digest,
            )
        ],
    )


def _runs(telling: Telling, recording: models.Recording) -> list[models.StageRun]:
    stages = ("normalise", "transcribe", "speakers", "corrections", "themes", "clips")
    states = ["failed"] if telling.failed else ["done"] * len(stages)
    return [
        models.StageRun(
            recording_sha256=recording.sha256,
            stage=stage,
            fingerprint="f",
            attempt=1,
            state=state,
            error=telling.failed,
        )
        for stage, state in zip(stages, states, strict=False)
    ]


def _renditions(collection: Collection, recording, source: Path, sound: Path, film: bool) -> None:
    folder = collection.derived_for(recording.sha256)
    folder.mkdir(parents=True)
    web = Path(shutil.copy(source, folder / f"web{source.suffix}"))
    drawn = sound.with_suffix(".jpg")
    if not drawn.exists():
        poster(source, drawn, 3000) if film else waveform_poster(sound, drawn)
    picture = Path(shutil.copy(drawn, folder / "poster.jpg"))
    made = {
        "web": (web, "video/mp4" if film else "audio/mp4"),
        "poster": (picture, "image/jpeg"),
        "waveform": (peaks(sound, folder / "waveform.json").path, "application/json"),
        "speech": (sound, "audio/flac"),
    }
    for kind, (path, media_type) in made.items():
        data = path.read_bytes()
        recording.renditions.append(
            models.Rendition(
                kind=kind,
                path=collection.stored(path),
                media_type=media_type,
                bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
            )
        )


def _transcript(session, recording, telling: Telling, spans: list[tuple[int, int]]) -> None:
    speakers = {
        number: models.Speaker(
            recording_id=recording.id,
            number=number,
            speech_ms=sum(
                e - s for (who, _), (s, e) in zip(telling.lines, spans, strict=True) if who == number
            ),
        )
        for number in sorted({who for who, _ in telling.lines})
    }
    row = models.Transcript(
        recording_id=recording.id, version=1, engine="whisper", model="demo", language="en", current=True
    )
    session.add_all([*speakers.values(), row])
    session.flush()
    ranges = []
    ordinal = 0
    for place, ((who, text), (start_ms, end_ms)) in enumerate(zip(telling.lines, spans, strict=True)):
        said = words_of(text, start_ms, end_ms)
        first, last = ordinal, ordinal + len(said) - 1
        for begin_ms, stop_ms, word in said:
            row.words.append(
                models.Word(
                    ordinal=ordinal,
                    start_ms=begin_ms,
                    end_ms=stop_ms,
                    text=word,
                    probability=0.31 if word.strip(" .,") in telling.unsure else 0.93,
                )
            )
            ordinal += 1
        row.segments.append(
            models.Segment(ordinal=place, first_word=first, last_word=last, start_ms=start_ms, end_ms=end_ms)
        )
        row.attributions.append(
            models.Attribution(first_word=first, last_word=last, speaker_id=speakers[who].id)
        )
        ranges.append((first, last))
    session.flush()
    _passages_and_clips(session, recording, telling, row, ranges, spans)
    session.flush()
    indexing.index(session, row, mapping.current_transcript(session, row))


def _passages_and_clips(session, recording, telling, row, ranges, spans) -> None:
    themes = {theme.key: theme for theme in session.query(models.Theme)}
    quote = lambda first, last: " ".join(text for _, text in telling.lines[first : last + 1])  # noqa: E731
    for ordinal, (first, last, key) in enumerate(telling.passages):
        row.passages.append(
            models.Passage(
                ordinal=ordinal,
                first_word=str(ranges[first][0]),
                last_word=str(ranges[last][1]),
                start_ms=spans[first][0],
                end_ms=spans[last][1],
                quote=quote(first, last),
                unsure=key is None,
                sentences=[
                    [str(ranges[place][0]), str(ranges[place][1]), *spans[place], telling.lines[place][1]]
                    for place in range(first, last + 1)
                ],
                themes=[
                    models.PassageTheme(
                        theme=theme,
                        score=0.5 if theme.key == key else 0.1,
                        state="proposed" if theme.key == key else "scored",
                        why=[[str(ranges[last][0]), str(ranges[last][1]), 0.7]] if theme.key == key else [],
                    )
                    for theme in themes.values()
                ],
            )
        )
    for first, last, key in telling.clips:
        recording.clips.append(
            models.Clip(
                slug=f"{key}-{recording.sha256[:8]}",
                theme=themes[key],
                title=telling.lines[first][1],
                start_ms=max(0, spans[first][0] - 100),
                end_ms=spans[last][1] + 100,
                reasons=["whole sentences", "one voice"],
                links=[
                    models.ClipLink(
                        transcript_id=row.id,
                        first_word=str(ranges[first][0]),
                        last_word=str(ranges[last][1]),
                        start_ms=spans[first][0],
                        end_ms=spans[last][1],
                        quote=quote(first, last),
                    )
                ],
            )
        )

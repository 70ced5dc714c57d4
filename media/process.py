"""Finds and runs ffmpeg and ffprobe; nothing else in the project starts them.

ffmpeg-python builds the argument list; it is run here without a shell and without standard input, in a
process group of its own that is killed on a timeout, on an interrupt, and (where ``setpriv`` exists) when we
are killed. Inputs may use only the protocol ``file`` and the container formats in :data:`FORMATS`: whatever
its name, a playlist, a concat script or an SDP file is refused before it can point anywhere.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import ffmpeg

from media.errors import ToolFailed, ToolMissing, ToolTimeout, shown

Progress = Callable[[float], None]
"""Called with the share done, 0 to 1, never falling."""

FORMATS = (
    "mov,mp4,matroska,webm,mp3,wav,w64,flac,ogg,aac,aiff,caf,amr,amrnb,amrwb,avi,mpeg,mpegts,asf,flv,au,"
    "ac3,eac3,dv,mxf,wv,ape,tta,loas,dts,gsm,rm"
)
"""The demuxers an input may use. None of them opens another file or address."""

PROTOCOLS = "file"

_TAIL_LINES = 400
_PROBE_TIMEOUT_S = 120.0
_STAND_INS = {0xDC00 + byte: 0x10FF00 + byte for byte in range(0x80, 0x100)}
"""ffmpeg-python cannot hash the surrogates with which Python writes names that are not UTF-8."""
_ORIGINALS = {stand_in: original for original, stand_in in _STAND_INS.items()}
_GLOBALS = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info", "-progress", "pipe:1")

Node = Any
"""A node of ffmpeg-python's graph; the library has no types."""


@dataclass(frozen=True)
class Outcome:
    """What a finished run left: its log's tail, the time of its last output, and how many errors it
    logged.
    """

    stderr: str
    out_time_ms: int
    error_count: int


@functools.cache
def find_tool(name: str) -> Path:
    """Where ``ffmpeg`` or ``ffprobe`` is.

    Raises:
        ToolMissing: when it is not on the PATH.
    """
    found = shutil.which(name)
    if found is None:
        raise ToolMissing(
            f"{name} is not installed or not on the PATH: install it (Debian, Ubuntu: sudo apt install ffmpeg)."
        )
    return Path(found)


@functools.cache
def ffmpeg_version() -> str:
    """The version as ffmpeg states it, for example ``5.1.9-0+deb12u1``."""
    match = re.match(r"ffmpeg version (\S+)", _listing("-version"))
    return match[1] if match else "unknown"


@functools.cache
def ffmpeg_filters() -> frozenset[str]:
    """The names of the filters this ffmpeg was built with."""
    return frozenset(re.findall(r"^ [T.][S.][C.]? (\w+)", _listing("-filters"), re.MULTILINE))


def _listing(option: str) -> str:
    argv = [str(find_tool("ffmpeg")), "-hide_banner", option]
    if option == "-version":
        argv.remove("-hide_banner")
    return subprocess.run(argv, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


def address(path: Path) -> str:
    """The path as ffmpeg takes it literally, whatever it begins with or holds (for an argument list)."""
    return f"file:{path.absolute()}"


def _hashable(text: str) -> str:
    return text.translate(_STAND_INS)


def input_file(path: Path, **options: Any) -> Node:
    """An input node for ``path`` that may read this one file, in one of :data:`FORMATS`, and nothing else."""
    return ffmpeg.input(
        _hashable(address(path)), protocol_whitelist=PROTOCOLS, **{"format_whitelist": FORMATS, **options}
    )


def output_file(*nodes: Node, path: Path, **options: Any) -> Node:
    """An output node that writes ``nodes`` to ``path``, without the source's metadata and the same every
    time.
    """
    quiet = {"map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "flags": "+bitexact"}
    return ffmpeg.output(*nodes, _hashable(address(path)), **{**quiet, **options})


def discard(*nodes: Node, **options: Any) -> Node:
    """An output node that reads ``nodes`` to their end and keeps nothing."""
    return ffmpeg.output(*nodes, "-", f="null", **options)


def run_ffmpeg(
    stream: Node,
    *,
    timeout_s: float,
    duration_ms: int | None = None,
    progress: Progress | None = None,
    about: Path | None = None,
) -> str:
    """Run the graph that ends in the output node ``stream``; return the tail of ffmpeg's log.

    ``duration_ms`` is the expected length of the output, needed for ``progress``; ``about`` is the file to
    name in an error.

    Raises:
        ToolMissing, ToolFailed, ToolTimeout
    """
    return execute(
        stream, timeout_s=timeout_s, duration_ms=duration_ms, progress=progress, about=about
    ).stderr


def execute(
    stream: Node,
    *,
    timeout_s: float,
    duration_ms: int | None = None,
    progress: Progress | None = None,
    about: Path | None = None,
) -> Outcome:
    """As :func:`run_ffmpeg`, and say how far the output went and how many errors were logged."""
    arguments = [part.translate(_ORIGINALS) for part in ffmpeg.compile(stream, overwrite_output=True)[1:]]
    argv = [*_leash(), str(find_tool("ffmpeg")), *_GLOBALS, *arguments]
    meter = _Meter(duration_ms, progress)
    log = _supervise(argv, timeout_s, meter.line, about)
    meter.done()
    return Outcome(log.text, meter.out_time_ms, log.error_count)


def run_ffprobe(path: Path, *options: str) -> tuple[dict[str, Any], str]:
    """What ffprobe says of ``path`` as JSON, and its log.

    Raises:
        ToolMissing, ToolFailed, ToolTimeout
    """
    lines: list[str] = []
    argv = [
        *_leash(), str(find_tool("ffprobe")), "-hide_banner", "-loglevel", "level+warning", "-print_format", "json",
        "-protocol_whitelist", PROTOCOLS, "-format_whitelist", FORMATS, *options, "-i", address(path),
    ]  # fmt: skip
    log = _supervise(argv, _PROBE_TIMEOUT_S, lines.append, path)
    return json.loads("".join(lines)), log.text


def share(progress: Progress | None, start: float, end: float) -> Progress | None:
    """A progress that runs from ``start`` to ``end`` of the given one."""
    if progress is None:
        return None
    whole = progress
    return lambda done: whole(start + (end - start) * done)


@functools.cache
def _leash() -> tuple[str, ...]:
    """What makes the kernel kill ffmpeg when we are killed, where the system has it."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


@dataclass
class _Meter:
    """Reads what ``-progress`` writes."""

    duration_ms: int | None
    progress: Progress | None
    out_time_ms: int = 0

    def line(self, line: str) -> None:
        key, _, value = line.strip().partition("=")
        if key != "out_time_us" or not value.lstrip("-").isdigit():
            return
        self.out_time_ms = max(self.out_time_ms, round(int(value) / 1000))
        if self.progress and self.duration_ms:
            self.progress(min(1.0, self.out_time_ms / self.duration_ms))

    def done(self) -> None:
        if self.progress:
            self.progress(1.0)


@dataclass
class _Log:
    """The last lines of standard error, and the number of errors in all of it."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    error_count: int = 0

    def drain(self, pipe: IO[str]) -> None:
        for line in pipe:
            self.lines.append(line)
            self.error_count += "[error]" in line or "[fatal]" in line

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def reason(self) -> str:
        """The first error that is left in the tail: the later ones follow from it."""
        errors = [line for line in self.lines if "[error]" in line or "[fatal]" in line]
        return re.sub(r"\[[^]]*\]\s*", "", errors[0]).strip() if errors else "it gave no reason"


def _supervise(argv: list[str], timeout_s: float, on_line: Callable[[str], None], about: Path | None) -> _Log:
    """Run to the end, pass standard output on line by line; whatever happens, leave no process behind."""
    log = _Log()
    with _started(argv) as process, _deadline(process, timeout_s) as expired:
        assert process.stdout is not None
        assert process.stderr is not None
        reader = threading.Thread(target=log.drain, args=(process.stderr,), daemon=True)
        reader.start()
        for line in process.stdout:
            on_line(line)
        returncode = process.wait()
        reader.join()
    if returncode:
        raise _failure(argv, returncode, log, about, timeout_s if expired.is_set() else None)
    return log


@contextlib.contextmanager
def _started(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    with process:
        try:
            yield process
        except BaseException:
            _kill(process)
            raise


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str], timeout_s: float) -> Iterator[threading.Event]:
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        _kill(process)

    timer = threading.Timer(timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _failure(
    argv: list[str], returncode: int, log: _Log, about: Path | None, timeout_s: float | None
) -> ToolFailed:
    tool = next(Path(part).name for part in argv if Path(part).name in ("ffmpeg", "ffprobe"))
    name = f" on {shown(about)}" if about else ""
    if timeout_s is not None:
        message = f"{tool} was stopped{name}: it took longer than {timeout_s:.0f} s."
        return ToolTimeout(message, argv=argv, returncode=returncode, stderr_tail=log.text)
    message = f"{tool} failed{name}: {log.reason}."
    return ToolFailed(message, argv=argv, returncode=returncode, stderr_tail=log.text)

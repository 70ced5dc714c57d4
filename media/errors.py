"""What can be wrong with a media file or its tools.

MediaError
├── ToolMissing          ffmpeg or ffprobe is not installed
├── NotMedia             empty, text, a playlist, or a format that is not accepted
├── DamagedMedia         cut off or undecodable; says how much could be read
├── NoSound              nothing to hear
└── ToolFailed           ffmpeg failed for another reason
    └── ToolTimeout      and took longer than it was given

``str(error)`` is one sentence for a producer: which file, what is wrong, what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class MediaError(Exception):
    """Anything wrong with a media file or the tools that read it."""


class ToolMissing(MediaError):
    """ffmpeg or ffprobe was not found on this machine."""


class NotMedia(MediaError):
    """The file holds no sound or film that can be read here."""


class DamagedMedia(MediaError):
    """The file is sound or film, but not all of it can be read.

    ``readable_ms`` of ``duration_ms`` could be decoded; both are None when nothing could.
    """

    def __init__(
        self, message: str, *, readable_ms: int | None = None, duration_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.readable_ms = readable_ms
        self.duration_ms = duration_ms


class NoSound(MediaError):
    """The file has no sound track."""


class ToolFailed(MediaError):
    """ffmpeg or ffprobe ended with an error; ``stderr_tail`` holds its last lines."""

    def __init__(self, message: str, *, argv: Sequence[str], returncode: int, stderr_tail: str) -> None:
        super().__init__(message)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr_tail = stderr_tail

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword arguments do not cross process pools by themselves.
        return _failed_again, (type(self), str(self), self.argv, self.returncode, self.stderr_tail)


class ToolTimeout(ToolFailed):
    """ffmpeg or ffprobe was stopped because it took too long."""


def _failed_again(
    kind: type[ToolFailed], message: str, argv: tuple[str, ...], returncode: int, stderr_tail: str
) -> ToolFailed:
    return kind(message, argv=argv, returncode=returncode, stderr_tail=stderr_tail)


def shown(path: Path) -> str:
    r"""The file's name as it can be printed on one line.

    >>> shown(Path("/tmp/two\nlines.mp4"))
    'two\\nlines.mp4'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path.name)


def clock(ms: int) -> str:
    """A length of time as people write it.

    >>> clock(65_400), clock(3_723_000)
    ('1:05.4', '1:02:03')
    """
    minutes, rest = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest // 1000:02}"
    return f"{minutes}:{rest // 1000:02}.{rest % 1000 // 100}"

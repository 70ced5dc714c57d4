"""Publishing into a Hugo site: plan every file, look for what stands in the way, then write."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from media.hashing import sha256_file
from pipeline.publish import captions, files, manifest, pages, shared
from pipeline.publish.errors import PublishError
from pipeline.publish.manifest import Entry, Manifest
from pipeline.publish.values import PublishedClip

__all__ = ["PublishError", "PublishReport", "publish"]

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_CONFIGS = tuple(
    f"{name}.{suffix}" for name in ("hugo", "config") for suffix in ("toml", "yaml", "yml", "json")
)


@dataclass(frozen=True, slots=True)
class PublishReport:
    """Paths within the site, in order; ``kept``: files of others that remain in a removed clip's folder."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Planned:
    """A file to be in the site; ``content`` is its bytes, or the file that holds them."""

    content: bytes | Path
    sha256: str
    slug: str | None

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


def publish(site: Path, clips: Sequence[PublishedClip], *, title: str, force: bool = False) -> PublishReport:
    """Makes the site hold exactly these clips: new ones written, others removed, equal files left untouched.

    ``title`` heads the index page. Everything is checked before anything is written. A file at our place that
    is not as we wrote it stops the publishing, unless ``force``. Raises PublishError, naming the file.
    """
    _require_hugo_site(site)
    _require_good_slugs(clips)
    with files.locked(site) as mine:
        if not mine:
            raise PublishError(
                f"Another publish into {site} is still running; wait for it and publish again."
            )
        return _publish(site, clips, title, force)


def _publish(site: Path, clips: Sequence[PublishedClip], title: str, force: bool) -> PublishReport:
    known = manifest.read(site)
    planned = _plan(clips, title)
    present = _present(site, {*planned, *known.paths()})
    if not force:
        _refuse_conflicts(site, planned, known, present)
    changed = [path for path, file in planned.items() if present.get(path) != file.sha256]
    gone = sorted(known.paths() - planned.keys())
    _require_approved_media(clips, changed)
    final = {path: _entry(site, path, file, changed) for path, file in planned.items()}
    try:
        _apply(site, planned, known.there(present), final, changed, gone)
    except OSError as error:
        raise PublishError(
            f"Writing into {site} stopped at {error.filename or site} ({error.strerror}); put that right and "
            "publish again: it goes on where it stopped."
        ) from error
    return PublishReport(
        tuple(sorted(changed)),
        tuple(sorted(planned.keys() - set(changed))),
        tuple(path for path in gone if path in present),
        _left_behind(site, gone, planned),
    )


def _apply(
    site: Path,
    planned: Mapping[str, _Planned],
    there: Mapping[str, Entry],
    final: Mapping[str, Entry],
    changed: Sequence[str],
    gone: Sequence[str],
) -> None:
    if changed or gone:
        # first what is meant to be, so that a publish that was killed still knows its own files
        _write_manifest(site, Manifest(there, final))
    for path in changed:
        files.write(site / path, planned[path].content)
    for path in gone:
        files.remove(site / path, site)
    _write_manifest(site, Manifest(final, {}))


def _write_manifest(site: Path, wanted: Manifest) -> None:
    path, text = site / manifest.NAME, manifest.render(wanted).encode()
    if not path.exists() or path.read_bytes() != text:
        files.write(path, text)


def _plan(clips: Sequence[PublishedClip], title: str) -> dict[str, _Planned]:
    planned = {path: _text(content, None) for path, content in shared.read_all().items()}
    for clip in clips:
        planned |= dict(_bundle(clip))
    planned["data/clips.json"] = _text(pages.clips_data(title, clips).encode(), None)
    planned["content/clips/_index.md"] = _text(pages.index_page(title, clips).encode(), None)
    return planned


def _bundle(clip: PublishedClip) -> Iterator[tuple[str, _Planned]]:
    folder = f"content/clips/{clip.slug}"
    vtt, poster = _source(clip.captions, clip), _source(clip.poster, clip)
    yield f"{folder}/{clip.media_name}", _Planned(clip.media, clip.media_sha256, clip.slug)
    yield f"{folder}/captions.vtt", _text(vtt, clip.slug)
    yield f"{folder}/poster.jpg", _text(poster, clip.slug)
    page = pages.clip_page(clip, captions.turns(vtt.decode("utf-8-sig", errors="replace")))
    yield f"{folder}/index.md", _text(page.encode(), clip.slug)


def _source(path: Path, clip: PublishedClip) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PublishError(
            f"{path}, needed for the clip {clip.slug}, cannot be read ({error.strerror}); "
            f"cut the clip again (stories clip cut {clip.slug})."
        ) from error


def _text(content: bytes, slug: str | None) -> _Planned:
    return _Planned(content, hashlib.sha256(content).hexdigest(), slug)


def _entry(site: Path, path: str, file: _Planned, changed: Sequence[str]) -> Entry:
    size = file.size if path in changed else (site / path).stat().st_size
    return Entry(file.sha256, size, file.slug)


def _present(site: Path, paths: set[str]) -> dict[str, str]:
    """The hashes of those files that are there; '' for what is not a plain file."""
    found: dict[str, str] = {}
    for path in paths:
        place = site / path
        if place.is_file() and not place.is_symlink():
            found[path] = sha256_file(place)
        elif place.is_symlink() or place.exists():
            found[path] = ""
    return found


def _refuse_conflicts(
    site: Path, planned: Mapping[str, _Planned], known: Manifest, present: Mapping[str, str]
) -> None:
    changed: list[str] = []
    strange: list[str] = []
    for path, sha in sorted(present.items()):
        wanted = planned.get(path)
        if (wanted is not None and wanted.sha256 == sha) or known.wrote(path, sha):
            continue
        (changed if path in known.paths() else strange).append(path)
    if strange:
        raise PublishError(
            f"Something that this program did not write stands in its place: {_listed(site, strange)}; "
            "move it away, or publish with --force to replace it. Nothing was changed."
        )
    if changed:
        raise PublishError(
            f"Changed by hand since it was published: {_listed(site, changed)}; keep your version elsewhere "
            "and publish with --force to replace it. Nothing was changed."
        )


def _listed(site: Path, paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(str(site / path) for path in paths[:5]) + more


def _require_hugo_site(site: Path) -> None:
    if not site.is_dir():
        raise PublishError(f"{site} is not a folder; name the folder of a Hugo site (hugo new site {site}).")
    if not any((site / name).is_file() for name in _CONFIGS) and not (site / "config").is_dir():
        raise PublishError(
            f"{site} is not a Hugo site: it holds no hugo.toml; name the site's own folder, or make one "
            f"(hugo new site {site})."
        )


def _require_good_slugs(clips: Sequence[PublishedClip]) -> None:
    seen: set[str] = set()
    for clip in clips:
        if not _SLUG.fullmatch(clip.slug):
            raise PublishError(
                f"The slug {clip.slug!r} cannot stand in an address; use letters a-z, digits and hyphens."
            )
        if clip.slug in seen:
            raise PublishError(f"Two clips have the slug {clip.slug}; give one of them another.")
        seen.add(clip.slug)


def _require_approved_media(clips: Sequence[PublishedClip], changed: Sequence[str]) -> None:
    for clip in clips:
        if f"content/clips/{clip.slug}/{clip.media_name}" not in changed:
            continue
        try:
            same = sha256_file(clip.media) == clip.media_sha256
        except OSError as error:
            raise PublishError(
                f"{clip.media}, the media of the clip {clip.slug}, cannot be read ({error.strerror}); "
                f"cut the clip again (stories clip cut {clip.slug})."
            ) from error
        if not same:
            raise PublishError(
                f"{clip.media} is not the media that was approved for the clip {clip.slug}; "
                "look at the clip again and approve it."
            )


def _left_behind(site: Path, gone: Sequence[str], planned: Mapping[str, _Planned]) -> tuple[str, ...]:
    folders = {(site / path).parent for path in gone if path.startswith("content/clips/")}
    folders -= {(site / path).parent for path in planned}
    rest = (file for folder in folders if folder.is_dir() for file in folder.rglob("*") if not file.is_dir())
    return tuple(sorted(file.relative_to(site).as_posix() for file in rest))

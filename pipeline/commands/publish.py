"""`stories publish`: approved clips into a Hugo site."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from pipeline import console, publishing
from pipeline.collection import Collection
from pipeline.errors import ConfigError
from pipeline.publish.site import publish


@click.command("publish")
@click.argument("site", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--force", is_flag=True, help="Write over files of ours that somebody changed in the site.")
@console.json_option
@console.with_collection
def command(collection: Collection, site: Path | None, force: bool, as_json: bool) -> None:
    """Put approved clips of consenting storytellers into the Hugo site SITE.

    SITE defaults to publishing.site of stories.toml. Clips that may no longer be shown are taken out. Pages show a
    clip with {{< clip "SLUG" >}}.
    """
    target = site or _configured(collection)
    going, left = publishing.gather(collection)
    report = publish(target, going, title=collection.settings.collection.title, force=force)
    if as_json:
        console.print_json(
            {
                "clips": [clip.slug for clip in going],
                "left_out": [asdict(item) for item in left],
                "written": list(report.written),
                "unchanged": len(report.unchanged),
                "removed": list(report.removed),
                "kept": list(report.kept),
            }
        )
        return
    for item in left:
        click.echo(f"left out: {item.slug}: {item.reason}")
    for path in report.kept:
        click.echo(f"not ours, so it was left in the folder of a clip that is gone: {path}")
    click.echo(
        f"{len(going)} clips in {target}: {len(report.written)} files written, {len(report.unchanged)} unchanged, "
        f"{len(report.removed)} removed"
    )
    if going:
        click.echo(f'In a page: {{{{< clip "{going[0].slug}" >}}}}')


def _configured(collection: Collection) -> Path:
    if not collection.settings.publishing.site:
        raise ConfigError("Name the Hugo site: `stories publish SITE`, or publishing.site in stories.toml.")
    return collection.root / collection.settings.publishing.site

"""`stories init`: a new collection."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from pipeline.errors import ConfigError

FILES = ("stories.toml", "intake.csv", "themes.yaml", "vocabulary.txt", "corrections.txt")


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--title", help="What the collection is called.")
@click.option(
    "--model",
    help="The recognition model: a Whisper model's name, a file of weights, or `demo`. "
    "Default: `turbo` where there is a GPU, else `small`.",
)
def command(folder: Path, title: str | None, model: str | None) -> None:
    """Make a new collection in DIR, with commented example files.

    Files that are there already are left as they are.
    """
    if (folder / "stories.toml").exists():
        raise ConfigError(f"{folder} is a collection already; nothing was changed.")
    (folder / "recordings").mkdir(parents=True, exist_ok=True)
    values = {
        "@TITLE@": _toml_text(title or folder.resolve().name.replace("-", " ").capitalize()),
        "@MODEL@": _toml_text(model or _model_for_this_machine()),
    }
    for name in FILES:
        target = folder / name
        if not target.exists():
            target.write_text(_filled(name, values), encoding="utf-8")
    click.echo(f"{folder} is a collection now. Next:")
    click.echo(f"  1. put recordings into {folder / 'recordings'}")
    click.echo(f"  2. describe each of them in {folder / 'intake.csv'}, one line a file")
    click.echo(f"  3. stories -C {folder} process")


def _model_for_this_machine() -> str:
    from transcripts.engines.openai_whisper import default_model

    return default_model()


def _filled(name: str, values: dict[str, str]) -> str:
    text = resources.files("pipeline").joinpath("templates", name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(key, value)
    return text


def _toml_text(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')

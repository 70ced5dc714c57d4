"""Every command has help and stands in the README; mistakes end in one line and the right status."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.cli import COMMANDS, stories

ROOT = Path(__file__).resolve().parents[2]


def every_command() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(stories)
    for name in COMMANDS:
        command = stories.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {verb}", inner) for verb, inner in command.commands.items())
        else:
            yield name, command


COMMANDS_AND_VERBS = dict(every_command())


@pytest.mark.parametrize("name", COMMANDS_AND_VERBS)
def test_every_command_has_help_and_stands_in_the_readme(name: str) -> None:
    command = COMMANDS_AND_VERBS[name]
    assert command.help
    assert f"| `{name}" in (ROOT / "README.md").read_text()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name} says nothing of itself"
    shown = CliRunner().invoke(stories, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert command.help.split("\n")[0][:40] in shown.output


@pytest.mark.parametrize(
    "name", ["status", "show", "search", "clip list", "process", "publish", "doctor", "speakers list"]
)
def test_commands_that_list_take_json(name: str) -> None:
    command = COMMANDS_AND_VERBS[name]
    assert any("--json" in parameter.opts for parameter in command.params)


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status"], "is no collection"),
        (["-C", "nowhere", "status"], "is no collection"),
        (["sing"], "No such command 'sing'"),
        (["clip", "add", "a", "one", "2"], "is no time"),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_init_makes_a_collection_that_works_and_is_not_made_twice(tmp_path: Path) -> None:
    assert (
        run("init", "mine", "--model", "demo", "--title", 'Our "first" stories', cwd=tmp_path).returncode == 0
    )
    status = run("-C", "mine", "status", cwd=tmp_path)
    assert status.returncode == 0, status.stderr
    assert "nothing here yet" in status.stdout
    again = run("init", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "nothing was changed" in again.stderr


def test_the_collection_is_found_from_a_folder_inside(tmp_path: Path) -> None:
    run("init", "mine", "--model", "demo", cwd=tmp_path)
    assert run("status", cwd=tmp_path / "mine" / "recordings").returncode == 0


def test_help_does_not_load_the_heavy_libraries() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from pipeline.cli import stories;"
        "CliRunner().invoke(stories, ['process', '--help']);"
        "print([name for name in ('torch', 'whisper', 'sklearn', 'faster_whisper') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from click.testing import CliRunner

from tools.checkpoint import training
from tools.checkpoint.network import (
    FULL_VOCABULARY,
    Network,
    Size,
    export,
    go_back,
    mean_of,
    spoken_by,
    take_up,
)
from tools.checkpoint.speech import tokenizer
from tools.checkpoint.windows import Phase, Vocabulary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """The smallest training, from its text to its checkpoint: work folder, checkpoint, what was told."""
    work = tmp_path_factory.mktemp("work")
    out = work / "small.pt"
    arguments = ["--profile", "smallest", "--work", str(work), "--out", str(out)]
    result = CliRunner().invoke(training.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return work, out, result.output


def test_the_library_loads_and_runs_what_was_trained(trained: tuple[Path, Path, str]) -> None:
    model = whisper.load_model(str(trained[1]), device="cpu")
    assert not model.is_multilingual
    assert model.dims.n_vocab == FULL_VOCABULARY
    found = whisper.transcribe(model, np.zeros(16_000, np.float32), fp16=False)
    assert "text" in found


def test_unused_words_can_never_win(trained: tuple[Path, Path, str]) -> None:
    model = whisper.load_model(str(trained[1]), device="cpu")
    sound = torch.randn(1, 80, 3000)
    scores = model(sound, torch.tensor([[50257, 50363, 11]]))[0, -1].detach()
    unused = scores == scores.min()
    assert int(unused.sum()) > 45_000
    assert float(scores.min()) == pytest.approx(-60, abs=0.5)


def test_losses_are_told_and_finite(trained: tuple[Path, Path, str]) -> None:
    last = [line for line in trained[2].splitlines() if "step 2 of 2" in line]
    assert last
    assert "nan" not in last[0]


def test_going_on_gives_what_one_go_gives(trained: tuple[Path, Path, str]) -> None:
    work, _, _ = trained
    profile = training.PROFILES["smallest"]
    windows = training.prepare(profile, 0, work, 1, 1)
    device = torch.device("cpu")
    whole = training.Trainer(windows, profile.courses[0], 1, device)
    for step in range(4):
        whole.learn(windows[step])
        if step == 1:
            whole.save(work / "half.pt")
    other = training.Trainer(windows, profile.courses[0], 1, device)
    other.restore(work / "half.pt")
    assert other.step == 2
    for step in range(2, 4):
        other.learn(windows[step])
    for name, weight in whole.network.state_dict().items():
        assert torch.allclose(weight, other.network.state_dict()[name], atol=1e-3), name


def test_the_rate_rises_holds_and_falls(trained: tuple[Path, Path, str]) -> None:
    course = training.PROFILES["cpu"].courses[0]
    windows = training.prepare(training.PROFILES["smallest"], 0, trained[0], 1, 1)
    windows.phases = list(course.phases)
    trainer = training.Trainer(windows, course, 1, torch.device("cpu"))
    rates = [trainer.rate(step) for step in (0, 99, 1500, len(windows) - 300, len(windows) - 1)]
    assert rates[0] < rates[1] == rates[2] == course.rate
    assert rates[2] > rates[3] > rates[4] > 0


def test_training_learns(trained: tuple[Path, Path, str], tmp_path: Path) -> None:
    """Forty steps on one batch: the loss falls well below where chance stands."""
    profile = training.PROFILES["smallest"]
    windows = training.prepare(profile, 0, trained[0], 1, 1)
    trainer = training.Trainer(windows, profile.courses[0], 1, torch.device("cpu"))
    trainer.rate = lambda step: 3e-3  # type: ignore[method-assign]
    windows.phases = [Phase(600, 4, 48, 0.0, 60)]
    first = trainer.learn(windows[0])["token"]
    for _ in range(40):
        last = trainer.learn(windows[0])["token"]
    assert last < 0.6 * first
    assert isinstance(trainer.network, Network)
    export(trainer.network, windows.speech.vocabulary, tmp_path / "out.pt")
    assert (tmp_path / "out.pt").stat().st_size < 2_000_000


def test_a_course_begins_with_what_the_one_before_learned(tmp_path: Path) -> None:
    size, path = training.PROFILES["smallest"].courses[0].size, tmp_path / "first.pt"
    before, after = (
        Vocabulary([tokenizer().encode(word)[0] for word in words])
        for words in (" mother care".split(), " mother care nurse".split())
    )
    first, second = Network(size, before, 3), Network(size, after, 5)
    export(first, before, path)
    assert spoken_by(path) == before.words
    fresh = second.whisper.decoder.token_embedding.weight.detach().clone()
    take_up(second, after, path)
    taken = second.whisper.decoder.token_embedding.weight
    for token in before.tokens:
        one = first.whisper.decoder.token_embedding.weight[before.number(token)]
        assert torch.allclose(taken[after.number(token)], one, atol=2e-3)
    (new,) = set(after.words) - set(before.words)
    assert torch.equal(taken[after.number(new)], fresh[after.number(new)])
    sound = torch.randn(1, 80, 3000)
    assert torch.allclose(first.whisper.encoder(sound), second.whisper.encoder(sound), atol=2e-2)
    with torch.no_grad():
        second.whisper.encoder.conv1.weight += 2
        second.whisper.decoder.token_embedding.weight[after.number(new)] += 2
    go_back(second, after, [path])
    moved = second.whisper.encoder.conv1.weight - first.whisper.encoder.conv1.weight
    assert torch.allclose(moved, torch.ones_like(moved), atol=1e-2)
    assert torch.allclose(taken[after.number(new)], fresh[after.number(new)] + 2), "nothing to go back to"
    go_back(second, after, [path, path, path])
    moved = second.whisper.encoder.conv1.weight - first.whisper.encoder.conv1.weight
    assert torch.allclose(moved, torch.full_like(moved, 0.25), atol=1e-2), "one of four is as far as it was"
    go_back(second, after, [path], 2.0)
    moved = second.whisper.encoder.conv1.weight - first.whisper.encoder.conv1.weight
    assert torch.allclose(moved, torch.full_like(moved, 0.25 * 2 / 3), atol=1e-2), "it counts twice"
    with pytest.raises(RuntimeError, match="size"):
        take_up(Network(Size(128, 2, 2, 2), after, 5), after, path)


def test_the_last_course_can_be_taken_from_a_checkpoint(
    trained: tuple[Path, Path, str], tmp_path: Path
) -> None:
    work, out, _ = trained
    begin = work / "begin-smallest-1-4.pt"
    arguments = [
        "--profile",
        "smallest",
        "--work",
        str(work),
        "--from",
        str(begin),
        "--out",
        str(tmp_path / "b.pt"),
    ]
    result = CliRunner().invoke(training.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "of 5" not in result.output
    whole, last = (
        torch.load(path, weights_only=True)["model_state_dict"] for path in (out, tmp_path / "b.pt")
    )
    for name, weight in whole.items():
        assert torch.allclose(weight.float(), last[name].float(), atol=1e-2), name


def test_wrong_number_of_phases_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        training.main, ["--profile", "smallest", "--steps", "1,2", "--work", str(tmp_path)]
    )
    assert result.exit_code == 2
    assert "5 phases" in result.output


def test_a_mean_lies_between(tmp_path: Path) -> None:
    size, words = (
        training.PROFILES["smallest"].courses[0].size,
        [tokenizer().encode(word)[0] for word in (" mother", " care")],
    )
    paths = [tmp_path / name for name in ("first.pt", "second.pt", "mean.pt", "other.pt")]
    for path in paths[:2]:
        export(Network(size, Vocabulary(words), 3), Vocabulary(words), path)
    mean_of(paths[:2], paths[2])
    first, second, mean = (torch.load(path, weights_only=True)["model_state_dict"] for path in paths[:3])
    for name, weight in mean.items():
        assert torch.allclose(weight.float(), (first[name].float() + second[name].float()) / 2, atol=1e-3), (
            name
        )
    assert spoken_by(paths[2]) == sorted(words)
    assert paths[2].stat().st_size < 1.5 * paths[0].stat().st_size
    export(Network(size, Vocabulary(words[:1]), 3), Vocabulary(words[:1]), paths[3])
    with pytest.raises(RuntimeError, match=r"other\.pt"):
        mean_of([paths[0], paths[3]], paths[2])


def test_a_deeper_network_begins_as_what_it_grew_from(tmp_path: Path) -> None:
    words, path = (
        Vocabulary([tokenizer().encode(word)[0] for word in (" mother", " care")]),
        tmp_path / "a.pt",
    )
    small, deep = (Network(size, words, 3) for size in (Size(64, 2, 2, 2), Size(64, 2, 4, 3)))
    export(small, words, path)
    take_up(small, words, path)  # what is exported is rounded
    take_up(deep, words, path)
    sound, text = torch.randn(1, 80, 3000), torch.tensor([[2, 0, 1, 0]])
    assert torch.allclose(small.whisper(sound, text), deep.whisper(sound, text), atol=1e-3)
    last, new = (deep.whisper.decoder.blocks[number] for number in (1, 2))
    assert torch.equal(last.cross_attn.query.weight, new.cross_attn.query.weight)
    export(deep, words, path)
    with pytest.raises(RuntimeError, match="size"):
        take_up(small, words, path)

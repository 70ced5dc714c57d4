import numpy as np
import pytest
import soundfile

from transcripts import audio
from transcripts.errors import AudioUnreadable


@pytest.fixture
def ramp(tmp_path):
    """One second whose every sample tells its place."""
    path = tmp_path / "ramp.flac"
    soundfile.write(path, (np.arange(16_000) - 8_000).astype(np.int16), 16_000)
    return path


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "first", "count"),
    [
        (0, None, 0, 16_000),
        (250, 500, 4_000, 4_000),
        (900, 5_000, 14_400, 1_600),
        (1_000, None, None, 0),
        (9_000, 9_500, None, 0),
        (500, 500, None, 0),
    ],
)
def test_a_stretch_is_read_to_the_sample(ramp, start_ms, end_ms, first, count):
    samples = audio.load(ramp, start_ms, end_ms)
    assert samples.dtype == np.float32
    assert samples.shape == (count,)
    if count:
        assert round(samples[0] * 32_768) == first - 8_000


def test_duration_is_told_without_reading(ramp):
    assert audio.duration_ms(ramp) == 1_000


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 1), (16_000, 2)])
def test_other_audio_is_refused_with_what_it_is(tmp_path, rate_hz, channels):
    path = tmp_path / "other.flac"
    soundfile.write(path, np.zeros((100, channels)), rate_hz)
    for read in (audio.load, audio.duration_ms):
        with pytest.raises(AudioUnreadable, match=f"{rate_hz} Hz with {channels} channel"):
            read(path)


@pytest.mark.parametrize("content", [None, b"", b"not sound at all"])
def test_what_is_no_audio_is_named(tmp_path, content):
    path = tmp_path / "broken.flac"
    if content is not None:
        path.write_bytes(content)
    for read in (audio.load, audio.duration_ms):
        with pytest.raises(AudioUnreadable, match=r"^broken\.flac: it "):
            read(path)

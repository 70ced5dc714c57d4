"""Kernels of our own, compiled by this machine: on whose threads they run, and that the disk's are no others."""

import os
import subprocess
import sys

import pytest

from transcripts.engines import pairs

BEGIN = """
import torch
draw = torch.Generator().manual_seed(0)
def normal(*shape):
    return torch.randn(*shape, generator=draw)
"""
KERNELS = {
    "listen in half precision": """
from transcripts.engines.kernels import listen, packed
keys = normal(2, 3, 1500, 64)
found = listen(normal(2, 5, 3, 64), packed(keys * 0.3), keys.half())
""",
    "attend by pairs": """
from transcripts.engines.pairs import attend
found = attend((normal(1, 1500, 3 * 2 * 64) * 0.4).bfloat16(), 2)
""",
    "multiply by pairs": """
from transcripts.engines.multiplying import PairedLinear
found = PairedLinear(normal(96, 768).bfloat16(), normal(96))(normal(21, 768).bfloat16())
""",
    "step by pairs": """
from whisper.model import ModelDimensions, Whisper
from transcripts.engines.decoding import Decoder, Past
model = Whisper(ModelDimensions(80, 1500, 64, 1, 1, 2000, 448, 64, 1, 2))
for weights in model.parameters():
    weights.data = normal(*weights.shape) * 0.1
decoder = Decoder(model, torch.bfloat16)
with torch.inference_mode():
    memory = decoder.memory(normal(3, 1500, 64))
    text = torch.arange(12).view(3, 4)
    past = Past(decoder.read(text, memory, aligned=False)[2], 1, noted=True)
    found = decoder.scores(decoder.step(text[:, 0], past, memory))
""",
    "recall": """
from transcripts.engines.recalling import recall
whose = torch.arange(6, dtype=torch.int32)[:, None].repeat(1, 96)
found = recall(normal(6, 3, 3, 64) * 0.3, normal(2, 6, 3, 96, 64), whose, 60)
""",
    "recall in bfloat16": """
from transcripts.engines.recalling import recall
whose = torch.arange(6, dtype=torch.int32)[:, None].repeat(1, 96)
found = recall((normal(6, 3, 3, 64) * 0.3).bfloat16(), normal(2, 6, 3, 96, 64).bfloat16(), whose, 60)
""",
    "likeliest": """
from transcripts.engines.likeliest import likeliest
since, times = torch.zeros(3, dtype=int), torch.tensor([[1000, 1100]] * 3)
found, _ = likeliest(normal(3, 1100) * 3, torch.zeros(1000), since, times, 1000, 6)
""",
}


def printed(code: str, **told: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **told}, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.parametrize("name", KERNELS)
def test_compiled_anew_and_read_from_disk_they_find_the_same_to_the_last_digit(name, tmp_path):
    if "pairs" in name and not pairs.fits(pairs.WIDTH):
        pytest.skip("this processor multiplies no pairs of bfloat16 by vectors")
    code = BEGIN + KERNELS[name] + "print(found.double().sum().item())"
    anew, from_disk = (printed(code, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert list(tmp_path.rglob("*.nbc"))
    assert anew == from_disk


def test_what_was_compiled_from_other_helpers_is_compiled_anew(tmp_path):
    code = """
import os
import numpy as np
from transcripts.engines import compiling, recalling
compiling._helpers = lambda: os.environ["HELPERS"]
kernel = compiling.compiled(recalling.recall_into.py_func)
qkv, cache = np.zeros((1, 3, 1, 16), np.float32), np.zeros((2, 1, 1, 8, 16), np.float32)
kernel(qkv, cache, np.zeros((1, 8), np.int32), 3, np.zeros((1, 1, 16), np.float32))
print(kernel.stats.cache_hits.total())
"""
    told = {"NUMBA_CACHE_DIR": str(tmp_path)}
    taken_from_disk = [int(printed(code, HELPERS=one, **told)) for one in ("older", "older", "newer")]
    assert taken_from_disk == [0, 1, 0]


def test_torch_keeps_its_threads_where_numba_starts_its_own():
    code = """
import torch
from transcripts.engines import kernels

imported = torch.get_num_threads()
halves = torch.ones(1, 1, 4, 16).half()
kernels.listen(torch.ones(1, 1, 1, 16), kernels.packed(halves), halves)
print(imported, torch.get_num_threads())
"""
    assert printed(code, OMP_NUM_THREADS="1").split() == ["1", "1"]

"""Files of openai-whisper's weights: opened safely, told apart by their hash."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from transcripts.engines import BUILTIN_MODELS, WAYS_OUT, builtin_path
from transcripts.errors import DeviceUnavailable, ModelDamaged, ModelUnavailable


def open_weights(name: str, path: str, device: str) -> Any:
    """The ``whisper.model.Whisper`` in a file: tensors only, nothing in the file is executed.

    Raises:
        ModelUnavailable: the file cannot be read.
        ModelDamaged: it holds no Whisper.
        DeviceUnavailable: the device is too small for it.
    """
    import torch
    import whisper

    try:
        return whisper.load_model(path, device=device)
    except OSError as error:
        raise _unreadable(name, error) from error
    except torch.OutOfMemoryError as error:
        raise DeviceUnavailable(device, "its memory is too small for this model") from error
    except (
        RuntimeError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        struct.error,
        EOFError,
        LookupError,
        AssertionError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise ModelDamaged(name, _damage(error)) from error


def _damage(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing in it" if error.args else "a part is missing in it"
    if isinstance(error, pickle.UnpicklingError):
        return "it does not hold tensors alone"
    return first_line(error)


def first_line(error: BaseException) -> str:
    """What an error of a library says first."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__


def hash_of(name: str, path: Path) -> str:
    """The SHA-256 of a model's file.

    Raises:
        ModelUnavailable: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> ModelUnavailable:
    return ModelUnavailable(name, f"the file cannot be read: {error.strerror}", WAYS_OUT)


@lru_cache
def builtin_hashes() -> frozenset[str]:
    """Of the models that come with the project."""
    return frozenset(hash_of(name, builtin_path(name)) for name in BUILTIN_MODELS)


def user_cache() -> Path:
    """Where programs of this user keep what can be fetched or made again."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))

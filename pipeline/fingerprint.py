"""Fingerprints: the same settings and inputs give the same one, and there is nothing to do again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def fingerprint(*parts: object) -> str:
    """SHA-256, in hex, of parts that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256, in hex, of a small file's bytes; empty when it is not there."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

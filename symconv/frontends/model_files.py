"""Texts that name an ONNX file, or a part of one, and what they name.

Owns: the syntax `model.onnx`, `model.onnx::node`, `model.onnx::first..last`; `is_model_file`, `layers`.
Must not know: onnx (it is imported only once a file has to be read).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from symconv.errors import ModelError
from symconv.layers import Layer, WeightedNetwork

if TYPE_CHECKING:
    from symconv.frontends.onnx.graph import Node, OnnxModel

ENDING, MARK = ".onnx", ".onnx::"


def is_model_file(text: str) -> bool:
    """Whether a text is meant as an ONNX file or a part of one."""
    return text.endswith(ENDING) or MARK in text


def split(text: str) -> tuple[Path, str]:
    """The file, and what follows `::`; a name that holds the mark itself is split where there is a file."""
    places = [place + len(ENDING) for place in range(len(text)) if text.startswith(MARK, place)]
    if not places:
        return Path(text), ""
    if "\0" in text:
        raise ModelError("the name of a file must not hold a NUL character.")
    for place in places:
        try:
            found = Path(text[:place]).is_file()
        except OSError:
            found = False
        if found:
            return Path(text[:place]), text[place + 2 :]
    return Path(text[: places[0]]), text[places[0] + 2 :]


def open_model(path: Path) -> OnnxModel:
    """The model in a file.

    Raises:
        ModelError: it cannot be read, or the package onnx is not installed.
    """
    try:
        from symconv.frontends.onnx.graph import load
    except ImportError as error:
        if (error.name or "").split(".")[0] != "onnx":
            raise
        raise ModelError(
            "reading ONNX files needs the package `onnx`. Install symconv with its extra: pip install 'symconv[onnx]'."
        ) from None
    return load(path)


def layers(text: str) -> Layer | WeightedNetwork:
    """The layers that a text names, with their weights if all are constant (one that a caller may override is not).

    Args:
        text: `model.onnx`, a model that is one path of layers; `model.onnx::node`, one layer, by the name of its node or of a value that
            it computes; or `model.onnx::first..last`, a path without branches.

    Raises:
        ModelError: the file cannot be read, there is no such node, or what is named is no chain of layers.
    """
    path, name = split(text)
    model = open_model(path).without_defaults()
    from symconv.frontends.onnx.network import is_weighted, layers_of, network

    nodes = selected(model, name)
    return network(model, nodes) if is_weighted(model, nodes) else layers_of(model, nodes)


def selected(model: OnnxModel, name: str) -> tuple[Node, ...]:
    """The nodes that `node`, `first..last` or "" (all of a model that is one path) name; raises as `layers` does."""
    from symconv.frontends.onnx.network import path, whole

    if not name:
        return whole(model)
    try:
        return (model.node(name),)
    except ModelError:
        ends = [(name[:place], name[place + 2 :]) for place in range(len(name)) if name.startswith("..", place)]
        for first, last in ends:
            if first and last and model.has_node(first) and model.has_node(last):
                return path(model, model.node(first), model.node(last))
        for end in next(iter(ends), ()):
            model.node(end)
        raise

"""Bundles as JSON: what was rewritten in a model, with a certificate for each kind of layer.

Owns: the spelling of docs/reference/bundle-format.md: `SCHEMA`, `read_bundle`, `is_bundle`, `bundle_path`.
Must not know: ONNX, how a bundle is made or checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from symconv.certificate.encode import digest
from symconv.errors import CertificateError

SCHEMA = "symconv.bundle/1"

Check = Callable[[Any], bool]


def bundle_path(model: Path) -> Path:
    """The bundle's file beside a model: `out.onnx` has `out.symconv.json`."""
    return model.with_name((model.stem if model.suffix == ".onnx" else model.name) + ".symconv.json")


def is_bundle(record: Mapping[str, Any]) -> bool:
    """Whether a JSON object says that it is a bundle."""
    return str(record.get("schema", "")).startswith("symconv.bundle/")


def read_bundle(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object, once it is known to be spelled as the format says.

    Raises:
        CertificateError: it is not; the message names the place.
    """
    if record.get("schema") != SCHEMA:
        raise CertificateError(f"`{name}` has the schema {str(record.get('schema'))[:60]!r}; this version of symconv reads {SCHEMA!r}.")
    fault = _fault(BUNDLE, record, "")
    if fault:
        raise CertificateError(f"`{name}` is no bundle: {fault}.")
    for key, certificate in record["certificates"].items():
        if digest(dict(certificate)) != key:
            raise CertificateError(f"`{name}` is no bundle: certificates.{key[:12]} is not the digest of what it holds.")
    for position, layer in enumerate(record["layers"]):
        if layer["certificate"] not in record["certificates"]:
            raise CertificateError(f"`{name}` is no bundle: layers[{position}].certificate names none of the certificates.")
    return record


def _is(kind: type) -> Check:
    return lambda value: type(value) is kind


def _digest(value: Any) -> bool:
    return type(value) is str and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _strings(value: Any) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _shape(value: Any) -> bool:
    return type(value) is list and all(type(item) is int and item > 0 for item in value)


def _one_of(*words: str) -> Check:
    return lambda value: value in words and type(value) is str


FILE = {"file": _is(str), "untouched": _digest, "nodes": _strings, "initializers": _strings}
TENSOR = {"value": _is(str), "dtype": _one_of("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"), "shape": _shape, "sha256": _digest}
SIDE = {"nodes": _strings, "kernel": TENSOR, "bias": (TENSOR,)}
LAYER = {
    "name": _is(str),
    "input": _is(str),
    "output": _is(str),
    "certificate": _digest,
    "way": _one_of("forth", "back"),
    "before": SIDE,
    "after": SIDE,
}
BUNDLE: dict[str, Any] = {
    "schema": _is(str),
    "to": _is(str),
    "target": _strings,
    "tools": {},
    "original": FILE,
    "converted": FILE,
    "certificates": {},
    "layers": [LAYER],
}
"""A check, the fields of an object ({}: any object), a list of one spec for each item, or a tuple of one spec that null may stand for."""


def _fault(spec: Any, value: Any, place: str) -> str:
    """What is wrong with a value, or ""."""
    if isinstance(spec, tuple):
        return "" if value is None else _fault(spec[0], value, place)
    if isinstance(spec, list):
        if type(value) is not list:
            return f"{place or 'it'} must be a list"
        return next((fault for k, item in enumerate(value) if (fault := _fault(spec[0], item, f"{place}[{k}]"))), "")
    if isinstance(spec, dict):
        if type(value) is not dict:
            return f"{place or 'it'} must be an object"
        if not spec:
            return "" if all(type(item) in (dict, str) for item in value.values()) else f"{place} must hold objects or strings"
        if set(spec) != set(value):
            odd = sorted(set(spec) ^ set(value))[0]
            return f"{place + '.' if place else ''}{odd[:60]} is {'missing' if odd in spec else 'no field of the format'}"
        return next((fault for key in spec if (fault := _fault(spec[key], value[key], f"{place}.{key}".lstrip(".")))), "")
    return "" if spec(value) else f"{place} is not as the format says"

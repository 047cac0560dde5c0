"""Writes the certificates in accepted/, rejected/ and malformed/. Run as `python -m checker.make_files` with tests/ on the path.

A rejected file is an accepted one with one lie in it; its name says which. The engine's certificates are only the raw material.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checker import pairs

HERE = Path(__file__).parent
B = "bias=False"
Record = dict[str, Any]
ACCEPTED = {
    "sub_pixel": f"ConvTranspose1d(1,1,4,stride=2,padding=2,{B}) | Conv1d(1,2,2,{B}) >> PixelShuffle(2)",
    "decoder": "ConvTranspose2d(512,256,4,2,1) | Conv2d(512,1024,3,1,1) >> PixelShuffle(2)",
    "cropped": "ConvTranspose2d(3,2,4,stride=2,padding=1) | Conv2d(3,8,2,padding=1) >> PixelShuffle(2) >> Crop(1,1,1,1)",
    "dcr": f"ConvTranspose2d(2,4,2,stride=2,groups=2,{B}) | Conv2d(2,16,1,groups=2,{B}) >> DepthToSpace(2,mode='DCR')",
    "bilinear": f"Upsample(scale_factor=2,mode='bilinear') >> Conv2d(1,1,3,padding=1,{B}) | ConvTranspose2d(1,1,6,stride=2,padding=2,{B})",
    "reflect": "Conv1d(1,1,3,padding=1) | Conv1d(1,1,3,padding=1,padding_mode='reflect')",
    "depthwise": f"Conv1d(2,2,1,groups=2,{B}) | Conv1d(2,2,1,{B})",
    "depthwise_identity": f"Conv1d(2,2,1,groups=2,{B}) | Identity()",
    "wider_kernel": f"Conv1d(1,1,3,padding=1,padding_mode='reflect',{B}) | Conv1d(1,1,5,padding=2,padding_mode='reflect',{B})",
    "given_extents": (
        f"Upsample(scale_factor=2,mode='linear',align_corners=True) >> Conv1d(1,1,3,padding=1,{B}) | ConvTranspose1d(1,1,6,2,2,{B})"
    ),
    "phase_of_two_axes": "SpaceToDepth((2,1)) >> DepthToSpace((1,2)) | the same",
    "even_extents": "SpaceToDepth(2) >> DepthToSpace(2) >> ReLU() >> Identity() | Identity() >> ReLU() >> Identity()",
    "pointwise": f"Conv1d(1,1,1,{B}) | Conv1d(1,1,1,{B}) >> Identity()",
    "circular": "Conv1d(2,2,3,padding=1,padding_mode='circular') | CircularPad1d(1) >> Conv1d(2,2,3)",
    "unshuffle": "Conv2d(1,2,4,stride=2) | PixelUnshuffle(2) >> Conv2d(4,2,2)",
    "average": f"AvgPool1d(2) | Conv1d(1,1,2,stride=2,{B})",
    "two_averages": "AvgPool2d(2) | AvgPool2d(2,divisor_override=4)",
    "batch_norm": "BatchNorm2d(4) | Conv2d(4,4,1,groups=4)",
    "groups": "Conv2d(6,6,3,groups=3) >> ChannelShuffle(3) | Conv2d(6,6,3,groups=2)",
    "finer_groups": "Conv1d(8,8,3,groups=4) | Conv1d(8,8,3,groups=2)",
    "stages": "Conv2d(3,8,3,padding=1) >> ReLU() >> PixelShuffle(2) | Conv2d(3,8,3,padding=1) >> PixelShuffle(2) >> ReLU()",
    "stages_unknown": "Conv1d(1,1,3) >> ReLU() >> Conv1d(1,1,3) | Conv1d(1,1,3) >> ReLU() >> Conv1d(1,1,3,dilation=1,bias=False)",
    "zero_padding_crosses_tanh": "Conv1d(1,1,3) >> Tanh() >> ZeroPad1d(1) | Conv1d(1,1,3) >> ZeroPad1d(1) >> Tanh()",
    "shapes_differ": "ConvTranspose1d(1,1,3,stride=2,padding=1) | ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1)",
    "channels_differ": "Conv2d(1,1,3) | Conv2d(1,2,3)",
}


def _set(*path: Any) -> Callable[[Record], None]:
    """Writes the last item at the place that the others name."""

    def change(record: Record) -> None:
        target: Any = record
        for key in path[:-2]:
            target = target[key]
        target[path[-2]] = path[-1]

    return change


def _all(*changes: Callable[[Record], None]) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        for each in changes:
            each(record)

    return change


def _swapped_taps(record: Record) -> None:
    forth = record["stages"][0]["weights"]["blocks"][0]["forth"]
    forth[0][1], forth[1][1] = forth[1][1], forth[0][1]


def _forged_equal(record: Record) -> None:
    """The interior's evidence, which is right there, in the place of the weights'."""
    stage = record["stages"][0]
    stage["weights"], stage["bias"] = stage["interior"]["weights"], stage["interior"]["bias"]
    record["claim"] |= {"relation": "equal", "linear_relation": "equal", "left_in_right": True, "right_in_left": True}
    record["claim"]["dimension"]["intersection"] = record["claim"]["dimension"]["left"]


def _forged_windowed(record: Record) -> None:
    _forged_equal(record)
    record["stages"][0]["interior"] = None


def _sigmoid(record: Record) -> None:
    for side in ("left", "right"):
        for layer in record[side]:
            if layer["type"] == "Pointwise":
                layer["name"] = "Sigmoid"


def _prelu(count: int) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        for side, channels in (("left", count), ("right", count)):
            for k, layer in enumerate(record[side]):
                if layer["type"] == "Pointwise":
                    record[side][k] = {"type": "PReLU", "num_parameters": channels}

    return change


def _merged_stages(record: Record) -> None:
    """Two convolutions in one stage: a multilinear class."""
    record["left"] = [layer for layer in record["left"] if layer["type"] != "Pointwise"]
    record["right"] = [layer for layer in record["right"] if layer["type"] != "Pointwise"]
    record["stages"] = record["stages"][:1]
    record["stages"][0] |= {"left": [0, 1], "right": [0, 1]}


BLOCK = ("stages", 0, "weights", "blocks", 0)


def _to_odd(record: Record) -> None:
    """A refutation at an extent that the right side does not accept."""
    block = record["stages"][0]["weights"]["blocks"][0]
    block["back"] = None
    block["not_back"] = {"terms": [[[5], [0] * 2, [0] * 2, "1"]], "kernel": [0, 0, 0], "value": "1"}


def _with_interior(record: Record) -> None:
    stage = record["stages"][0]
    stage["interior"] = {"weights": copy.deepcopy(stage["weights"]), "bias": None}


def _channelwise(record: Record) -> None:
    for side, count in (("left", 8), ("right", 8)):
        at = next(k for k, layer in enumerate(record[side]) if layer["type"] == "Pointwise")
        record[side][at] = {"type": "PReLU", "num_parameters": count if side == "left" else 8}
    record["right"][1], record["right"][2] = record["right"][2], record["right"][1]
    record["stages"] = [
        {**record["stages"][0], "left": [0, 2], "right": [0, 2]},
        {**record["stages"][-1], "left": [], "right": []},
    ]


def _coarse(record: Record) -> None:
    part = record["stages"][0]["weights"]
    part["in_digits"] = [8]
    for block in part["blocks"]:
        block["in"] = [0] if block is part["blocks"][-1] else []
    part["blocks"] = [block for block in part["blocks"] if block["axes"] or block["in"] or block["out"]]


def _coarse_output(record: Record) -> None:
    part = record["stages"][0]["weights"]
    part["out_digits"] = [8]
    for block in part["blocks"]:
        block["out"] = [0] if block is part["blocks"][-1] else []
    part["blocks"] = [block for block in part["blocks"] if block["axes"] or block["in"] or block["out"]]


def _interior_extents(record: Record) -> None:
    functionals = [block["not_back"] for block in record["stages"][0]["interior"]["weights"]["blocks"] if block["not_back"]]
    functionals[0]["terms"][0][0] = [5]


def _tied(record: Record) -> Record:
    blocks: list[Record] = record["stages"][0]["weights"]["blocks"]
    return next(block for block in blocks if not block["axes"])


def _untied(record: Record) -> None:
    """Any kernel over the channels as one of a depthwise layer."""
    _tied(record).update({"back": [], "not_back": None})
    record["claim"] |= {"relation": "equal", "linear_relation": "equal", "interior_relation": "equal", "right_in_left": True}


def _tied_forth(record: Record) -> None:
    _tied(record).update({"forth": [], "not_forth": None})


def _disjoint(record: Record) -> None:
    """Every stage has common extents; the left chain takes even ones, the right one odd ones."""
    axes = record["axes"]
    pads = [{"type": "Pad", "amounts": [[0, amount]] * axes, "mode": "zeros"} for amount in (1, -1)]
    moves = [{"type": kind, "factor": [2] * axes, "order": "CRD"} for kind in ("Unshuffle", "Shuffle")]
    record["right"][2:] = [pads[0], *moves, pads[1]]
    record["stages"][1]["right"] = [2, 3, 4, 5]
    record["claim"]["domain"] = {"relation": "disjoint", "extents": [2] * axes}


def _elsewhere(record: Record) -> None:
    blocks = record["stages"][0]["weights"]["blocks"]
    functionals = [block[name] for block in blocks for name in ("not_forth", "not_back") if block[name]]
    functionals[0]["terms"][0][0] = [5]


def _apart(record: Record) -> None:
    blocks = record["stages"][0]["weights"]["blocks"]
    block = next(block for block in blocks if len(block["axes"]) + len(block["in"]) + len(block["out"]) > 1)
    name = "out" if block["out"] else "in"
    blocks.append({**block, "axes": [], "in": [], "out": [], name: [block[name].pop()]})


def _scaled(record: Record) -> None:
    """The right average divides by 8, and each block says so; then the two are not equal."""
    record["right"][0]["divisor_override"] = 8
    block = record["stages"][0]["weights"]["blocks"][0]
    block["forth"][0][2], block["back"][0][2] = "4", "1/4"


LIES: dict[str, tuple[str, Callable[[Record], None], str]] = {
    "taps_unreversed": ("sub_pixel", _swapped_taps, "reshuffled forms"),
    "reshuffle_scaled": ("sub_pixel", _set(*BLOCK, "forth", 0, 2, "2"), "reshuffled forms"),
    "reshuffle_incomplete": ("sub_pixel", lambda record: record["stages"][0]["weights"]["blocks"][0]["back"].pop(), "reshuffled forms"),
    "reshuffle_to_no_tap": ("sub_pixel", _set(*BLOCK, "forth", 0, 1, [0, 0, 2]), "no parameter"),
    "claims_equal": ("decoder", _set("claim", "relation", "equal"), "left_in_right"),
    "claims_linear_equal": ("decoder", _set("claim", "linear_relation", "equal"), "left_in_right"),
    "claims_interior_incomparable": ("reflect", _set("claim", "interior_relation", "incomparable"), "equal"),
    "dimension_too_large": ("decoder", _set("claim", "dimension", "right", 4719617), "4719616"),
    "block_dimension_too_large": ("decoder", _set(*BLOCK, "right_dim", 7), "right_dim is 6"),
    "intersection_too_large": ("reflect", _set(*BLOCK, "both_dim", 2), "both_dim is 1"),
    "both_inclusion_and_refutation": (
        "decoder",
        _set(*BLOCK, "not_forth", {"terms": [], "kernel": [0, 0, 0], "value": "1"}),
        "either forth or not_forth",
    ),
    "no_inclusion_and_no_refutation": ("decoder", _set(*BLOCK, "not_back", None), "either back or not_back"),
    "functional_not_zero": ("decoder", _set(*BLOCK, "not_back", "terms", 0, 2, [0, 0]), "not zero"),
    "functional_value_wrong": ("decoder", _set(*BLOCK, "not_back", "value", "2"), "does not show"),
    "functional_of_no_terms": ("decoder", _set(*BLOCK, "not_back", "terms", []), "does not show"),
    "functional_beyond_output": ("decoder", _set(*BLOCK, "not_back", "terms", 0, 1, [0, 4]), "no such sample"),
    "functional_at_invalid_extent": ("unshuffle", _to_odd, "no such sample"),
    "interior_missing": ("reflect", _set("stages", 0, "interior", None), "interior is null exactly"),
    "interior_in_excess": ("sub_pixel", _with_interior, "interior is null exactly"),
    "borders_forgotten": ("reflect", _forged_equal, "reshuffled forms"),
    "borders_and_interior_forgotten": ("reflect", _forged_windowed, "reshuffled forms"),
    "domain_same": ("unshuffle", _set("claim", "domain", {"relation": "same", "extents": None}), "left_wider"),
    "domain_extents_valid_for_both": ("unshuffle", _set("claim", "domain", "extents", [4, 4]), "do not show"),
    "groups_do_not_divide": ("decoder", _set("left", 0, "groups", 3), "not divisible"),
    "output_padding_too_large": ("cropped", _set("left", 0, "output_padding", [2, 0]), "output_padding"),
    "channels_do_not_chain": ("decoder", _set("in_channels", 511), "511 channels"),
    "pool_padding_too_large": ("average", _set("left", 0, "padding", [2]), "half the kernel"),
    "align_corners": ("bilinear", _set("left", 0, "align_corners", True), "corners"),
    "batch_norm_without_statistics": ("batch_norm", _set("left", 0, "track_running_stats", False), "running statistics"),
    "layer_left_out": ("cropped", _set("stages", 0, "right", [0, 1]), "once, in order"),
    "layers_out_of_order": ("cropped", _set("stages", 0, "right", [0, 2, 1]), "once, in order"),
    "two_convolutions_in_a_stage": ("stages_unknown", _merged_stages, "more than one parametric"),
    "nonlinearities_differ": ("stages", _set("left", 1, "name", "Tanh"), "nonlinearities differ"),
    "stage_left_out": ("stages_unknown", lambda record: record["stages"].pop(), "one stage more"),
    "zero_padding_crosses_sigmoid": ("zero_padding_crosses_tanh", _sigmoid, "does not commute"),
    "shuffle_crosses_channelwise_prelu": ("stages", _channelwise, "does not commute"),
    "digits_too_coarse": ("finer_groups", _coarse, "not fine enough"),
    "digits_of_another_product": ("decoder", _set("stages", 0, "weights", "in_digits", [511]), "in_digits"),
    "tied_digits_apart": ("dcr", _apart, "different blocks"),
    "axis_in_no_block": ("decoder", lambda record: record["stages"][0]["weights"]["blocks"].pop(0), "partition axes"),
    "flat_with_blocks": ("decoder", _set("stages", 0, "weights", "flat", True), "flat part has one block"),
    "averages_of_another_scale": ("two_averages", _scaled, "is equal|is incomparable"),
    "bias_left_out": ("decoder", _set("stages", 0, "bias", None), "bias is null exactly"),
    "shapes_equal_there": ("shapes_differ", _set("right", 0, "output_padding", [0]), "do not differ"),
    "output_digits_too_coarse": ("finer_groups", _coarse_output, "not fine enough"),
    "functional_outside_its_block": ("decoder", _set(*BLOCK, "not_back", "terms", 0, 1, [1, 1]), "no such channel part"),
    "functional_value_zero": ("decoder", _set(*BLOCK, "not_back", {"terms": [], "kernel": [0, 0, 0], "value": "0"}), "does not show"),
    "functional_at_extents_in_the_interior": ("wider_kernel", _interior_extents, "written 0"),
    "untied_in_tied": ("depthwise", _untied, "inclusion does not hold"),
    "free_in_fixed": ("depthwise_identity", _tied_forth, "inclusion does not hold"),
    "phase_of_two_axes_not_flat": ("phase_of_two_axes", _set("stages", 0, "weights", "flat", False), "tied to two axes"),
    "no_common_extents": ("even_extents", _disjoint, "no extent is valid for both"),
    "corners_at_all_extents": ("given_extents", lambda record: record.pop("extents"), "align_corners needs given extents"),
    "given_extents_of_two_axes": ("given_extents", _set("extents", [4, 4]), "one extent per axis"),
    "functional_at_another_extent": ("given_extents", _elsewhere, "given extents"),
    "outputs_of_another_extent": (
        "pointwise",
        _set("right", 1, {"type": "Pad", "amounts": [[0, 1]], "mode": "zeros"}),
        "output extents differ",
    ),
    "outputs_of_another_rate": ("pointwise", _set("right", 1, {"type": "ZeroInsert", "factor": [2]}), "grow differently"),
    "channels_equal": ("channels_differ", _set("right", 0, "out_channels", 1), "channels do not differ"),
    "kernel_beyond_budget": ("sub_pixel", _set("left", 0, "kernel", [2**60]), "budget"),
    "padding_beyond_budget": (
        "reflect",
        _all(_set("left", 0, "padding", [[2**40, 2**40]]), _set("right", 0, "padding", [[2**40, 2**40]])),
        "budget",
    ),
    "stride_beyond_budget": ("sub_pixel", _all(_set("left", 0, "stride", [2**40]), _set("right", 0, "stride", [2**40])), "budget"),
    "periods_beyond_budget": ("unshuffle", _set("right", 0, "factor", [2**30, 1]), "budget|divisible|channels"),
}


def _moved_axis() -> Record:
    """The phases of axis 0 become those of axis 1, twice the same."""
    moves = [{"type": "Unshuffle", "factor": [2, 1], "order": "CRD"}, {"type": "Shuffle", "factor": [1, 2], "order": "CRD"}]
    same = [[[0, 0, 0, 0], [0, 0, 0, 0], "1"]]
    block = {"axes": [0, 1], "in": [], "out": [], "left_dim": 1, "right_dim": 1, "both_dim": 1, "forth": same, "back": same}
    weights = {"in_digits": [], "out_digits": [], "blocks": [{**block, "not_forth": None, "not_back": None}], "flat": True}
    relations = dict.fromkeys(("relation", "linear_relation", "interior_relation"), "equal")
    claim = {**relations, "left_in_right": True, "right_in_left": True, "domain": {"relation": "same", "extents": None}}
    return {
        "format": "symconv.certificate/1",
        "axes": 2,
        "in_channels": 1,
        "left": moves,
        "right": moves,
        "claim": {**claim, "dimension": {"left": 0, "right": 0, "intersection": 0}},
        "stages": [{"left": [0, 1], "right": [0, 1], "weights": weights, "bias": None, "interior": None}],
    }


def raw(name: str) -> Record:
    """An accepted certificate."""
    if name == "phase_of_two_axes":
        return _moved_axis()
    channels, extents = 1 if name == "even_extents" else None, (4,) if name == "given_extents" else None
    found: Record = json.loads(pairs.certificate(ACCEPTED[name], channels, extents))
    return found


def files() -> dict[str, tuple[str, str]]:
    """folder/name -> (text, what the reason must hold)."""
    found: dict[str, tuple[str, str]] = {}
    records = {name: raw(name) for name in ACCEPTED}
    for name, record in records.items():
        found[f"accepted/{name}"] = (json.dumps(record), "")
    for name, (source, lie, reason) in LIES.items():
        record = copy.deepcopy(records[source])
        lie(record)
        found[f"rejected/{name}"] = (json.dumps(record), reason)
    return found


def malformed() -> dict[str, bytes]:
    """name -> content of files that are not in the format."""
    good = pairs.certificate(ACCEPTED["sub_pixel"])
    record = json.loads(good)

    def changed(*path: Any) -> bytes:
        damaged = copy.deepcopy(record)
        _set(*path)(damaged)
        return json.dumps(damaged).encode()

    return {
        "empty": b"",
        "truncated": good[: len(good) // 2].encode(),
        "not_utf8": good.encode().replace(b"Conv", b"Conv\xff", 1),
        "byte_order_mark": b"\xef\xbb\xbf" + good.encode(),
        "two_objects": (good + good).encode(),
        "a_list": b"[]",
        "nested_deeply": b"[" * 20_000,
        "nested_objects": b'{"a":' * 20_000,
        "nan": good.replace('"axes": 1', '"axes": NaN', 1).encode(),
        "infinity": good.replace('"left_dim": 4', '"left_dim": Infinity', 1).encode(),
        "float_overflow": good.replace('"left_dim": 4', '"left_dim": 1e999', 1).encode(),
        "duplicate_key": good.replace('"axes": 1', '"axes": 1, "axes": 1', 1).encode(),
        "huge_integer": good.replace('"left_dim": 4', '"left_dim": ' + "9" * 5000, 1).encode(),
        "integer_beyond_cap": changed("in_channels", 2**62 + 1),
        "float_for_integer": changed("in_channels", 1.0),
        "boolean_for_integer": changed("in_channels", True),
        "integer_for_boolean": changed(*BLOCK[:3], "flat", 0),
        "other_format": changed("format", "symconv.certificate/2"),
        "four_axes": changed("axes", 4),
        "unknown_field": changed("comment", "trust me"),
        "missing_field": json.dumps({key: value for key, value in record.items() if key != "claim"}).encode(),
        "stages_and_shapes": changed("shapes", {"extents": []}),
        "unknown_layer": changed("left", 0, "type", "Eval"),
        "unknown_mode": changed("right", 0, "padding_mode", "symmetric"),
        "kernel_of_two_axes": changed("left", 0, "kernel", [4, 4]),
        "negative_padding": changed("left", 0, "padding", [[-1, 2]]),
        "zero_stride": changed("left", 0, "stride", [0]),
        "rational_not_reduced": changed(*BLOCK, "forth", 0, 2, "2/2"),
        "rational_over_zero": changed(*BLOCK, "forth", 0, 2, "1/0"),
        "rational_as_number": changed(*BLOCK, "forth", 0, 2, 1),
        "rational_with_spaces": changed(*BLOCK, "forth", 0, 2, " 1"),
        "radix_one": changed(*BLOCK[:3], "in_digits", [1]),
        "reshuffle_entry_short": changed(*BLOCK, "forth", 0, [[0, 0, 0], "1"]),
        "relation_unknown_word": changed("claim", "relation", "similar"),
        "layer_as_string": changed("left", 0, "Identity()"),
    }


if __name__ == "__main__":
    everything = {name: text.encode() + b"\n" for name, (text, _) in files().items()}
    everything |= {f"malformed/{name}": content for name, content in malformed().items()}
    for name, content in everything.items():
        path = HERE / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

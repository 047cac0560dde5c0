"""Expressions: what they read as, where their errors point, and that formatting is their inverse."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from symconv.errors import ExpressionError, LayerError
from symconv.frontends.signatures import REQUIRED, SIGNATURES
from symconv.frontends.text import MAX_CHARACTERS, MAX_LAYERS, MAX_NESTING, parse
from symconv.layers import (
    NONLINEARITIES,
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Pointwise,
    PReLU,
    Sequential,
    Shuffle,
    Unshuffle,
    Upsample,
    ZeroInsert,
    flatten,
)
from symconv.layers.expression import format_layer

READS = [
    ("Conv2d(3, 8, 3)", Conv.make(2, 3, 8, 3)),
    ("nn.Conv2d(3, 8, (3, 5), (1, 2), [1, 2])", Conv.make(2, 3, 8, (3, 5), (1, 2), (1, 2))),
    ("torch.nn.Conv1d(4, 8, 3, 2, 1, 2, 4, False, 'circular')", Conv.make(1, 4, 8, 3, 2, 1, 2, 4, False, "circular")),
    ("Conv1d(1, 1, 4, padding='same')", Conv.make(1, 1, 1, 4, padding=((1, 2),))),
    ("Conv3d(1, 1, 1, padding='valid')", Conv.make(3, 1, 1, 1)),
    ("ConvTranspose1d(2, 2, 3, 2, 1, 1, 2, False, 3)", ConvTranspose.make(1, 2, 2, 3, 2, 1, 1, 2, False, 3)),
    ("PixelShuffle(2)", Shuffle(2)),
    ("PixelShuffle((2, 3))", Shuffle((2, 3))),
    ("PixelUnshuffle(downscale_factor=3)", Unshuffle(3)),
    ("DepthToSpace(2)", Shuffle(2, "DCR")),
    ("DepthToSpace(2, mode='CRD')", Shuffle(2, "CRD")),
    ("SpaceToDepth(2)", Unshuffle(2, "DCR")),
    ("ChannelShuffle(groups=2)", ChannelShuffle(2)),
    ("ZeroInsert(2)", ZeroInsert(2)),
    ("Upsample(None, 2)", Upsample(2)),
    ("Upsample(scale_factor=(2.0, 3))", Upsample((2, 3))),
    ("Upsample(scale_factor=2.0, mode='bilinear', align_corners=True)", Upsample((2, 2), "linear", True)),
    ("Upsample(scale_factor=2, mode='linear', recompute_scale_factor=True)", Upsample((2,), "linear")),
    ("Upsample(scale_factor=2, mode='trilinear')", Upsample((2, 2, 2), "linear")),
    ("Upsample(scale_factor=2, mode='bicubic', align_corners=False)", Upsample((2, 2), "cubic")),
    ("Upsample(scale_factor=3, mode='nearest-exact')", Upsample(3, "nearest-exact")),
    ("UpsamplingNearest2d(scale_factor=2)", Upsample((2, 2))),
    ("UpsamplingBilinear2d(None, 2)", Upsample((2, 2), "linear", True)),
    ("ZeroPad2d(1)", Pad(((1, 1), (1, 1)))),
    ("ZeroPad2d((1, 2, 3, -4))", Pad(((3, -4), (1, 2)))),
    ("ConstantPad1d(padding=1, value=0.0)", Pad(((1, 1),))),
    ("ReflectionPad3d((1, 2, 3, 4, 5, 6))", Pad(((5, 6), (3, 4), (1, 2)), "reflect")),
    ("ReplicationPad1d(2)", Pad(((2, 2),), "replicate")),
    ("CircularPad2d(1)", Pad(((1, 1), (1, 1)), "circular")),
    ("Crop(1)", Pad(-1)),
    ("Crop(1, 2)", Pad(((-1, -2),))),
    ("Crop((1, 2, 0, -3))", Pad(((0, 3), (-1, -2)))),
    ("AvgPool1d(2)", AvgPool.make(1, 2)),
    ("AvgPool2d(3, 2, 1, True, False, 5)", AvgPool.make(2, 3, 2, 1, True, False, 5)),
    ("Identity(54, unused='x', more=(1, None))", Identity()),
    ("Dropout2d(0.3)", Identity()),
    ("BatchNorm2d(4, 1e-3, None, False)", BatchNorm(4, 2, 1e-3, False)),
    ("ReLU(True)", Pointwise("ReLU")),
    ("LeakyReLU(0.2, inplace=True)", Pointwise("LeakyReLU", (("negative_slope", 0.2),))),
    ("Hardtanh(-2, +2.5)", Pointwise("Hardtanh", (("min_val", -2), ("max_val", 2.5)))),
    ("Threshold(-0.5, 0)", Pointwise("Threshold", (("threshold", -0.5), ("value", 0)))),
    ("GELU('tanh')", Pointwise("GELU", (("approximate", "tanh"),))),
    ("PReLU()", PReLU()),
    ("PReLU(4, init=0.1)", PReLU(4)),
]


@pytest.mark.parametrize(("text", "layer"), READS, ids=[text for text, _ in READS])
def test_reads(text: str, layer: Layer) -> None:
    assert parse(text) == Sequential((layer,))


def test_reads_chains() -> None:
    relu, shuffle = Pointwise("ReLU"), Shuffle(2)
    assert parse("ReLU() >> (PixelShuffle(2) >> ReLU())") == Sequential((relu, shuffle, relu))
    assert parse("Sequential(ReLU(), nn.Sequential(PixelShuffle(2)), ReLU()) >> ReLU()") == Sequential((relu, shuffle, relu, relu))
    assert parse("Sequential()") == Sequential()


def test_line_breaks_and_comments_are_blanks() -> None:
    text = "\n  # the é layer (\nReLU( # )\r\n\t) \r\n >> # >>\n PixelShuffle(\n2\n)\n"
    assert parse(text) == Sequential((Pointwise("ReLU"), Shuffle(2)))


FAILS = [  # the text with the caret where it belongs, and words of the message
    ("‸conv2d(1, 1, 3)", "Did you mean `Conv2d`?"),
    ("ReLU() >> ‸nn.PixelShufle(2)", "Did you mean `PixelShuffle` or"),
    ("‸MaxPool2d(2)", "does not decide"),
    ("Conv2d(1, 1, 3, ‸strid=2)", "no argument `strid`: Conv2d(in_channels, out_channels, kernel_size, stride=1"),
    ("Conv2d(1, 1, 3, ‸strid=2)", "Did you mean `stride`?"),
    ("AvgPool1d(2, ‸divisor_override=3)", "no argument `divisor_override`"),
    ("‸Conv2d(1, 1)", "needs `kernel_size`"),
    ("‸Conv2d()", "needs `in_channels`, `out_channels`, `kernel_size`"),
    ("ReLU(True, ‸False)", "at most 1 positional"),
    ("BatchNorm1d(1, 1e-5, 0.1, True, True, ‸True)", "at most 5 positional"),
    ("Conv2d(1, 1, 3, stride=1, ‸stride=2)", "`Conv2d.stride` is given twice"),
    ("Conv2d(1, 1, 3, ‸in_channels=2)", "`Conv2d.in_channels` is given twice"),
    ("Identity(a=1, ‸a=2)", "given twice"),
    ("Conv2d(‸*(1, 1, 3))", "write every one of them out"),
    ("Conv2d(1, 1, 3, ‸**x)", "write every one of them out"),
    ("Conv2d(1, 1, 3, ‸device='cuda')", "takes no `device`"),
    ("Conv2d(1, 1, 3, ‸dtype=float)", "takes no `dtype`"),
    ("Conv2d(1, ‸n, 3)", "must be a literal"),
    ("Conv2d(1, 1, ‸ReLU())", "must be a literal"),
    ("Conv2d(1, 1, ‸1 + 2)", "must be a literal"),
    ("Conv2d(1, 1, ‸-True)", "a sign stands before numbers only"),
    ("Conv2d(1, 1, ‸3j)", "`3j` is not a number"),
    ("Conv2d(1, 1, ‸0x)", "`0x` is not a number"),
    ("Conv2d(1, 1, ‸9223372036854775808)", "at most 2**62"),
    ("Conv2d(1, 1, 3, padding=‸'sa\\x6de')", "no backslash"),
    ("Conv2d(1, 1, 3, padding=f‸'same')", "no prefix"),
    ("Conv2d(1, 1, 3, padding=‸'same)", "ends on its own line"),
    ("ReLU() ‸| ReLU()", "Chain layers with `>>`"),
    ("ReLU() -‸> ReLU()", "Chain layers with `>>`"),
    ("ReLU() ‸→ ReLU()", "Chain layers with `>>`"),
    ("ReLU() + ‸ReLU()", "chained with `>>`"),
    ("package.module‸:net", "stands alone"),
    ("‸lambda: ReLU()", "has no meaning"),
    ("ReLU() ‸if ReLU() else ReLU()", "has no meaning"),
    ("‸ReLU(), ReLU()", "a layer is expected"),
    ("‸[ReLU()]", "a layer is expected"),
    ("‸3", "a layer is expected"),
    ("‸ReLU()()", "the name of a layer is expected"),
    ("‸ReLU", "must be called"),
    ("‸Sequential", "must be called"),
    ("Sequential(‸a=ReLU())", "not named arguments"),
    ("‸functional.relu()", "only the prefixes"),
    ("‸__import__('os').system('true')", "only the prefixes"),
    ("ReLU() >>‸", "does not parse"),
    ("ReLU()‸) >> (ReLU()", "unmatched ')'"),
    ("ReLU‸(", "never closed"),
    ("Conv2d(‸1 2, 3)", "forgot a comma"),
    ("ReLU()‸\0", "U+0000"),
    ("ReLU()‸\x1b[31m", "U+001B"),
    ("Identity(‸'\ud800')", "U+0027"),
    ("ReLU(‸\u00a0)", "ordinary space"),
    # what the layers themselves refuse, with the caret on the call
    ("ReLU() >> ‸Conv2d(3, 4, 3, groups=2)", "`Conv2d.in_channels` must be divisible by groups; found in_channels=3, groups=2."),
    ("‸Conv2d(1, 1, 3, 2, 'same')", "needs stride 1"),
    ("‸Conv2d(1, 1, 3, padding=((1, 2), (0, 0)))", "must be an integer; found (1, 2)"),
    ("‸ConvTranspose2d(1, 1, 3, 2, 1, 2)", "Use at most 1."),
    ("‸Upsample(size=4)", "`Upsample.size`"),
    ("‸Upsample(scale_factor=1.5)", "whole number"),
    ("‸Upsample(scale_factor=1e999)", "whole number"),
    ("‸Upsample()", "scale_factor` is missing"),
    ("‸Upsample(scale_factor=2, mode='cubic')", "must be one of 'nearest'"),
    ("‸Upsample(scale_factor=2, align_corners=False)", "linear and cubic modes only"),
    ("‸Upsample(scale_factor=(2, 2, 2), mode='bicubic')", "must be one integer or 2"),
    ("‸ConstantPad1d(1, 2.0)", "must be 0"),
    ("‸Crop()", "needs the amounts"),
    ("‸Crop(1, 2, 3)", "2, 4 or 6"),
    ("‸BatchNorm1d(2, bias=False)", "`BatchNorm1d.bias` must be True"),
    ("‸Dropout(1.5)", "between 0 and 1"),
    ("‸ReLU(inplace=1)", "True or False"),
    ("‸Hardtanh(1, 1)", "max_val greater than min_val"),
    # what does not fit together
    ("Conv2d(1, 1, 3) >> ‸ZeroPad1d(1)", "acts on 1 spatial axes"),
    ("Conv2d(1, 2, 3) >> ReLU() >> ‸Conv2d(3, 1, 3)", "expects 3 input channels, but receives 2"),
    ("Conv2d(1, 6, 3) >> ‸PixelShuffle(2)", "divisible by 4"),
    ("PixelUnshuffle(2) >> ‸Conv2d(6, 1, 1)", "no number of input channels"),
]


@pytest.mark.parametrize(("marked", "words"), FAILS, ids=[repr(marked) for marked, _ in FAILS])
def test_fails_at_its_place(marked: str, words: str) -> None:
    text = marked.replace("‸", "")
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    error = caught.value
    assert words in error.message
    assert error.position == marked.index("‸")
    *_, window, caret = str(error).split("\n")
    assert window[caret.index("^") :] == error.text[error.position :][: len(window) - caret.index("^")]
    assert len(error.text) == len(text) and str(error).encode()


def test_the_empty_expression() -> None:
    with pytest.raises(ExpressionError, match="the expression is empty"):
        parse("")


def test_caret_counts_characters_across_lines_and_scripts() -> None:
    text = "# größe\nIdentity('日本語') >>\r\n\tConv2d(1, 1, 3,\n  padding_mode='é')"
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.position == text.index("Conv2d")
    with pytest.raises(ExpressionError) as caught:
        parse("# größe\n Identity('日本語', 1 2)")
    assert caught.value.position == len("# größe\n Identity('日本語', ")


def test_a_suggestion_is_not_forced() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("Frobnicate(2)")
    assert "Did you mean" not in caught.value.message


HOSTILE = {
    "long": "ReLU() >> " * MAX_CHARACTERS,
    "many layers": " >> ".join(["ReLU()"] * (MAX_LAYERS + 1)),
    "many members": f"Sequential({'ReLU(),' * (MAX_LAYERS + 1)})",
    "members squared": " >> ".join([f"Sequential({'ReLU(),' * 20})"] * 20),
    "brackets": "(" * MAX_CHARACTERS,
    "balanced brackets": "(" * (MAX_NESTING + 1) + "ReLU()" + ")" * (MAX_NESTING + 1),
    "mixed brackets": "Identity(" + "([" * 9_000,
    "signs": "Identity(" + "-+" * 9_000 + "1)",
    "spaced signs": "Identity(" + "- " * 9_000 + "1)",
    "calls": "ReLU" + "()" * 9_000,
    "attributes": "a" + ".a" * 9_000,
    "names": "x " * 9_000,
    "one name": "x" * MAX_CHARACTERS,
    "digits": f"Identity({'9' * 19_000})",
    "hexadecimal digits": f"Identity(0x{'f' * 19_000})",
    "points": "." * 19_000,
    "exponents": f"Identity({'1e' * 9_000})",
    "signed exponents": f"Identity({'1e+' * 6_000})",
    "string": f"Identity('{'x' * 19_000}')",
    "strings": "Identity(" + "'x'" * 6_000 + ")",
    "quotes": "'" * 19_999,
    "tuple": f"Identity(({'1,' * 9_000}))",
    "arguments": f"Identity({'1,' * 9_000}" + "(",
    "commas": "," * 19_000,
    "comments": "#" * 19_000,
    "blank": " " * 19_000,
    "equals": "ReLU(" + "a=" * 9_000,
    "keywords": "ReLU(" + "a=1," * 4_000 + ")",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_fails_fast(text: str) -> None:
    start = time.perf_counter()
    with warnings.catch_warnings(), pytest.raises(ExpressionError) as caught:
        warnings.simplefilter("error")
        parse(text)
    assert time.perf_counter() - start < 0.5
    assert len(str(caught.value)) < 2_000


def test_the_limits_are_reached_exactly() -> None:
    assert len(parse(" >> ".join(["ReLU()"] * MAX_LAYERS)).layers) == MAX_LAYERS
    assert len(parse("(" * (MAX_NESTING - 1) + "ReLU()" + ")" * (MAX_NESTING - 1)).layers) == 1


def test_only_strings_are_parsed() -> None:
    with pytest.raises(ExpressionError):
        parse(b"ReLU()")  # type: ignore[arg-type]


PIECES = st.sampled_from(
    ("Conv2d", "ReLU", "Crop", "Sequential", "Upsample", "nn.", "(", ")", "[", "]", ">>", ",", "=", "1", "-", "2.5", "'same'", "'", "#",
     "\\", "*", ".", "if", "é", "None", "True", "padding", "kernel_size", "0x", "e", "\n", " ", "\0", "9" * 30)
)  # fmt: skip


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=25))
@settings(max_examples=150)
def test_any_text_parses_or_is_an_expression_error(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            layer = parse(text)
        except ExpressionError as error:
            assert error.position is not None and 0 <= error.position <= len(text)
        else:
            assert parse(format_layer(layer)) == layer or layer.axes is not None


VALUES = st.sampled_from([None, True, 0, 1, 2, 3, -1, 2.0, 0.5, 1e999, "", "same", (), (1,), (1, 2), (2, 2, 2), ((1, 2), (3, 4)), (None,)])


@given(st.sampled_from(sorted(SIGNATURES)), st.lists(VALUES, max_size=4), st.data())
@settings(max_examples=200)
def test_any_arguments_build_or_are_an_expression_error(name: str, values: list[object], data: st.DataObject) -> None:
    named = data.draw(st.dictionaries(st.sampled_from([p.name for p in SIGNATURES[name].parameters] or ["x"]), VALUES, max_size=2))
    text = f"{name}({', '.join([*map(repr, values), *(f'{key}={value!r}' for key, value in named.items())])})".replace("inf", "1e999")
    try:
        layer = parse(text)
    except ExpressionError:
        return
    axes = layer.axes or 2
    assert parse(format_layer(layer, axes)).bind(axes) == layer.bind(axes)


# --- formatting -----------------------------------------------------------------------------------------------------

SPELLINGS: list[tuple[Layer, int | None, str]] = [
    (ConvTranspose.make(2, 3, 2, 4, stride=2, padding=1, bias=False), None, "ConvTranspose2d(3, 2, 4, stride=2, padding=1, bias=False)"),
    (Conv.make(2, 3, 2, (3, 5), (1, 2), (0, 1)), None, "Conv2d(3, 2, (3, 5), stride=(1, 2), padding=(0, 1))"),
    (Conv.make(1, 3, 2, 4, padding="same", padding_mode="reflect"), None, "Conv1d(3, 2, 4, padding='same', padding_mode='reflect')"),
    (Conv.make(2, 1, 1, 3, padding=((1, 0), (0, 2))), None, "ZeroPad2d((0, 2, 1, 0)) >> Conv2d(1, 1, 3)"),
    (Conv.make(1, 1, 1, 3, padding=((1, 0),), padding_mode="circular"), None, "CircularPad1d((1, 0)) >> Conv1d(1, 1, 3)"),
    (ConvTranspose.make(1, 1, 1, 3, padding=((1, 0),)), None, "ConvTranspose1d(1, 1, 3) >> Crop(1, 0)"),
    (Shuffle(2), None, "PixelShuffle(2)"),
    (Shuffle((2, 2)), None, "PixelShuffle((2, 2))"),
    (Shuffle((2, 2)), 2, "PixelShuffle(2)"),
    (Shuffle(2), 3, "PixelShuffle(2)"),
    (Sequential((Shuffle((2, 2)), Unshuffle((3, 3), "DCR"))), None, "PixelShuffle((2, 2)) >> SpaceToDepth(3)"),
    (Sequential((Shuffle((2, 2), "DCR"), Conv.make(2, 1, 1, 1))), None, "DepthToSpace(2) >> Conv2d(1, 1, 1)"),
    (Sequential((Shuffle((2, 2)), Unshuffle((2, 3)))), None, "PixelShuffle(2) >> PixelUnshuffle((2, 3))"),
    (Pad(-1), None, "Crop(1)"),
    (Pad(2), None, "Crop(-2)"),
    (Pad(2), 1, "ZeroPad1d(2)"),
    (Pad(((-1, -1), (-1, -1))), None, "Crop(1, 1, 1, 1)"),
    (Pad(((-1, -1), (-1, -1))), 2, "Crop(1)"),
    (Pad(((0, -1), (-2, -3))), 2, "Crop(2, 3, 0, 1)"),
    (Pad(((0, 0),)), None, "Crop(0, 0)"),
    (Pad(((1, 1), (-1, 1)), "replicate"), None, "ReplicationPad2d((-1, 1, 1, 1))"),
    (Upsample(2), None, "Upsample(scale_factor=2)"),
    (Upsample((2, 2)), None, "Upsample(scale_factor=(2, 2))"),
    (Upsample((2, 2, 2), "linear", True), None, "Upsample(scale_factor=2, mode='trilinear', align_corners=True)"),
    (Upsample(3, "cubic"), None, "Upsample(scale_factor=3, mode='bicubic')"),
    (AvgPool.make(2, 3, 3, 1), None, "AvgPool2d(3, padding=1)"),
    (AvgPool.make(1, 3, ceil_mode=True, count_include_pad=False), None, "AvgPool1d(3, ceil_mode=True, count_include_pad=False)"),
    (AvgPool.make(2, (3, 2), 2), None, "AvgPool2d((3, 2), stride=2)"),
    (BatchNorm(4, 1), None, "BatchNorm1d(4)"),
    (BatchNorm(4, 1, 0, affine=False), None, "BatchNorm1d(4, eps=0.0, affine=False)"),
    (Pointwise("LeakyReLU", (("negative_slope", 1),)), None, "LeakyReLU(negative_slope=1.0)"),
    (Pointwise("LeakyReLU", (("negative_slope", 0.01),)), None, "LeakyReLU()"),
    (Pointwise("Threshold", (("threshold", 1), ("value", -0.0))), None, "Threshold(1.0, 0.0)"),
    (PReLU(), None, "PReLU()"),
    (Sequential(), None, "Sequential()"),
]


@pytest.mark.parametrize(("layer", "axes", "text"), SPELLINGS, ids=[f"{text}, {axes}" for _, axes, text in SPELLINGS])
def test_spells(layer: Layer, axes: int | None, text: str) -> None:
    assert format_layer(layer, axes) == text
    assert format_layer(parse(text), axes) == text


@pytest.mark.parametrize("layer", [Pad(1, "reflect"), Upsample(2, "linear"), Layer()])
def test_a_layer_without_a_spelling_is_refused(layer: Layer) -> None:
    with pytest.raises(LayerError):
        format_layer(layer)


def _per_axis(axes: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.integers(low, high).map(lambda value: (value,) * axes) | st.tuples(*[st.integers(low, high)] * axes)


def _margins(axes: int, low: int, high: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    return _per_axis(axes, low, high).map(lambda pads: tuple((pad, pad) for pad in pads)) | st.tuples(*[_per_axis(2, low, high)] * axes)


@st.composite
def layers(draw: Callable[..., object], axes: int) -> Layer:
    """Any layer that takes and gives 4 channels, or leaves the number alone."""
    d = draw
    flags, factors = st.booleans(), _per_axis(axes, 1, 3)
    modes = st.sampled_from(["zeros", "reflect", "replicate", "circular"])
    kind = d(st.integers(0, 10))
    if kind == 0:
        pads = d(_margins(axes, 0, 3) | st.just("same"))
        stride = 1 if pads == "same" else d(factors)
        return Conv.make(axes, 4, 4, d(_per_axis(axes, 1, 5)), stride, pads, d(factors), d(st.sampled_from([1, 2, 4])), d(flags), d(modes))
    if kind == 1:
        pads, dilation = d(_margins(axes, 0, 3)), d(factors)
        extra = tuple(gap - 1 for gap in dilation) if d(flags) else 0
        kernel, groups = d(_per_axis(axes, 1, 5)), d(st.sampled_from([1, 2]))
        return ConvTranspose.make(axes, 4, 4, kernel, d(factors), pads, extra, groups, d(flags), dilation)
    if kind in (2, 3):
        return d(st.sampled_from([ChannelShuffle(2), Identity(), ZeroInsert(d(factors)), PReLU(d(st.sampled_from([1, 4])))]))
    if kind == 4:
        return Upsample(d(factors), d(st.sampled_from(["nearest", "nearest-exact", "linear"] + ["cubic"] * (axes == 2))))
    if kind == 5:
        return Upsample(d(factors), "linear", d(flags))
    if kind in (6, 7):
        return Pad(d(_margins(axes, -3, 3) | _margins(axes, -3, 0)), d(modes))
    if kind == 8:
        kernel = d(_per_axis(axes, 1, 4))
        divisor = d(st.sampled_from([None, 3, -1])) if axes > 1 else None
        return AvgPool.make(axes, kernel, d(factors), d(st.sampled_from([0, tuple(k // 2 for k in kernel)])), d(flags), d(flags), divisor)
    if kind == 9:
        return BatchNorm(4, axes, d(st.sampled_from([1e-5, 0, 1e-3, 1, 1 / 3])), d(flags), d(flags))
    name = d(st.sampled_from(sorted(NONLINEARITIES)))
    numbers = st.sampled_from([0.1, 1, 2.5, 1e-30, 1 / 3])
    values = {key: d(numbers) for key, _ in NONLINEARITIES[name]}
    values |= {"max_val": 3} if name == "Hardtanh" else {"approximate": "tanh"} if name == "GELU" else {}
    return Pointwise(name, tuple(values.items()))


@st.composite
def chains(draw: Callable[..., object]) -> tuple[Sequential, int]:
    axes = draw(st.integers(1, 3))
    members = draw(st.lists(layers(axes), max_size=4))
    for _ in range(draw(st.integers(0, 1))):
        order, factor = draw(st.sampled_from(["CRD", "DCR"])), draw(_per_axis(axes, 1, 3))
        members = [Unshuffle(factor, order), Shuffle(factor, order), *members]
    return Sequential(tuple(members)), axes


def _apart(layer: Layer) -> tuple[Layer, ...]:
    """Paddings that PyTorch cannot express as layers of their own, as formatting spells them."""
    if isinstance(layer, (Conv, ConvTranspose)) and any(before != after for before, after in layer.padding):
        plain = tuple((0, 0) for _ in layer.padding)
        if isinstance(layer, ConvTranspose):
            crop = Pad(tuple((-before, -after) for before, after in layer.padding))
            return type(layer).make(*_arguments(layer, plain)), crop
        if parse(format_layer(layer)) != Sequential((layer,)):
            return Pad(layer.padding, layer.padding_mode), type(layer).make(*_arguments(layer, plain))
    return (layer,)


def _arguments(layer: Conv | ConvTranspose, padding: object) -> tuple[object, ...]:
    first = (layer.axes, layer.in_channels, layer.out_channels, layer.kernel, layer.stride, padding)
    if isinstance(layer, ConvTranspose):
        return (*first, layer.output_padding, layer.groups, layer.bias, layer.dilation)
    return (*first, layer.dilation, layer.groups, layer.bias)


@given(chains(), st.booleans())
@example((Sequential((Pad(((-1, -1),)), Pad(((1, 1),)))), 1), False)
@example((Sequential((Sequential((Upsample((2, 2)),)), Shuffle((2, 2)))), 2), False)
@settings(max_examples=150)
def test_parsing_inverts_formatting(chain_and_axes: tuple[Sequential, int], tell: bool) -> None:
    chain, axes = chain_and_axes
    text = format_layer(chain, axes if tell else None)
    again = parse(text)
    expected = tuple(part for member in flatten(chain.bind(axes)) for part in _apart(member))
    assert again.bind(axes) == Sequential(expected)
    assert tell or again.axes == chain.axes
    assert format_layer(again, axes if tell else None) == text


# --- conformance ----------------------------------------------------------------------------------------------------

OWN = {"DepthToSpace", "SpaceToDepth", "ZeroInsert", "Crop"}
NOT_OURS = {"device", "dtype", "min_value", "max_value"}
"""Arguments of PyTorch that say nothing about the layer, and Hardtanh's deprecated names."""


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - OWN))
def test_signatures_are_pytorch_s(name: str) -> None:
    from torch import nn

    theirs = [p for p in inspect.signature(getattr(nn, name)).parameters.values() if p.name not in NOT_OURS]
    ours = SIGNATURES[name]
    if any(p.kind is p.VAR_POSITIONAL for p in theirs):  # Identity, and classes that leave __init__ to nn.Module
        assert ours.ignores == (name == "Identity") and not ours.parameters
        return
    assert [p.name for p in ours.parameters] == [p.name for p in theirs]
    for own, other in zip(ours.parameters, theirs, strict=True):
        assert own.default is REQUIRED if other.default is other.empty else own.default == other.default
        assert own.keyword_only == (other.kind is other.KEYWORD_ONLY)


def test_every_pad_conv_pool_and_norm_of_pytorch_is_known() -> None:
    from torch import nn

    kinds = ("Conv", "AvgPool", "BatchNorm", "ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "CircularPad")
    wanted = {name for name in dir(nn) if name[-2:] in ("1d", "2d", "3d") and name.startswith(kinds)}
    assert wanted and wanted <= set(SIGNATURES)

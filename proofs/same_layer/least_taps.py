"""How many taps a low-resolution convolution needs if nothing may be cropped at the front.

Source: the common reading of arXiv 1609.07009 for k = 4, s = 2, p = 1, which is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import TRANSPOSED, shuffled_layer, transposed, transposed_layer
from ..terms import ceiling, integers, within
from ..theorem import Agreement, Case, Counterexample, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ, text
from .universal_lowering import lowered

s, k, p, a, P, K, T, t, L, m, b, W, x = integers("s k p a P K T t L m b W x")

stride = Hypothesis(s >= 1, "phases are residues modulo s")
taps = Hypothesis(k >= 1, "there is a first and a last tap")

ALIGNED = (s * P == p + a) & within(a, s)
LEAST = ceiling(k + a, s, K)


def _bounds(values: Values) -> tuple[str, list[str]]:
    """The transposed layer, and every low-resolution form of ceil(k / s) taps whose extents fit (cropped at the end only)."""
    step, size, pad = values["s"], values["k"], values["p"]
    slots, form = -(-size // step), lowered({**values, "pb": pad})
    shift = form["before"] - (form["k"] - slots)
    forms = []
    for before in (shift, shift + 1):
        fits = {"r": step, "k": slots, "before": before, "after": slots - 1 - before + form["before"] + form["after"] - form["k"] + 1}
        forms.append(shuffled_layer({**fits, "back": form["back"]}))
    return transposed_layer({**values, "pb": pad}), forms


def _refute(values: Values) -> Counterexample | None:
    """No placement of ceil(k / s) taps contains the transposed class."""
    layer, forms = _bounds(values)
    found = [layers_differ(lambda v: layer, lambda v, form=form: form, ("equal", "left_in_right"))(values) for form in forms]  # type: ignore[misc]
    if any(item is None for item in found):
        return None
    one = found[0]
    assert one is not None
    says = f"{text(values)}: {layer} is in neither {' nor '.join(forms)}"
    return Counterexample(values, says, all(item is not None and item.replayed for item in found))


def _instances() -> Iterator[Case]:
    yield Case(
        "ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)",
        "Conv2d(1, 4, 3, padding=1, bias=False) >> PixelShuffle(2)",
        "left_in_right",
        left_dimension=16,
        right_dimension=36,
        intersection=16,
    )
    yield Case(
        "ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)",
        "Conv2d(1, 4, 2, padding=1, bias=False) >> PixelShuffle(2) >> Crop(1)",
        "equal",
        left_dimension=16,
        right_dimension=16,
    )


THEOREM = Theorem(
    name="least-taps",
    numbers=(6,),
    group="same_layer",
    title="Without a crop at the front, ceil(k / s) low-resolution taps suffice iff s divides the padding; else ceil((k - t) / s) + 1.",
    statement=(
        "Let t = p mod s. A convolution in low resolution of stride 1 and K taps whose shuffled class contains ConvTranspose(k, s, p)",
        "without cropping at the front needs K >= ceil(k / s) if t = 0, and K >= ceil((k - t) / s) + 1 otherwise; that many suffice.",
        "So k = 4, s = 2, p = 1 is not a same-size convolution with k = 2: it needs 3 taps an axis, on two axes 36 weights of which 20",
        "are zero, or 2 taps and a crop of one pixel on each side.",
    ),
    proof=(
        "With a = -p mod s and s P = p + a, tap 0 stands at offset i - m = P of phase a, and tap k - 1 at offset P - K + 1 where",
        "K = ceil((k + a) / s). A window of W consecutive offsets that has both has W >= K. `universal-lowering` attains it.",
    ),
    source="the widespread reading of arXiv 1609.07009, corrected",
    scope="all k, s, p, at all large enough extents",
    hypotheses=(stride, taps),
    definitions=(TRANSPOSED,),
    obligations=(
        Obligation(
            "tap 0 stands at offset P",
            (taps.formula, ALIGNED),
            transposed(s * m + a, m + P, 0, s=s, k=k, d=1, pb=p),
        ),
        Obligation(
            "tap k - 1 stands at offset P - K + 1",
            (taps.formula, ALIGNED, a + k - 1 == s * (K - 1) + L),
            transposed(s * m + L, m + P - (K - 1), k - 1, s=s, k=k, d=1, pb=p),
            "L is the phase of tap k - 1",
        ),
        Obligation(
            "that is the last slot",
            (LEAST, a + k - 1 == s * (K - 1) + L),
            within(L, s),
        ),
        Obligation("a window with both offsets has K taps", (b <= P - (K - 1), b + W > P), W >= K),
        Obligation("aligned: zeros in front are a multiple of s", (s * P == p + a, p == s * T, x == P - T), s * x == a),
        Obligation("aligned: no zeros in front", (stride.formula, within(a, s), s * x == a), a == 0),
        Obligation("not aligned: zeros in front complete the rest", (s * P == p + a, p == s * T + t, x == P - T), s * x == t + a),
        Obligation("not aligned: to one stride", (stride.formula, t >= 1, t < s, within(a, s), s * x == t + a), x == 1),
        Obligation("not aligned: s - t zeros in front", (s * x == t + a, x == 1), a == s - t),
        Obligation("not aligned: the closed form", (a == s - t, LEAST), ceiling(k - t, s, K - 1)),
    ),
    agreements=(Agreement("engine", "k = 4, s = 2, p = 1: 16 of 36 weights; or a crop of one pixel", "the example, two axes", _instances),),
    twins=(
        Twin(
            "ceil(k / s) taps always do",
            "whatever the padding, ceil(k / s) taps suffice without a crop at the front",
            by_size("k s p", {"s": 2, "p": 1}, 4, lambda v: 2 * v["p"] < v["k"]),
            _refute,
        ),
    ),
)

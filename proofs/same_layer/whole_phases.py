"""When periodic shuffling gives the output extent of a transposed convolution exactly.

Source: symconv's own; V. Dumoulin and F. Visin, arXiv 1603.07285, relationship 14, for the extent.
"""

from __future__ import annotations

from ..definitions import TRANSPOSED, reach, transposed_extent, transposed_layer
from ..terms import integers, within
from ..theorem import Counterexample, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, text

s, k, d, pb, pe, op, n, M, x, y, z, e = integers("s k d pb pe op n M x y z e")

stride = Hypothesis(s >= 1, "divisibility by s")
OUTPUT = transposed_extent(n, s=s, k=k, d=d, pb=pb, pe=pe, op=op) == M
SURPLUS = reach(k, d) - pb - pe + op == s * y + z


def _needs_crop(values: Values) -> Counterexample | None:
    """s divides k, and yet the output extent is no multiple of s."""
    import torch

    from symconv.conformance.torch_oracle import to_module
    from symconv.frontends.text import parse

    layer = transposed_layer({**values, "pb": values["p"], "pe": values["p"]})
    out = int(to_module(parse(layer), 1)(torch.zeros((1, 1, 2), dtype=torch.float64)).shape[-1])
    if out % values["s"] == 0:
        return None
    return Counterexample(values, f"{text(values)}: {layer} has {out} output samples at extent 2, no multiple of {values['s']}", True)


THEOREM = Theorem(
    name="whole-phases",
    numbers=(7,),
    group="same_layer",
    title="Shuffling gives the output extent without a crop iff s divides ke - pb - pe + op.",
    statement=(
        "The output extent of ConvTranspose(k, s, d, pb, pe, op) is a multiple of s at one extent n iff at every one,",
        "namely iff s divides ke - pb - pe + op.",
    ),
    proof=("m = (n - 1) s + (ke - pb - pe + op), so m is a multiple of s iff the bracket is.",),
    source="symconv's own",
    scope="all k, s, d, pb, pe, op, n",
    hypotheses=(stride,),
    definitions=(TRANSPOSED,),
    obligations=(
        Obligation("divisible: no crop", (OUTPUT, reach(k, d) - pb - pe + op == s * y), s * (n - 1 + y) == M),
        Obligation("a whole output makes the rest a multiple of s", (OUTPUT, SURPLUS, s * x == M, e == x - (n - 1) - y), s * e == z),
        Obligation("so there is no rest", (stride.formula, within(z, s), s * e == z), z == 0),
    ),
    twins=(
        Twin(
            "s divides k",
            "no crop is needed iff the stride divides the kernel",
            by_size("k s p", {"p": 0}, 6, lambda v: v["k"] % v["s"] == 0 and 2 * v["p"] < v["k"]),
            _needs_crop,
        ),
    ),
)

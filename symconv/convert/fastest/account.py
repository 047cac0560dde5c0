"""What an engine does at given extents, counted: multiplications, and bytes that must move through memory.

Owns: `Account`. Must not know: engines.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Account:
    """Counts for one forward pass.

    Args:
        multiplications: of kernel entries with samples; structural zeros count where they are multiplied.
        moved: samples read and written by every pass over memory: input, weights, what is stored between, output. What a library
            stores inside one call is not seen.
        weights: samples of the rearranged parameters that are kept.
    """

    multiplications: int
    moved: int
    weights: int

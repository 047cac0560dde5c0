"""Which settings are tried: the product of devices, formats, algorithms, modes, directions and runtimes.

Owns: `Plan`, `make_plan`. Must not know: layers, results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from symconv.conformance.precision import PRECISIONS
from symconv.conformance.torch_runs import ALGORITHMS, DIRECTIONS, MEMORY_FORMATS, MODES, TorchSetting, require_device
from symconv.errors import UsageError

EVIDENCE = ("exact", "bounded")
DEFAULT_ALGORITHMS = {"cpu": ("onednn", "no-onednn"), "cuda": ("cudnn", "cudnn-benchmark", "cudnn-deterministic"), "mps": ("default",)}


@attrs.frozen(kw_only=True)
class Plan:
    """Everything but the layers.

    Args:
        device: the device, already known to be there.
        dtypes, memory_formats, algorithms, modes, directions, backends, evidence: what is multiplied out.
        extents: input extents, or None to draw them.
        count: instances a setting.
        seed: of all random numbers.
        compiler: torch.compile's backend.
    """

    device: str = "cpu"
    dtypes: tuple[str, ...] = ("float64", "float32")
    memory_formats: tuple[str, ...] = ("contiguous",)
    algorithms: tuple[str, ...] = ("onednn", "no-onednn")
    modes: tuple[str, ...] = ("eager",)
    directions: tuple[str, ...] = DIRECTIONS
    backends: tuple[str, ...] = ("torch",)
    evidence: tuple[str, ...] = EVIDENCE
    extents: tuple[int, ...] | None = None
    count: int = 3
    seed: int = 0
    compiler: str = "inductor"

    def settings(self) -> Iterator[tuple[str, TorchSetting]]:
        """(backend, setting); runtimes other than torch have a number format and a device only."""
        for backend in self.backends:
            for dtype in self.dtypes:
                if backend != "torch":
                    yield backend, TorchSetting(self.device, dtype)
                    continue
                for memory_format in self.memory_formats:
                    for algorithm in self.algorithms:
                        for mode in self.modes:
                            yield backend, TorchSetting(self.device, dtype, memory_format, algorithm, mode, self.compiler)


def make_plan(
    *,
    device: str = "auto",
    dtypes: str | None = None,
    memory_formats: str | None = None,
    algorithms: str | None = None,
    modes: str | None = None,
    directions: str | None = None,
    backends: str | None = None,
    extents: tuple[int, ...] | None = None,
    count: int = 3,
    seed: int = 0,
    compiler: str = "inductor",
) -> Plan:
    """A plan from the command line's words, each a list with commas; `all` takes all there are.

    Raises:
        UsageError: a word that means nothing, a device or a runtime that is not there.
    """
    from symconv.conformance.runtimes import RUNTIMES, load

    found = require_device(device)
    if count < 1:
        raise UsageError(f"`--count` must be at least 1; found {count}.")
    if seed < 0:
        raise UsageError(f"`--seed` must be at least 0; found {seed}.")
    chosen = chosen_words("--backend", backends, ("torch", *RUNTIMES), ("torch",))
    for name in chosen:
        if name != "torch":
            load(name)
    return Plan(
        device=found,
        dtypes=chosen_words("--dtype", dtypes, tuple(PRECISIONS), ("float64", "float32") if found != "mps" else ("float32",)),
        memory_formats=chosen_words("--memory-format", memory_formats, MEMORY_FORMATS, MEMORY_FORMATS[:1]),
        algorithms=chosen_words("--algorithms", algorithms, ALGORITHMS[found], DEFAULT_ALGORITHMS[found], f" on {found}"),
        modes=chosen_words("--mode", modes, MODES, MODES[:1]),
        directions=chosen_words("--directions", directions, DIRECTIONS, DIRECTIONS),
        backends=chosen,
        extents=extents,
        count=count,
        seed=seed,
        compiler=compiler,
    )


def chosen_words(option: str, text: str | None, known: Sequence[str], default: Sequence[str], where: str = "") -> tuple[str, ...]:
    """The words of a list with commas, in its order, each once.

    Raises:
        UsageError: a word that is not known.
    """
    if text is None:
        return tuple(default)
    if text == "all":
        return tuple(known)
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for word in words:
        if word not in known:
            raise UsageError(f"`{option}` must be a list of {', '.join(known)}{where}, or all; found {word!r}.")
    return words

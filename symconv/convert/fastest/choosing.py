"""The choice for one layer: what was tried, what it costs, what is kept.

Owns: `choose`, `Setting`.
Must not know: whole models, terminals.

The layer itself is a candidate and wins ties.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from symconv.convert.fastest import cache
from symconv.convert.fastest.clock import WALL, Lap, available, peak
from symconv.convert.fastest.equivalents import GIVEN, certified_forms
from symconv.convert.fastest.exactness import Reference, integers, size_for
from symconv.convert.fastest.found import Choice, stored
from symconv.convert.fastest.originals import originals
from symconv.convert.fastest.ranking import CHOSEN, MEASURED, REFUSED, Row, contest, faster, lap_of, own_version, row_of
from symconv.convert.fastest.replacement import Fastest
from symconv.convert.fastest.routes import Chain, Executes, Route, routes
from symconv.errors import LayerError, ModelError
from symconv.layers import Layer, channels_through
from symconv.operators.domain import domain, output_extent
from symconv.prove.stage import words_of

SLACK = 2**20
"""Bytes by which a peak of resident memory may be off."""
REVISION = 1
"""Raised when an engine changes, so that old measurements are not believed."""


@attrs.frozen(kw_only=True)
class Setting:
    """Where and how long.

    Args:
        seconds: for the races of one layer.
        cached: whether measurements are kept on disk and believed.
        frugal: whether a route may use no more memory than the layer and the moved weights.
        budget: seconds for the proofs of one layer.
        clock: "wall", or "processor": time that the calling thread uses, for one thread on a busy machine.
    """

    seconds: float = 4.0
    cached: bool = True
    frugal: bool = True
    budget: float = 60.0
    clock: str = WALL


def choose(
    layer: Layer, members: Sequence[nn.Module], shape: Sequence[int], setting: Setting, progress: Callable[[str], None] | None = None
) -> Choice:
    """Measures every route for a layer and keeps the fastest.

    Args:
        layer: what the modules are, weightless.
        members: the given modules, in evaluation mode; exactly one has parameters. They are not changed.
        shape: (batch, channels, *extents) to be timed.
        setting: how long.
        progress: told what is under way.

    Raises:
        LayerError: the layer does not accept the shape, or memory runs out before anything was measured.
    """
    return _Choosing(layer, members, tuple(shape), setting, progress or (lambda _: None)).answer()


class _Choosing:
    """One choice under way."""

    def __init__(
        self, layer: Layer, members: Sequence[nn.Module], shape: tuple[int, ...], setting: Setting, progress: Callable[[str], None]
    ):
        self.members, self.shape, self.setting, self.progress = list(members), shape, setting, progress
        self.core = core_of(members)
        weight: Any = self.core.weight
        self.like = torch.empty(0, device=weight.device, dtype=weight.dtype)
        progress("proving")
        self.forms = certified_forms(layer, channels=shape[1], budget=setting.budget)
        self.device = weight.device.type

    def answer(self) -> Choice:
        """Proofs, comparison on integers, races."""
        self._require_shape()
        known = cache.recall(self.question, self.setting.seconds) if self.setting.cached else None
        remembered = None if known is None else self._remembered(known)
        if remembered is not None:
            return remembered
        choice = self._measured()
        if self.setting.cached:
            cache.remember(self.question, stored(choice), self.setting.seconds)
        return choice

    @property
    def question(self) -> dict[str, Any]:
        """All that a measurement depends on."""
        return {
            "layer": self.forms.source,
            "shape": list(self.shape),
            "dtype": _name(self.like.dtype),
            "device": device_name(self.like.device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "onednn": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
            "tf32": _tf32(),
            "symconv": own_version(),
            "revision": REVISION,
            "frugal": self.setting.frugal,
            "clock": self.setting.clock,
        }

    def _require_shape(self) -> None:
        words = words_of(self.forms.found[0].layers, self.forms.channels, self.forms.axes)
        if not all(n in domain(word) for word, n in zip(words, self.shape[2:], strict=True)):
            raise LayerError(f"`{self.forms.source}` does not accept an input of shape {self.shape}. Give larger extents.")
        free = available()
        if self.device == "cpu" and free is not None and self._least_bytes > free:
            raise LayerError(
                f"input shape {self.shape} needs {_megabytes(self._least_bytes)} for inputs and outputs, and {_megabytes(free)} are free. "
                "Give a smaller one."
            )
        try:
            with torch.no_grad():
                _run(self.members, self.like.new_zeros(self.shape))
        except torch.OutOfMemoryError as error:
            raise LayerError(f"memory runs out at input shape {self.shape}. Give a smaller one.") from error
        except RuntimeError as error:
            if "allocate" in str(error) or "out of memory" in str(error):
                raise LayerError(f"memory runs out at input shape {self.shape}. Give a smaller one.") from error
            raise LayerError(f"`{self.forms.source}` does not accept an input of shape {self.shape}: {_first_line(error)}") from error

    @property
    def _least_bytes(self) -> int:
        """Of an input, and of the two outputs that a comparison holds."""
        words = words_of(self.forms.found[0].layers, self.forms.channels, self.forms.axes)
        extents = [output_extent(word, n) for word, n in zip(words, self.shape[2:], strict=True)]
        outputs = self.shape[0] * channels_through(self.forms.found[0].layers, self.forms.channels)[-1] * math.prod(map(abs, extents))
        return (math.prod(self.shape) + 2 * outputs) * self.like.element_size()

    def _measured(self) -> Choice:
        found = routes(self.forms, self.device, self.like.dtype)
        rows: dict[int, Row] = {}
        kept: list[tuple[Route, Fastest]] = []
        x = self._sample()
        with torch.no_grad():
            most = self._peak(lambda: _run(self.members, x))
            for place, route in enumerate(found):
                self.progress(f"comparing {place + 1} of {len(found)}")
                row, module = self._tried(route, x, most)
                rows[id(route)] = row
                if module is not None:
                    kept.append((route, module))
            calls = [lambda: _run(self.members, x), *(lambda module=module: module(x) for _, module in kept)]
            outcome = contest(calls, self.setting.seconds, self.device, clock=self.setting.clock, progress=self.progress)
        raced = outcome.rows([self._first(most), *(rows[id(route)] for route, _ in kept)])
        rows |= {id(route): row for (route, _), row in zip(kept, raced[1:], strict=True)}
        best = kept[outcome.best - 1][0] if outcome.best else None
        return self._choice((raced[0], *rows.values()), best, outcome.control, outcome.confirmed, cached=False)

    def _sample(self) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.shape, generator=generator).to(self.like.device, self.like.dtype)

    def _peak(self, call: Callable[[], object]) -> int | None:
        return peak(call) if self.device == "cpu" else None

    def _first(self, most: int | None) -> Row:
        form = self.forms.found[0]
        direct: list[Executes] = list(originals(form.layers, plain=True)[:1])
        counts = (direct or [Chain(form.layers, self.forms.axes, self.forms.channels)])[0].account(self.shape)
        return Row(
            form=GIVEN,
            engine=GIVEN,
            why="as it was",
            status=MEASURED,
            multiplications=counts.multiplications,
            bytes=counts.moved * self.like.element_size(),
            weight_bytes=counts.weights * self.like.element_size(),
            peak_bytes=most,
        )

    def _tried(self, route: Route, x: Tensor, most: int | None) -> tuple[Row, Fastest | None]:
        """The row of a route, compared on integers and weighed; with the module if it is to be raced."""
        counts, size = route.engine.account(self.shape), self.like.element_size()
        row = Row(
            form=route.form,
            engine=route.engine.name,
            why=route.engine.why,
            status=MEASURED,
            multiplications=counts.multiplications,
            bytes=counts.moved * size,
            weight_bytes=counts.weights * size,
        )
        try:
            reason = self._differs(route)
            if reason is not None:
                return attrs.evolve(row, status=REFUSED, reason=reason), None
            module = Fastest(self.members, self.core, route, self.forms.source, strict=True)
            module(x)
            used = self._peak(lambda: module(x))
        except (RuntimeError, NotImplementedError, MemoryError) as error:
            return attrs.evolve(row, status=REFUSED, reason=f"PyTorch refuses: {_first_line(error)}"), None
        row = attrs.evolve(row, peak_bytes=used)
        if self.setting.frugal and used is not None and most is not None and used > most + counts.weights * size + SLACK:
            return attrs.evolve(row, status=REFUSED, reason=f"needs {_megabytes(used)} while it runs, the layer {_megabytes(most)}"), None
        return row, module

    def _differs(self, route: Route) -> str | None:
        """What the route computes otherwise than the layer, on integers at several extents, or None."""
        members, reference = self._integral
        return reference.deviation(Fastest(members, core_of(members), route, self.forms.source, strict=True))

    @functools.cached_property
    def _integral(self) -> tuple[list[nn.Module], Reference]:
        """The given modules with integers as parameters, and what they give."""
        members = [copy.deepcopy(member).requires_grad_(False) for member in self.members]
        size = size_for(self.forms, self.like.dtype)
        with torch.no_grad():
            for seed, parameter in enumerate(core_of(members).parameters()):
                parameter.copy_(integers(parameter.shape, size.most, parameter, seed + 1))
        return members, Reference(nn.Sequential(*members), self._shapes(), self.like, size)

    def _shapes(self) -> Iterator[tuple[int, ...]]:
        """Extents that differ from axis to axis: smallest ones, some in two samples, and those that are timed."""
        axes, channels = self.forms.axes, self.shape[1]
        for batch, start in ((1, 1), (2, 2), (1, 5), (1, 8)):
            yield (batch, channels, *range(start, start + axes))
        yield self.shape

    def _remembered(self, known: dict[str, Any]) -> Choice | None:
        """A choice of an earlier run, if its route is still there and still gives the layer's integers."""
        try:
            rows = tuple(row_of(item) for item in known["rows"])
            control, confirmed = lap_of(known["control"]), lap_of(known["confirmed"])
            (chosen,) = [row for row in rows if row.status == CHOSEN]
        except (KeyError, TypeError, ValueError):
            return None
        if chosen.form == GIVEN and chosen.engine == GIVEN:
            return self._choice(rows, None, control, None, cached=True)
        found = [route for route in routes(self.forms, self.device, self.like.dtype) if route.form == chosen.form]
        route = next((route for route in found if route.engine.name == chosen.engine), None)
        try:
            if route is None or confirmed is None or self._differs(route) is not None:
                return None
        except (RuntimeError, NotImplementedError, MemoryError):
            return None
        return self._choice(rows, route, control, confirmed, cached=True)

    def _choice(self, rows: tuple[Row, ...], route: Route | None, control: Lap | None, confirmed: Lap | None, *, cached: bool) -> Choice:
        return Choice(
            source=self.forms.source,
            shape=self.shape,
            device=device_name(self.like.device),
            dtype=_name(self.like.dtype),
            threads=torch.get_num_threads(),
            clock=self.setting.clock,
            rows=rows,
            control=control,
            confirmed=confirmed,
            cached=cached,
            forms=self.forms,
            route=route,
        )


def core_of(members: Sequence[nn.Module]) -> Any:
    """The one member with parameters.

    Raises:
        ModelError: there are several, or none.
    """
    found = [member for member in members if any(True for _ in member.parameters())]
    if len(found) != 1:
        raise ModelError(f"exactly one layer with parameters is needed; found {len(found)}.")
    return found[0]


def _tf32() -> list[str]:
    """What float32 may be computed in: by the new switches, since the old ones raise where both disagree; before PyTorch 2.9 by the old."""
    products: Any = torch.backends.cuda.matmul
    convolutions: Any = torch.backends.cudnn
    try:
        return [products.fp32_precision, convolutions.conv.fp32_precision]
    except AttributeError:
        return [str(products.allow_tf32), str(convolutions.allow_tf32)]


def device_name(device: torch.device | str) -> str:
    """The device with its model, so that measurements of one are not taken for another's."""
    device = torch.device(device)
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        from symconv.convert.fastest.processor import processor

        return f"cpu: {processor()} {torch.backends.cpu.get_cpu_capability()}"
    return device.type


def _run(members: Sequence[nn.Module], x: Tensor) -> Tensor:
    for member in members:
        x = member(x)
    return x


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]


__all__ = ["Choice", "Row", "Setting", "choose", "faster"]

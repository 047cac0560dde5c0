"""The choice for one layer: what was tried, what it costs, what is kept.

Owns: `choose`, `Choice`, `Row`, `Setting`.
Must not know: whole models, terminals.

The layer itself is a candidate and wins ties: another route must be faster beyond what the layer differs from itself in the same
rounds, with 95 % confidence, and again in a second race of the two alone (the best of many measurements is partly luck).
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from symconv.convert.fastest import cache
from symconv.convert.fastest.clock import WALL, Lap, available, peak, race
from symconv.convert.fastest.equivalents import GIVEN, Forms, certified_forms
from symconv.convert.fastest.exactness import Reference, integers, size_for
from symconv.convert.fastest.originals import originals
from symconv.convert.fastest.replacement import Fastest
from symconv.convert.fastest.routes import Chain, Executes, Route, routes
from symconv.errors import LayerError, ModelError
from symconv.layers import Layer, channels_through
from symconv.operators.domain import domain, output_extent
from symconv.prove.stage import words_of

MARGIN = 1.02
"""A route must be this much faster at least, however quiet the machine is."""
SLACK = 2**20
"""Bytes by which a peak of resident memory may be off."""
REVISION = 1
"""Raised when an engine changes, so that old measurements are not believed."""

CHOSEN, MEASURED, SLOW, REFUSED = "chosen", "measured", "dropped", "refused"


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


@attrs.frozen(kw_only=True)
class Row:
    """One route.

    Args:
        form, engine: what is executed and how; `why` says what may make it fast.
        status: "chosen", "measured", "dropped" (clearly slower after a few rounds) or "refused" (`reason` says why).
        multiplications, bytes, weight_bytes: for one forward pass; what a library stores inside one call is not seen.
        peak_bytes: by which one call raises the resident memory, or None.
        lap: times, or None.
    """

    form: str
    engine: str
    why: str
    status: str
    reason: str = ""
    multiplications: int | None = None
    bytes: int | None = None
    weight_bytes: int | None = None
    peak_bytes: int | None = None
    lap: Lap | None = None

    @property
    def name(self) -> str:
        """Form and engine."""
        return self.form if self.form == self.engine else f"{self.form}: {self.engine}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return attrs.asdict(self)


@attrs.frozen(kw_only=True)
class Choice:
    """What was found for one layer.

    Args:
        source: the layer as an expression.
        shape: of the input that was timed.
        device, dtype, threads, clock: where, and by which time.
        rows: every route, the layer itself first.
        chosen: the row that is used.
        control: the layer against itself: what chance alone does.
        confirmed: the chosen route against the layer, raced alone, or None if the layer itself is kept.
        cached: whether the times are from an earlier run.
        forms: the certified forms.
        route: how the chosen row is executed, or None for the layer itself.
    """

    source: str
    shape: tuple[int, ...]
    device: str
    dtype: str
    threads: int
    clock: str = WALL
    rows: tuple[Row, ...]
    control: Lap | None
    confirmed: Lap | None
    cached: bool
    forms: Forms = attrs.field(repr=False)
    route: Route | None = attrs.field(repr=False, default=None)

    @property
    def chosen(self) -> Row:
        """The row that is used."""
        return next(row for row in self.rows if row.status == CHOSEN)

    @property
    def speed_up(self) -> float:
        """Of what is used over the layer: 1 where the layer itself is kept."""
        return 1.0 if self.confirmed is None else self.confirmed.ratio

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        form = next(form for form in self.forms.found if form.name == self.chosen.form)
        return {
            "source": self.source,
            "shape": list(self.shape),
            "device": self.device,
            "dtype": self.dtype,
            "threads": self.threads,
            "clock": self.clock,
            "chosen": self.chosen.name,
            "speed_up": self.speed_up,
            "cached": self.cached,
            "control": None if self.control is None else attrs.asdict(self.control),
            "confirmed": None if self.confirmed is None else attrs.asdict(self.confirmed),
            "rows": [row.to_dict() for row in self.rows],
            "refused": [{"form": name, "reason": reason} for name, reason in self.forms.refused],
            "verdict": None if form.verdict is None else form.verdict.to_dict(),
        }


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
        known = cache.recall(self.question) if self.setting.cached else None
        remembered = None if known is None else self._remembered(known)
        if remembered is not None:
            return remembered
        choice = self._measured()
        if self.setting.cached:
            cache.remember(self.question, _stored(choice))
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
            "tf32": bool(torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32),
            "symconv": _version(),
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
        given = Fastest(self.members, self.core, None, self.forms.source)
        x = self._sample()
        with torch.no_grad():
            most = self._peak(lambda: _run(self.members, x))
            for place, route in enumerate(found):
                self.progress(f"comparing {place + 1} of {len(found)}")
                row, module = self._tried(route, x, most)
                rows[id(route)] = row
                if module is not None:
                    kept.append((route, module))
            self.progress(f"measuring {len(kept)} ways")
            calls = [lambda: _run(self.members, x), *(lambda module=module: module(x) for _, module in kept)]
            laps, control = race(calls, 0.6 * self.setting.seconds, self.device, clock=self.setting.clock)
            for (route, _), lap in zip(kept, laps[1:], strict=True):
                slow = lap.rounds < laps[0].rounds
                rows[id(route)] = attrs.evolve(rows[id(route)], lap=lap, status=SLOW if slow else MEASURED)
            best, confirmed, control = self._confirmed(kept, laps, control, calls)
        first = self._first(given, x, most, laps[0], best is None)
        if best is not None:
            rows[id(best)] = attrs.evolve(rows[id(best)], status=CHOSEN)
        return self._choice((first, *rows.values()), best, control, confirmed, cached=False)

    def _confirmed(
        self, kept: Sequence[tuple[Route, Fastest]], laps: Sequence[Lap], control: Lap, calls: Sequence[Callable[[], object]]
    ) -> tuple[Route | None, Lap | None, Lap]:
        """The fastest route that is faster again when raced alone; at most three are tried."""
        order = sorted(range(len(kept)), key=lambda k: -laps[k + 1].ratio)
        for place in order[:3]:
            if not faster(laps[place + 1], control):
                break
            self.progress("confirming")
            (_, lap), again = race([calls[0], calls[place + 1]], 0.4 * self.setting.seconds, self.device, clock=self.setting.clock)
            if faster(lap, again):
                return kept[place][0], lap, again
        return None, None, control

    def _sample(self) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.shape, generator=generator).to(self.like.device, self.like.dtype)

    def _peak(self, call: Callable[[], object]) -> int | None:
        return peak(call) if self.device == "cpu" else None

    def _first(self, given: Fastest, x: Tensor, most: int | None, lap: Lap, chosen: bool) -> Row:
        form = self.forms.found[0]
        direct: list[Executes] = list(originals(form.layers, plain=True)[:1])
        counts = (direct or [Chain(form.layers, self.forms.axes, self.forms.channels)])[0].account(self.shape)
        return Row(
            form=GIVEN,
            engine=GIVEN,
            why="as it was",
            status=CHOSEN if chosen else MEASURED,
            multiplications=counts.multiplications,
            bytes=counts.moved * self.like.element_size(),
            weight_bytes=counts.weights * self.like.element_size(),
            peak_bytes=most,
            lap=lap,
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
            rows = tuple(_row(item) for item in known["rows"])
            control, confirmed = _lap_of(known["control"]), _lap_of(known["confirmed"])
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


def device_name(device: torch.device | str) -> str:
    """The device with its model, so that measurements of one are not taken for another's."""
    device = torch.device(device)
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        from symconv.convert.fastest.processor import processor

        return f"cpu: {processor()} {torch.backends.cpu.get_cpu_capability()}"
    return device.type


def faster(lap: Lap, control: Lap) -> bool:
    """Whether a call is faster than the first one, beyond what that one differs from itself."""
    return lap.ratio >= MARGIN and lap.low > max(1.0, control.high)


def _run(members: Sequence[nn.Module], x: Tensor) -> Tensor:
    for member in members:
        x = member(x)
    return x


def _stored(choice: Choice) -> dict[str, Any]:
    plain = choice.to_dict()
    return {key: plain[key] for key in ("rows", "control", "confirmed")}


def _row(item: dict[str, Any]) -> Row:
    return Row(**{**item, "lap": _lap_of(item["lap"])})


def _lap_of(item: dict[str, Any] | None) -> Lap | None:
    return None if item is None else Lap(**item)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _version() -> str:
    try:
        return version("symconv")
    except PackageNotFoundError:
        return "unknown"


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]


__all__ = ["Choice", "Row", "Setting", "choose"]

"""`symconv convert MODEL.onnx --to fastest`: every layer in the certified form that is the fastest here, if the whole is faster with it.

Owns: the order of the work: one run of the model, the layers' races, the races of the whole, the files.
Must not know: forms, bytes, columns.

The model runs once, and says what every layer receives. Then each layer is measured alone, at that shape, and what is faster alone is put
into the whole, which is raced against the given one. What is written is a plan like any other: each layer with its own form, certified, in
a bundle, checked before the files appear.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from symconv.app.convert_model import Files, wanted_files, write_files
from symconv.errors import LayerError, ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from symconv.app.measured_layer import Place
    from symconv.conformance.model_session import Session
    from symconv.convert.fastest.found import Site
    from symconv.convert.fastest.guard import Settled
    from symconv.convert.onnx.alternatives import Alternatives, Way
    from symconv.convert.onnx.fastest_record import FastestModel
    from symconv.convert.onnx.plan import Plan, Request, Stay
    from symconv.frontends.onnx.graph import OnnxModel

Steps = Callable[[str], AbstractContextManager[Callable[[int, int, str], None]]]


def fastest_model(
    path: Path,
    *,
    place: Place,
    output: Path | None,
    extents: tuple[int, ...] | None = None,
    batch: int = 1,
    example: Path | None = None,
    dry_run: bool = False,
    only: Sequence[str] = (),
    leave: Sequence[str] = (),
    target: Sequence[str] = (),
    common_extents: bool = False,
    budget: float = 60.0,
    force: bool = False,
    progress: Steps | None = None,
) -> tuple[FastestModel, Files | None]:
    """Measures, chooses, and (unless it is a dry run, or nothing is faster) writes and checks; returns what was found, and the files.

    Raises:
        UsageError: the model cannot be read or run, extents stay free, the output stands in the way of something, or an option means
            nothing.
    """
    from symconv.conformance.model_session import require
    from symconv.convert.constraints import Constraints
    from symconv.convert.onnx.plan import Request
    from symconv.frontends.model_files import open_model

    request = Request("fastest", Constraints.parse(target), tuple(only), tuple(leave), common_extents, budget)
    model = open_model(path).without_defaults()
    files = None if dry_run else wanted_files(model, output, force=force)
    require(place.runtime, place.device)
    making = _Making(model, request, place, progress or _silent)
    making.prepare(extents, batch, example)
    made = making.measured(None if files is None else files.model.absolute().parent)
    if files is None or not made.plan.changes:
        return made, None
    return made, write_files(made.plan, files, force=force, check=True, step=making.step)


@contextmanager
def _silent(_: str) -> Iterator[Callable[[int, int, str], None]]:
    yield lambda *_: None


def _shown(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())


class _Making:
    """One conversion under way."""

    def __init__(self, model: OnnxModel, request: Request, place: Place, step: Steps) -> None:
        self.model, self.request, self.place, self.step = model, request, place, step
        self.inputs: dict[str, np.ndarray] = {}

    def prepare(self, extents: tuple[int, ...] | None, batch: int, example: Path | None) -> None:
        """Opens the model in the runtime, and makes inputs for it."""
        import numpy as np

        from symconv.app.model_inputs import model_inputs
        from symconv.conformance.model_session import open_session

        self.session: Session = open_session(self.place.runtime, self.model.path, self.place.device, self.place.threads)
        tensors = [item for item in self.model.proto.graph.input if item.type.HasField("tensor_type")]
        rankless = {item.name for item in tensors if not item.type.tensor_type.HasField("shape")}
        given = [attrs.evolve(port, ranked=port.name not in rankless) for port in self.session.inputs if port.name in self.model.inputs]
        self.fixed = all(port.ranked and all(isinstance(extent, int) for extent in port.extents) for port in given)
        sizes = [np.dtype(port.dtype).itemsize for port in given if port.dtype in ("float16", "float32", "float64")]

        def admit(shapes: Mapping[str, tuple[int, ...]]) -> None:
            self.require_memory(shapes, min(sizes, default=1))

        self.inputs = model_inputs(given, extents=extents, batch=batch, example=example, admit=admit)
        self.call = self.session.call(self.inputs)
        try:
            self.call()
        except ModelError as error:
            shown = _shown({name: array.shape for name, array in self.inputs.items()})
            raise ModelError(f"`{self.model.path}` does not run on inputs {shown}: {error}") from None

    def require_memory(self, shapes: Mapping[str, tuple[int, ...]], itemsize: int) -> None:
        """Refuses inputs with which one node alone needs more memory than there is, before the system ends the process."""
        from symconv.convert.fastest.clock import available
        from symconv.convert.onnx.footprint import least_bytes

        least, free = least_bytes(self.model, shapes, itemsize), available()
        if free is not None and self.place.device == "cpu" and least > free:
            need, have = (f"{size / 2**30:.1f} GiB" for size in (least, free))
            raise UsageError(f"inputs {_shown(shapes)} need {need} in one node of the model, and {have} are free. Give smaller ones.")

    def measured(self, folder: Path | None) -> FastestModel:
        """All layers, then the whole."""
        from symconv.convert.onnx.alternatives import alternatives

        with self.step("deciding") as report:
            found, stays = alternatives(self.model, self.request, progress=report)
        seen = self.observed(found)
        sites: list[Site] = []
        ways: dict[int, Way] = {}
        with self.step("measuring") as report:
            for position, layer in enumerate(found):
                report(position, len(found) + 1, layer.name)
                site, way = self.layer(layer, seen)
                if way is not None:
                    ways[len(sites)] = way
                sites.append(site)
            report(len(found), len(found) + 1, "the whole")
            settled = self.settled(sites, ways, {k for k in ways if found[k].needed}, folder)
        return self.outcome(found, sites, stays, ways, settled)

    def observed(self, found: Sequence[Alternatives]) -> dict[str, np.ndarray]:
        """What the layers' nodes take in one run; of the layers' inputs the shapes alone count."""
        import numpy as np

        from symconv.conformance.model_session import open_session
        from symconv.convert.onnx.excerpt import side_values

        wanted = dict.fromkeys(value for layer in found for value in (layer.stretch.input, *side_values(layer.stretch)))
        side = {value for layer in found for value in side_values(layer.stretch)}
        known = {value: self.inputs[value] for value in wanted if value in self.inputs}
        for value in wanted:
            tensor = self.model.initializer(value)
            if tensor is not None:
                known[value] = tensor.array()
        asked = [value for value in wanted if value not in known]
        if asked:
            proto = type(self.model.proto)()
            proto.CopyFrom(self.model.proto)
            have = {item.name for item in proto.graph.output}
            for value in asked:
                if value not in have:
                    proto.graph.output.add(name=value)
            session = open_session(self.place.runtime, proto, self.place.device, self.place.threads, self.model.path.absolute().parent)
            for name, array in zip(session.outputs, session.run(self.inputs), strict=True):
                if name in wanted:
                    known[name] = array if name in side else np.broadcast_to(np.float32(0), array.shape)  # keeps no samples
        return known

    def layer(self, layer: Alternatives, seen: Mapping[str, np.ndarray]) -> tuple[Site, Way | None]:
        """One layer's measurements."""
        from symconv.app.measured_layer import measured
        from symconv.convert.fastest.found import FASTER, KEPT, REFUSED, REWRITTEN, Site
        from symconv.convert.onnx.excerpt import Excerpt, side_values

        source = layer.ways[0].change.choice.texts[0]
        shape = tuple(seen[layer.stretch.input].shape)
        site = Site(name=layer.name, names=(layer.name,), source=source, status=REFUSED, shape=shape)
        change = layer.ways[0].change
        side = {value: seen[value] for value in side_values(layer.stretch)}
        excerpt = Excerpt(self.model, layer.stretch, change.kernel, change.bias, side, self.known(layer, shape))
        try:
            choice, way = measured(layer, excerpt, self.request, shape, self.place)
        except LayerError as error:
            return attrs.evolve(site, reason=str(error)), None
        status = KEPT if way is None else REWRITTEN if layer.needed else FASTER
        return attrs.evolve(site, choice=choice, status=status, reason=layer.needed), way

    def known(self, layer: Alternatives, shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """The extents of a layer's input that a runtime knows: all of them where the model fixes those of its inputs."""
        if self.fixed:
            return shape
        said = self.model.shape(layer.stretch.input) or ()
        fits = len(said) == len(shape)
        known = (extent if isinstance(extent, int) and fits else None for extent in (said if fits else shape))
        return tuple(shape[1] if axis == 1 else extent for axis, extent in enumerate(known))

    def plan(self, ways: Mapping[int, Way], kept: frozenset[int], stays: Sequence[Stay] = ()) -> Plan:
        from symconv.convert.onnx.plan import Plan

        return Plan(self.model, self.request, tuple(ways[place].change for place in sorted(kept)), tuple(stays))

    def settled(self, sites: Sequence[Site], ways: Mapping[int, Way], needed: set[int], folder: Path | None) -> Settled:
        """The whole with the layers with which it is not slower."""
        from symconv.conformance.model_session import open_session
        from symconv.convert.fastest.guard import settle
        from symconv.convert.onnx.graph_edit import edits
        from symconv.convert.onnx.splice import write_model

        order = sorted(ways)
        try:
            place = Path(tempfile.mkdtemp(prefix=".symconv-", dir=folder))
        except OSError as error:
            raise UsageError(f"no file can be written in {folder or tempfile.gettempdir()}: {error.strerror or error}.") from error

        def made(kept: frozenset[int]) -> Callable[[], object]:
            if not kept:
                return self.call
            plan = self.plan(ways, frozenset(order[k] for k in kept))
            written = write_model(self.model, edits(plan), place / f"{len(kept)}.onnx")
            session = open_session(self.place.runtime, written.model, self.place.device, self.place.threads)
            call = session.call(self.inputs)
            for path in (written.model, written.data):
                if path is not None and os.name == "posix":
                    path.unlink()  # it is open, and its place on the disk is free again once the session is closed
            return call

        try:
            settled = settle(
                self.call,
                made,
                [sites[k].saved for k in order],
                self.place.seconds,
                self.place.device,
                clock=self.place.clock,
                needed=frozenset(position for position, k in enumerate(order) if k in needed),
            )
        except OSError as error:
            raise ModelError(f"the model cannot be written in {place.parent}: {error.strerror or error}.") from error
        finally:
            shutil.rmtree(place, ignore_errors=True)
        attempts = tuple(attrs.evolve(tried, kept=frozenset(order[k] for k in tried.kept)) for tried in settled.attempts)
        return attrs.evolve(settled, kept=frozenset(order[k] for k in settled.kept), attempts=attempts)

    def outcome(
        self,
        found: Sequence[Alternatives],
        sites: Sequence[Site],
        stays: Sequence[Stay],
        ways: Mapping[int, Way],
        settled: Settled,
    ) -> FastestModel:
        from symconv.convert.fastest.found import LEFT_OUT, PUT_BACK, REFUSED, Site, put_back
        from symconv.convert.onnx.alternatives import UNMET
        from symconv.convert.onnx.fastest_record import FastestModel
        from symconv.convert.onnx.plan import LEFT_OUT as NOT_ASKED

        done = [
            attrs.evolve(site, status=PUT_BACK, reason=put_back(settled, place)) if place in ways and place not in settled.kept else site
            for place, site in enumerate(sites)
        ]
        rest = [
            Site(
                name=stay.name,
                names=(stay.name,),
                source=stay.text or stay.kind,
                status=LEFT_OUT if stay.reason == NOT_ASKED else REFUSED,
                reason=stay.reason,
            )
            for stay in stays
        ]
        unmet = [stay.status for stay in stays if UNMET in stay.reason or stay.status == "unknown"]
        unmet += ["refused" for layer, site in zip(found, done, strict=True) if layer.needed and site.choice is None]
        order = {node.name: position for position, node in enumerate(self.model.nodes)}
        return FastestModel(
            plan=self.plan(ways, settled.kept, stays),
            layers=tuple(sorted([*done, *rest], key=lambda site: order.get(site.name, len(order)))),
            settled=settled,
            runtime=self.place.runtime,
            where=self.place.name,
            threads=self.place.threads,
            clock=self.place.clock,
            inputs={name: tuple(array.shape) for name, array in self.inputs.items()},
            unmet=tuple(unmet),
        )

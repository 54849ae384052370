"""`model.explain_plan`: the fused steps of a model's plan, what was fused, and who lies where in the arena and when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fastconv.diagnosis import arena_picture, steps
from fastconv.diagnosis.tables import Table, render
from fastconv.geometry import positive_int
from fastconv.plan import fuse
from fastconv.plan.graph import Buffer, Step
from fastconv.plan.plan import Plan
from fastconv.plan.traffic import step_bytes

_FORMS = (".svg", ".html", ".txt")
# Arguments that the table leaves out: weights and their gradients, numbers per channel, single numbers, workspaces.
_LEFT_OUT = (
    *("w", "b", "mean", "rstd", "gamma", "beta", "variance", "coefficients"),
    *("seed", "step", "learning_rate", "totals", "workspace"),
)


@dataclass(frozen=True)
class PlanStep:
    """One call of a plan.

    Attributes:
        step: its number.
        layer: the name of the layer; "(loss, metrics)" or "(optimizer)" where there is none.
        phase: "forward", "backward" or "update".
        op: as kernels call it.
        fused: by the names of fusions the layers whose work it does, too.
        reads, writes: by the names of arguments the names and shapes of tensors.
        bytes: read and written (`fastconv.plan.traffic.step_bytes`).
        algorithm: "direct" or "winograd" of convolutions.
    """

    step: int
    layer: str
    phase: str
    op: str
    fused: dict[str, list[str]]
    reads: dict[str, tuple[str, tuple[int, ...]]]
    writes: dict[str, tuple[str, tuple[int, ...]]]
    bytes: int
    algorithm: str


@dataclass(frozen=True)
class AppliedFusion:
    """A fusion that found something to do: its name, what it gains, and how many steps it changed or removed."""

    name: str
    gain: str
    steps: int


@dataclass(frozen=True)
class ArenaBuffer:
    """A tensor's place in the arena: bytes [offset, offset + bytes) from the first step to the last one that touches
    it. Step -1 is before all others, where inputs and labels arrive; the number of steps is after them."""

    name: str
    shape: tuple[int, ...]
    kind: str  # "input", "activation", "gradient" or "workspace"
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True, repr=False)
class PlanExplanation:
    """What `model.explain_plan` returns: printed it is tables, in a notebook tables and a picture of the arena.

    Attributes:
        mode: "train", "evaluate" or "predict".
        batch_size: samples of a step.
        device: "cpu" or "cuda".
        steps: the calls in their order.
        fusions: those that found something to do, in their order.
        buffers: all that share the arena, in the order of their first steps.
        arena_bytes: of the block that they share.
        unshared_bytes: what it would take without sharing.
    """

    mode: str
    batch_size: int
    device: str
    steps: list[PlanStep]
    fusions: list[AppliedFusion]
    buffers: list[ArenaBuffer]
    arena_bytes: int
    unshared_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """All of it as numbers and words that JSON can hold."""
        return asdict(self)

    def table(self, width: int | None = None) -> str:
        """All tables as text of so many columns; None: as many as the terminal has, or 120 where there is none."""
        return render(self._about(), self._tables(), width)

    def __repr__(self) -> str:
        return f"<PlanExplanation: {'; '.join(self._about())}>"

    def __str__(self) -> str:
        return self.table()

    def picture(self) -> str:
        """The arena as SVG: steps from left to right, a box for each buffer at its bytes."""
        return arena_picture.draw(self)

    def _repr_html_(self) -> str:
        from fastconv import html

        picture = f'<div style="overflow-x:auto">{self.picture()}</div>'  # of many steps it is wider than a page
        tables = [html.table(head, rows, title, words) for title, head, rows, words in self._tables()]
        return html.paragraphs(self._about()) + tables[0] + tables[1] + picture + tables[2]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the picture (".svg"), all as a page (".html") or the tables (".txt"), whole or not at all.

        Raises:
            ValueError: on another suffix.
        """
        from fastconv.saving import atomic_write

        suffix = os.path.splitext(os.fspath(path))[1].lower()
        if suffix not in _FORMS:
            raise ValueError(f"path must end in one of {', '.join(_FORMS)}. Received: path={os.fspath(path)!r}")
        if suffix == ".html":
            text = f'<!DOCTYPE html><meta charset="utf-8"><title>Plan</title>{self._repr_html_()}'
        else:
            text = arena_picture.draw(self, "white") if suffix == ".svg" else f"{self.table()}\n"
        with atomic_write(path) as file:
            file.write(text.encode())

    def _about(self) -> list[str]:
        share = f"{self.arena_bytes / self.unshared_bytes:.0%}" if self.unshared_bytes else "nothing"
        return [
            f"{self.mode}, batch {self.batch_size}, {self.device}: {len(self.steps)} steps",
            f"arena {self.arena_bytes / 1e6:.2f} MB, {share} of the {self.unshared_bytes / 1e6:.2f} MB of its "
            f"{len(self.buffers)} buffers without sharing",
        ]

    def _tables(self) -> Iterator[Table]:
        rows = [
            [str(s.step), s.layer, s.phase, s.op, _fused(s), _arguments(s.reads), _arguments(s.writes)]
            + [f"{s.bytes / 1e6:.2f}", s.algorithm]
            for s in self.steps
        ]
        head = ["step", "layer", "pass", "op", "fused into it", "reads", "writes", "MB", "algorithm"]
        yield "Steps", head, rows, (1, 2, 3, 4, 5, 6, 8)
        rows = [[fusion.name, str(fusion.steps), fusion.gain] for fusion in self.fusions]
        yield "Fusions", ["fusion", "steps", "gain"], rows, (0, 2)
        rows = [
            [b.name, _shape(b.shape), b.kind, f"{b.offset:,}", f"{b.bytes:,}", str(b.first), str(b.last)]
            for b in self.buffers
        ]
        yield "Arena", ["buffer", "shape", "kind", "offset", "bytes", "first step", "last step"], rows, (0, 1, 2)


def explain_plan(model: Any, batch_size: int = 32, mode: str = "train") -> PlanExplanation:
    """See `fastconv.Model.explain_plan`."""
    batch_size = positive_int(batch_size, "batch_size")
    if mode not in steps.MODES:
        raise ValueError(f"mode must be one of {', '.join(map(repr, steps.MODES))}. Received: mode={mode!r}")
    if not model.built:
        raise RuntimeError("explain_plan: expected a built model. Give it an Input, or call it on samples first")
    if mode != "predict":
        model._require_compiled(f'explain_plan(mode="{mode}")')
    twin, executor = steps.executor_of_copy(model)
    plan = executor._unbound_plan(mode, batch_size)
    layout = plan.layout
    return PlanExplanation(
        mode,
        batch_size,
        executor.ops.name,
        list(_steps(plan)),
        list(_fusions(plan)),
        sorted(_buffers(plan), key=lambda b: (b.first, b.offset)),
        layout.size_bytes,
        layout.unshared_bytes,
    )


def _steps(plan: Plan) -> Iterator[PlanStep]:
    for i, (step, phase) in enumerate(zip(plan.steps, steps.phases(plan), strict=True)):
        reads, writes = ({name: (b.name, b.shape) for name, b in side.items()} for side in (step.reads, step.writes))
        layer, algorithm = steps.layer_of(step, phase), steps.algorithm(step, plan.ops)
        size = sum(step_bytes(plan, step))
        yield PlanStep(i, layer, phase, step.op, _taken(plan, step), reads, writes, size, algorithm)


def _taken(plan: Plan, step: Step, fusions: list[fuse.Applied] | None = None) -> dict[str, list[str]]:
    """By fusion the layers whose work a step does: with that of the steps it took over what these had taken before."""
    fusions, found = plan.graph.fusions if fusions is None else fusions, {}
    for i, applied in enumerate(fusions):
        for taken in applied.taken.get(step, ()):
            found.setdefault(applied.fusion, []).append(taken.giver.layer or steps.LOSS)
            if taken.whole:
                for fusion, layers in _taken(plan, taken.giver, fusions[:i]).items():
                    found.setdefault(fusion, []).extend(layers)
    return {fusion: list(dict.fromkeys(layers)) for fusion, layers in found.items()}


def _fusions(plan: Plan) -> Iterator[AppliedFusion]:
    for applied in plan.graph.fusions:
        text = " ".join(({**fuse.FORWARD, **fuse.WHOLE}[applied.fusion].__doc__ or "").split())
        yield AppliedFusion(applied.fusion, text, applied.touched)


def _buffers(plan: Plan) -> Iterator[ArenaBuffer]:
    layout = plan.layout
    for buffer, (first, last) in layout.lives.items():
        place = layout.offsets[buffer], layout.sizes[buffer]
        yield ArenaBuffer(buffer.name, buffer.shape, _kind(buffer), *place, first, last)


def _kind(buffer: Buffer) -> str:
    if buffer.name.endswith(" workspace"):
        return "workspace"
    return "gradient" if buffer.name.startswith("d ") else buffer.kind


def _fused(step: PlanStep) -> str:
    return "; ".join(f"{fusion}: {', '.join(layers)}" for fusion, layers in step.fused.items())


def _arguments(arguments: dict[str, tuple[str, tuple[int, ...]]]) -> str:
    shown = ((name, *of) for name, of in arguments.items() if not name.endswith(_LEFT_OUT))
    return ", ".join(f"{name}={of} {_shape(shape)}" for name, of, shape in shown)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

"""What a file will ask Keras for and fastconv does not have, found by reading its code."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from fastconv.keras_stand_in import modules
from fastconv.keras_stand_in.cells import Prepared
from fastconv.keras_stand_in.modules import NotServed


def not_served(cells: Iterable[Prepared]) -> list[NotServed]:
    """Names, arguments and words, in the order of the code: `keras.layers.LSTM`, `keras.layers.Dense(lora_rank=)`,
    `compile(optimizer="nadam")`.

    Only what is reached by name through imports is seen. What a `try` with handlers guards is not reported.
    """
    reader = _Reader()
    for cell in cells:
        if isinstance(cell.tree, ast.Module):
            reader.file = cell.cell.filename
            reader.visit(cell.tree)
    return list(reader.found)


def _registry(argument: str) -> Callable[[str], Any] | None:
    """What looks up the words that an argument of this name takes, and raises ValueError on others."""
    from fastconv import initializers, losses, metrics, optimizers, regularizers
    from fastconv.layers.activation import check_activation

    by_name = {
        "activation": check_activation,
        "optimizer": optimizers.get,
        "loss": losses.get,
        "metrics": metrics.check,
        "weighted_metrics": metrics.check,
    }
    by_kind = {"initializer": initializers.get, "regularizer": regularizers.get}
    return by_name.get(argument) or by_kind.get(argument.rpartition("_")[2])


class _Reader(ast.NodeVisitor):
    """Follows the names that stand for parts of Keras through the code, as far as imports and `a = b.c` go."""

    def __init__(self) -> None:
        self.file = ""
        self.found: dict[NotServed, None] = {}
        self._bound: dict[str, str] = {}  # the user's names -> dotted names that are served
        self._guarded = False

    # --- names that are asked for ------------------------------------------------------------------------------------

    def _ask(self, name: str, node: Any) -> str | None:
        """`name` where it is served; else reports the first part of it that is not."""
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            part = ".".join(parts[:end])
            if modules.is_module(part):
                continue
            try:
                modules.find(part)
            except LookupError:
                self._report(part, node)
                return None
            return part if end == len(parts) else None  # what objects have is not followed
        return name

    def _report(self, name: str, node: Any) -> None:
        if not self._guarded:
            self.found[NotServed(name, self.file, node.lineno)] = None

    def _dotted(self, node: ast.expr) -> str | None:
        """The dotted name of Keras' that an expression `a.b.c` stands for."""
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._bound:
            return None
        return ".".join([self._bound[node.id], *reversed(parts)])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._dotted(node)
        if name is None:
            self.generic_visit(node)
        else:
            self._ask(name, node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        keywords = [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg is not None]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "compile":
            self._check_words("compile", keywords)
        name = self._dotted(node.func)
        if name is None or modules.is_module(name):
            return
        try:
            accepted = inspect.signature(modules.find(name)).parameters
        except (LookupError, TypeError, ValueError):  # not served, or of unknown arguments
            return
        for argument, value in keywords:
            if argument not in accepted and not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
                self._report(f"{name}({argument}=)", value)
        self._check_words(name, [*zip(accepted, node.args, strict=False), *keywords])

    def _check_words(self, function: str, arguments: list[tuple[str, ast.expr]]) -> None:
        """Reports words that name nothing of fastconv's, alone or in a list."""
        for argument, value in arguments:
            known = _registry(argument)
            for item in value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]:
                if known is not None and isinstance(item, ast.Constant) and isinstance(item.value, str):
                    try:
                        known(item.value)
                    except ValueError:
                        self._report(f'{function}({argument}="{item.value}")', item)

    # --- names that are bound ----------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.split(".")[0]
            self._bound.pop(alias.asname or root, None)
            if root in modules.ROOTS and self._ask(alias.name, node) is not None:
                self._bound[alias.asname or root] = alias.name if alias.asname else root

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._bound.pop(alias.asname or alias.name, None)
        if node.level or node.module is None or node.module.split(".")[0] not in modules.ROOTS:
            return
        if self._ask(node.module, node) is None:
            return
        for alias in node.names:
            if alias.name == "*":
                self._bound.update({name: f"{node.module}.{name}" for name in modules.names(node.module)})
            elif (name := self._ask(f"{node.module}.{alias.name}", node)) is not None:
                self._bound[alias.asname or alias.name] = name

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        name = self._dotted(node.value)
        for target in node.targets:
            self.visit(target)
        if name is not None and isinstance(target := node.targets[0], ast.Name):
            self._bound[target.id] = name

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bound.pop(node.id, None)

    def visit_Try(self, node: ast.Try) -> None:
        before, self._guarded = self._guarded, self._guarded or bool(node.handlers)
        for statement in node.body:
            self.visit(statement)
        self._guarded = before
        for statement in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(statement)

    # --- scopes ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _scope(self, node: ast.AST) -> Iterator[None]:
        """Names that are bound in `node` are its own."""
        before = self._bound
        own = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
        own |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self._bound = {name: full for name, full in before.items() if name not in own}
        yield
        self._bound = before

    def _visit_function(self, node: Any) -> None:
        for outside in (*node.decorator_list, node.args):
            self.visit(outside)
        self._bound.pop(node.name, None)
        with self._scope(node):
            for statement in node.body:
                self.visit(statement)

    visit_FunctionDef = visit_AsyncFunctionDef = _visit_function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outside)
        self._bound.pop(node.name, None)
        with self._scope(node):
            for statement in node.body:
                self.visit(statement)

    def _visit_in_scope(self, node: Any) -> None:
        with self._scope(node):
            self.generic_visit(node)

    visit_Lambda = visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_in_scope

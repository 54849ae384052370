"""Warnings that teach: what was seen, why it matters, what to do. Each comes once for a model."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class AdviceWarning(UserWarning):
    """Something that `compile`, `fit`, `evaluate` or `load_torch` saw, most often a mistake. Nothing was changed or
    stopped.

    Each kind of advice comes once for a model:

    | kind | when | seen |
    | --- | --- | --- |
    | double_softmax | `compile` | an output with two softmax or sigmoid functions in a row |
    | softmax_of_one | `compile` | a softmax over a single unit, which is always 1 |
    | from_logits | `compile` | a loss with `from_logits=True` after the softmax or sigmoid |
    | no_probabilities | `compile` | a cross-entropy of outputs that nothing made probabilities |
    | nothing_learns | `fit` | no weight that learns |
    | inputs_not_scaled | `fit` | inputs above 10 that reach a kernel as they are |
    | batch_of_one | `fit` | batch normalization over a single value per channel, or a single image |
    | large_updates | `fit` on the CPU, first steps | an update larger than the weights it is of |
    | dead_units | `fit`, after epochs | a layer of ReLU units of which no sample activates 95% |
    | constant_channels | `fit`, after epochs | batch normalization of channels of which half never change |
    | other_scale | `evaluate`, validation | inputs ten times as large as those trained on, or as small |
    | padding_of_torch | `saving.load_torch` | "same" padding whose zeros PyTorch's `padding` puts elsewhere |
    | young_statistics | `evaluate`, end of `fit` | a loss far worse with moving statistics than with the batch's |

    `model.advised` has the kinds that came. To silence all:

    >>> import warnings
    >>> warnings.filterwarnings("ignore", category=fastconv.AdviceWarning)

    one kind of one model:

    >>> model.advised.add("inputs_not_scaled")

    and to make them errors: `warnings.filterwarnings("error", category=fastconv.AdviceWarning)`.
    """


def advise(model: Any, kind: str, text: str) -> None:
    """Warns of a kind of thing that a model was not warned of before."""
    if kind not in model.advised:
        model.advised.add(kind)
        warnings.warn(text, AdviceWarning, stacklevel=callers_level())


def due(model: Any, what: str, now: int) -> bool:
    """Whether to look at something again: when twice as many steps were taken as when it was looked at last. So what a
    look costs is soon nothing beside the training."""
    if now < 2 * model.looked_at.get(what, 0):
        return False
    model.looked_at[what] = max(now, 1)
    return True


def callers_level() -> int:
    """The `stacklevel` of the frame that called the package: the warning shows the user's line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def listed(names: list[str]) -> str:
    """Names for a sentence, the first few of many."""
    shown = ", ".join(map(repr, names[:3]))
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown

"""What a layer, an optimizer or a loss was made with: its constructor's arguments, read back from its attributes.

Every such class keeps each argument in an attribute of the argument's name. So one function serves them all, and a new
class has nothing to add.
"""

from __future__ import annotations

import inspect
from typing import Any

_LEFT_OUT = ("input_shape",)  # leaves no attribute of its own: it is in the InputLayer


def arguments(cls: type) -> list[str]:
    """Names of the arguments of a class's constructor, those of the classes it passes **kwargs on to included.

    >>> arguments(Dropout)
    ['rate', 'name']
    """
    names: list[str] = []
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        names += [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    left_out = (*_LEFT_OUT, *getattr(cls, "old_arguments", ()))
    return [name for name in dict.fromkeys(names) if name not in left_out]


class Configurable:
    """Base of what a file can hold by its class's name and settings."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as they are now, by name.

        Raises:
            AttributeError: if one of them is in no attribute of its name, which a subclass of a user may have.

        >>> Dropout(0.5, name="drop").get_config()
        {'rate': 0.5, 'name': 'drop'}
        """
        names = arguments(type(self))
        if missing := [name for name in names if not hasattr(self, name)]:
            raise AttributeError(
                f"{type(self).__name__}: expected every argument of the constructor in an attribute of its name, or a "
                f"get_config of its own. Received: none for {missing}"
            )
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new object with the settings that `get_config` returned."""
        return cls(**config)

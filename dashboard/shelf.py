"""What was costly to make, kept in memory up to a total size. Knows nothing about what it keeps."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Shelf:
    """Things that were costly to make, up to a total size; what was not looked at for longest goes first.

    Two windows that want the same thing at once make it once.
    """

    def __init__(self, cap: int, size_of: Callable[[Any], int]) -> None:
        self.cap, self._size_of = cap, size_of
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What is kept under the key, made first where nothing is."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            made = make()
            with self._lock:
                self._kept[key] = made
                self._making.pop(key, None)
                while len(self._kept) > 1 and self.n_bytes > self.cap:
                    self._kept.popitem(last=False)
            return made

    def peek(self, key: Hashable) -> Any:
        """What is kept under the key; None where nothing is."""
        return self._kept.get(key)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def clear(self) -> None:
        """Forget everything; what is being looked at stays alive until it is not."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def n_bytes(self) -> int:
        """Size of everything kept, in the unit of `size_of`."""
        return sum(self._size_of(thing) for thing in list(self._kept.values()))

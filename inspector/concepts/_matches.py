"""Find all matches of a regular expression. Run as a program it is a process of its own that can be stopped.

In:  the pattern's length in bytes as 8 little-endian bytes, the pattern, the text (both UTF-8, surrogates passed).
Out: start and stop of every match as native 64-bit integers. Imports nothing of the project, so that it starts quickly.
"""

import re
import sys
import warnings
from array import array


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile with "^" and "$" at every line; re.error when the pattern is not one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of patterns whose meaning may change, such as "[[a]"
        return re.compile(pattern, re.MULTILINE)


def find(pattern: re.Pattern[str], text: str) -> "array[int]":
    """Start and stop of every match that is not empty, of its group "mark" where there is one."""
    group: int | str = "mark" if "mark" in pattern.groupindex else 0
    bounds = array("q")
    for match in pattern.finditer(text):
        start, stop = match.span(group)
        if start < stop:
            bounds.extend((start, stop))
    return bounds


if __name__ == "__main__":
    size = int.from_bytes(sys.stdin.buffer.read(8), "little")
    asked = sys.stdin.buffer.read(size).decode("utf-8", "surrogatepass")
    searched = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    sys.stdout.buffer.write(find(compile_pattern(asked), searched).tobytes())

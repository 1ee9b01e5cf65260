"""Everything the pages look at, fetched once and kept; `growth` and `portraits` keep theirs.

    checkpoints/NAME ──► Network ──┐
    text library     ──► Text    ──┴──► Reading (recorded when first looked at) ──► search
    recording folder ─────────────────► Reading (opened, no network needed)

Owns what is kept in memory, under which key, for how long and up to which size. A key is made of names and hashes,
never of arrays. Knows nothing about the page.
"""

from dashboard.data.networks import (
    FIRST_NETWORK,
    SNAPSHOT,
    Layers,
    Network,
    checkpoints_folder,
    findings,
    first_network,
    network,
    network_folder,
    network_names,
    survey,
)
from dashboard.data.readings import (
    GUESSES,
    MEMORY_CAP,
    Progress,
    Reading,
    begin_reading,
    begin_signal,
    char_limit,
    forget_attempt,
    forget_signal,
    open_folder,
    read_with,
    recording_folder,
    recordings,
    saved_recordings,
)
from dashboard.data.searching import (
    REGEX,
    Searched,
    begin_codes,
    codes,
    concept_called,
    concept_title,
    concepts_of,
    labels,
    scored_part,
    search,
    surveyed,
)

__all__ = [
    "FIRST_NETWORK",
    "GUESSES",
    "MEMORY_CAP",
    "REGEX",
    "SNAPSHOT",
    "Layers",
    "Network",
    "Progress",
    "Reading",
    "Searched",
    "begin_codes",
    "begin_reading",
    "begin_signal",
    "char_limit",
    "checkpoints_folder",
    "codes",
    "concept_called",
    "concept_title",
    "concepts_of",
    "findings",
    "first_network",
    "forget_attempt",
    "forget_signal",
    "labels",
    "network",
    "network_folder",
    "network_names",
    "open_folder",
    "read_with",
    "recording_folder",
    "recordings",
    "saved_recordings",
    "scored_part",
    "search",
    "survey",
    "surveyed",
]

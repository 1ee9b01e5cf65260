"""What "detects" means: scores, held-out text, chance and false discoveries.

Knows arrays and recordings; knows no concept by name, reads no files and alters none of its input.
"""

from inspector.search.census import CAPACITY, MAX_BLOCKS, N_CANDIDATES, Census, Row, side_by_side
from inspector.search.parts import Parts, can_hold_out, checked, parts_of_documents, split_documents, split_text
from inspector.search.ranking import (
    LIMITS,
    MIN_BLOCKS,
    best_scores,
    check_label,
    pack,
    rank_labels,
    rank_neurons,
    tables_of,
    verdict,
)

__all__ = [
    "CAPACITY",
    "LIMITS",
    "MAX_BLOCKS",
    "MIN_BLOCKS",
    "N_CANDIDATES",
    "Census",
    "Parts",
    "Row",
    "best_scores",
    "can_hold_out",
    "check_label",
    "checked",
    "pack",
    "parts_of_documents",
    "rank_labels",
    "rank_neurons",
    "side_by_side",
    "split_documents",
    "split_text",
    "tables_of",
    "verdict",
]

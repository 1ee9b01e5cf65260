"""What "detects" means: scores, held-out text, chance and false discoveries.

Knows arrays and recordings; knows no concept by name, reads no files and alters none of its input.
"""

from inspector.search.parts import split_text
from inspector.search.ranking import check_label, rank_labels, rank_neurons, verdict

__all__ = ["check_label", "rank_labels", "rank_neurons", "split_text", "verdict"]

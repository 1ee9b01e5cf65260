"""One pass over a corpus: what the neurons of a network detect, and the evidence that is kept beside the network.

    searching.py   documents ──► batches ──► search's census ──► a table for each concept; resumable, memory constant
    gathering.py   what else the pass sees: where each neuron is strongest, how its values are spread
    portraits.py   one more pass over report files: values along passages, dependence on the place
    folder.py      choose files + report files ──► a pass ──► survey/

Owns: which files are read, and the survey folder. The statistics are `search`'s, the labels `concepts`'.
"""

from inspector.survey.folder import held_out, load_survey, portray, survey
from inspector.survey.portraits import Portraits, open_portraits
from inspector.survey.searching import Found, label_documents, open_found, search_corpus

__all__ = [
    "Found", "Portraits", "held_out", "label_documents", "load_survey", "open_found", "open_portraits", "portray",
    "search_corpus", "survey",
]  # fmt: skip

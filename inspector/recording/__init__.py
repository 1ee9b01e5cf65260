"""Recordings: every neuron's values over a text, in memory or in a folder.

This room owns axes, alignment, dtype, files on disk and crash safety. It knows nothing of torch, concepts or scores,
and it never normalises, clips or thresholds a value. What its readers may rely on, numbered as in docs/design.md:

1. **Alignment.** The value at `t` is the state *after* reading `text[t]`; it is what predicts `text[t + 1]`. State is
   zero before a document's first character.
2. **Axes.** `(units, chars)` per layer and signal, characters last. Layers may differ in width and kind.
3. **Documents.** `recording.documents` follow one another without gaps. State starts from zero and `loss` is nan at
   each start; a loss that is not is refused.
4. **Positions are Unicode code points**, and text is never altered: newline, tab, CRLF, NUL, emoji and lone surrogates
   come back exactly. Characters the network does not know are listed in `recording.unknown`.
5. **Values are what the network computed**, handed out as float32 arrays that belong to the caller. Fewer
   bits (`dtype="float16"` or `"int8"`) are the writer's stated choice, in `recording.dtype`; how far values may be off
   is `recording.error_bound(signal)`, and one that cannot be held is an error.
   Snapshots keep exact states, from which values are computed again: the same ones for every reader, and as close.
6. **Identity.** A recording knows its network's hash; opened beside another model it is an `InspectorError`.
7. **The manifest is the only truth about length.** A killed writer leaves a shorter readable recording or none. Every
   row is checked when it is read, so damage is a sentence and never a wrong number.
13. **The format carries a version.** A newer one than this program knows is a sentence; older ones are read.

    words, coding, files -> stretch -> header, store -> manifest, folder, filling -> sink, replaying -> reading ->
        writing, kept, export -> importing                                      (each knows those before it)
"""

from inspector.recording.export import export_recording
from inspector.recording.files import Lock
from inspector.recording.filling import does_not_fit
from inspector.recording.header import describe
from inspector.recording.importing import import_recording
from inspector.recording.kept import (
    Kept,
    delete_recording,
    find_recording,
    holds_recording,
    list_recordings,
    recordings_folder,
)
from inspector.recording.reading import Recording, open_recording
from inspector.recording.replaying import Replay, Segment
from inspector.recording.stretch import STRETCH, Snapshots
from inspector.recording.words import SIGNALS, Document, Guesses, InspectorError, Layer, Neuron, Place
from inspector.recording.writing import RecordingWriter

__all__ = [
    "SIGNALS",
    "STRETCH",
    "Document",
    "Guesses",
    "InspectorError",
    "Kept",
    "Layer",
    "Lock",
    "Neuron",
    "Place",
    "Recording",
    "RecordingWriter",
    "Replay",
    "Segment",
    "Snapshots",
    "delete_recording",
    "describe",
    "does_not_fit",
    "export_recording",
    "find_recording",
    "holds_recording",
    "import_recording",
    "list_recordings",
    "open_recording",
    "recordings_folder",
]

"""How values are got out of a torch RNN: `record` reads a text with our network, `watch` follows anybody's module.

    engine.py      weights, input and initial state of one layer ──► its signals at every step
    fused.py       the same out of what torch's own kernel keeps, where that is proved to be right
    recorder.py    a text, stretch by stretch, through the engine into a recording
    tape.py        hooks that keep what every nn.LSTM, nn.GRU and nn.RNN of a module was given

Knows nothing about concepts, and writes no files itself. Neither door leaves a trace in the module: parameters,
gradients, hooks, train or eval mode, grad mode and the random stream are afterwards what they were before.
"""

from inspector.capture.recorder import RecordingCancelled, record
from inspector.capture.tape import Call, Tape, WatchedRNN, watch

__all__ = ["Call", "RecordingCancelled", "Tape", "WatchedRNN", "record", "watch"]

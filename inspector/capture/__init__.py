"""How values are got out of a torch RNN: `record` reads a text with our network, `record_module` and `watch` with any.

    engine.py      weights, input and initial state of one layer ──► its signals at every step
    lockstep.py    the same in float32 on a CPU: threads with a share of the neurons each; steps.py is what they run,
                   claims.py how they help each other out, panels.py how inputs, and sequences side by side, are
                   multiplied, turning.py how values are turned round, lending.py their memory
    engines.py     which of them runs a layer
    network.py     our network: symbols ──► its layers ──► what is expected next (expecting.py)
    lanes.py       texts side by side: where the network stands in each, and how it goes on
    recorder.py    a text, or several, stretch by stretch into a recording
    abreast.py     several at the same time, values put where they stay
    replay.py      passages again, from the states that a recording kept; standstill.py: a state as bytes
    draft.py       a text that is being written: after a change only what follows it is read again
    batches.py     many documents side by side, for readers that keep nothing
    tape.py        hooks that keep what every RNN of a module was given
    kernel.py      what torch's own kernel leaves behind while a watched LSTM runs with gradients on; workspace.py: how
                   that lies in memory, proved before it is believed
    layerwise.py   every other watched stack, run layer by layer; gru.py: the steps of a GRU as torch takes them
    tiles.py       the gates of a layer whose hidden states are known
    calls.py       what one call of an nn.LSTM, nn.GRU or nn.RNN was given ──► its signals
    cells.py       the same for an nn.LSTMCell, nn.GRUCell or nn.RNNCell called in a loop
    modules.py     a text, through anybody's watched module into a recording

Knows nothing about concepts, and writes no files itself. Neither door leaves a trace in the module: parameters,
gradients, hooks, train or eval mode, grad mode and the random stream are afterwards what they were before.
"""

from inspector.capture.batches import BatchReader, Stretch
from inspector.capture.calls import Call
from inspector.capture.draft import Draft
from inspector.capture.lanes import Lanes
from inspector.capture.modules import record_module
from inspector.capture.network import Network
from inspector.capture.recorder import RecordingCancelled, record
from inspector.capture.tape import Tape, WatchedRNN, watch

__all__ = [
    "BatchReader",
    "Call",
    "Draft",
    "Lanes",
    "Network",
    "RecordingCancelled",
    "Stretch",
    "Tape",
    "WatchedRNN",
    "record",
    "record_module",
    "watch",
]

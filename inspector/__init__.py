"""Charscope's library: what the neurons of a character-level recurrent network do, as arrays and tables.

One path runs through it: text -> model -> capture -> recording -> search; concepts label the same text on the way.
Import the rooms by name (`from inspector.capture import record`); this package itself imports nothing.
"""

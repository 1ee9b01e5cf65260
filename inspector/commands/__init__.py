"""What `python -m inspector` can be told to do, one file for each subject: flags and wording only.

Each file has `add(commands)`, which adds its commands to the parser. Heavy libraries are imported when a command runs.
"""

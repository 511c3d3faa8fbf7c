"""The commands `jmp` and `j`.

`commands` says what a user may type, and needs click alone; `actions` does it, and is imported when
it is asked for. So help and completion answer at once, whatever the work itself needs.
"""

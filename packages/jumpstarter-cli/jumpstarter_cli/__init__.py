"""The jmp and j commands."""

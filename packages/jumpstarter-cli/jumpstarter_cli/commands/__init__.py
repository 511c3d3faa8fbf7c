"""What a user may type: commands, their arguments and help. Imports click, and nothing heavy."""

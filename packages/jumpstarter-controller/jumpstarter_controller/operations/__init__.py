"""What can be ordered, each as a plain function over a draft of the state.

Rule: pure but for random identities. An operation checks, changes the draft, lets the scheduler
settle what follows, and returns the result; it raises a LabError to have it all taken back.
"""

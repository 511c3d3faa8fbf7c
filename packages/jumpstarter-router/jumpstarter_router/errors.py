"""Why a caller is not let in, and why a router cannot run."""


class TokenError(Exception):
    """A token does not admit its bearer; the text says why, and holds nothing of the token."""


class KeysMissingError(Exception):
    """No token can be judged yet."""

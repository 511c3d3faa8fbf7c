"""Text on its way to a peer: in UTF-8, and no longer than what carries it."""


def fit(text: str, limit: int) -> str:
    """Return `text` in at most `limit` bytes of UTF-8, and a note where it was cut.

    What has no UTF-8 form, as bytes of a file's name may have none, is told as an escape.
    """
    data = text.encode(errors="backslashreplace")
    if len(data) <= limit:
        return data.decode()
    kept = data[:limit].decode(errors="ignore")
    return f"{kept}... ({len(data) - len(kept.encode())} more bytes)"

"""What routers report of themselves."""

from collections.abc import Mapping

from jumpstarter_controller.draft import Draft
from jumpstarter_controller.errors import InvalidRequest
from jumpstarter_controller.names import check_labels, check_name
from jumpstarter_controller.objects import Router


def report(
    draft: Draft, *, name: str, endpoint: str, labels: Mapping[str, str], load: float
) -> Router:
    """Take in that a router is there."""
    check_name("router", name)
    check_labels(labels)
    if not endpoint:
        raise InvalidRequest(f"router {name} must say at which endpoint it is reached")
    router = Router(
        name=name, endpoint=endpoint, labels=dict(labels), last_seen=draft.now, load=load
    )
    draft.put(router)
    return router


def forget(draft: Draft, *, name: str) -> None:
    """Take in that a router has left."""
    router = draft.book.routers.get(name)
    if router is not None:
        draft.remove(router)

"""Orders of the administrator about access policies."""

from jumpstarter_controller.book import Key
from jumpstarter_controller.draft import Draft
from jumpstarter_controller.errors import InvalidRequest
from jumpstarter_controller.names import check_name
from jumpstarter_controller.objects import Policy
from jumpstarter_controller.validation import canonical_selector

from .people import known
from .settling import settle


def put_policy(draft: Draft, *, policy: Policy) -> Policy:
    """Add a policy, or replace the one of its name."""
    check_name("namespace", policy.namespace)
    check_name("policy", policy.name)
    canonical_selector(policy.exporter_selector)
    for rule in policy.rules:
        for selector in rule.client_selectors:
            canonical_selector(selector)
        longest = rule.maximum_duration
        if longest is not None and longest.total_seconds() <= 0:
            raise InvalidRequest("the maximum duration of a policy must be more than 0")
    draft.put(policy)
    settle(draft)
    return policy


def delete_policy(draft: Draft, *, key: Key) -> None:
    """Remove a policy."""
    draft.remove(known("policy", key, draft.book.policies.get(key)))
    settle(draft)

"""The user's own file, which names the current client, under its public path."""

from jumpstarter.config.client import UserConfigV1Alpha1, UserConfigV1Alpha1Config

__all__ = ["UserConfigV1Alpha1", "UserConfigV1Alpha1Config"]

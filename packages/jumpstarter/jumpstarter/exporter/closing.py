"""Closing drivers: whatever one of them raises, the rest of the exporter goes on."""

import logging

from jumpstarter.driver.base import Driver

logger = logging.getLogger(__name__)


def close_drivers(root: Driver) -> None:
    """Close `root` and all below it; an error is logged with its traceback."""
    try:
        root.close()
    except Exception:  # anybody's driver, at the end of its session
        logger.exception("closing the drivers failed")

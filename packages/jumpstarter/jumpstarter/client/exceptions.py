"""Public path of the errors about leases; they live in `jumpstarter.model.errors`."""

from jumpstarter.model.errors import LeaseEndedError as LeaseEndedError
from jumpstarter.model.errors import LeaseError as LeaseError
from jumpstarter.model.errors import LeaseTransferredError as LeaseTransferredError

"""The controller of a lab: leases, scheduling, tokens and the services that offer them."""

"""Public path of questions on conditions; the code lives in `jumpstarter.model.conditions`."""

from jumpstarter.model.conditions import condition_false as condition_false
from jumpstarter.model.conditions import condition_message as condition_message
from jumpstarter.model.conditions import condition_present_and_equal as condition_present_and_equal
from jumpstarter.model.conditions import condition_true as condition_true

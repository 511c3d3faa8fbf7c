"""Public path of values on the wire; the code lives in `jumpstarter.model.values`."""

from jumpstarter.model.values import decode_value as decode_value
from jumpstarter.model.values import encode_value as encode_value

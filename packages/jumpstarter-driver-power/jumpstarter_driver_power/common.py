"""What driver and client of power supplies share."""

from pydantic import BaseModel


class PowerReading(BaseModel):
    """What a supply delivers at one moment: volts and amperes."""

    voltage: float
    current: float

    @property
    def apparent_power(self) -> float:
        """The product of both, in volt-amperes."""
        return self.voltage * self.current

import pytest
from jumpstarter.common.exceptions import ConfigurationError
@pytest.mark.parametrize("d", ["DigitalOutput","DigitalInput","PowerSwitch"])
def test_build_missing(build, d):
    with pytest.raises(Exception) as e:
        build(f"""
type: jumpstarter_driver_gpiod.driver.{d}
config: {{device: /dev/gpiochip99, line: 4}}
""")
    print(type(e.value), e.value)
    assert 0

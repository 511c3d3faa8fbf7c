"""A driver, described from its class: what it is, what it takes, and what it exports."""

from dataclasses import dataclass

from jumpstarter.driver import Driver

from jumpstarter_cli.drivers.documentation import own_docstring
from jumpstarter_cli.drivers.fields import NOT_IN_CONFIG, Field, constructor_of
from jumpstarter_cli.drivers.installed import package, short_name
from jumpstarter_cli.drivers.methods import Method, methods_of


@dataclass(frozen=True, kw_only=True)
class Description:
    """What there is to know of a driver.

    Attributes:
        name: the short name, or the dotted path of a class that has none.
        type: the dotted path of the class.
        client: the dotted path of the class that clients use.
        category: what kind of device it is for.
        package: name and version of the distribution, or empty.
        description: the docstring of the class.
        fields: what `config` may give.
        methods: what it exports.
    """

    name: str
    type: str
    client: str
    category: str
    package: str
    description: str
    fields: tuple[Field, ...]
    methods: tuple[Method, ...]

    def as_data(self) -> dict[str, object]:
        """Return it as plain values."""
        fields = [
            {
                "name": field.name,
                "type": field.type_name,
                "required": field.default is None,
                "default": field.default,
                "description": field.description,
            }
            for field in self.fields
        ]
        methods = [
            {
                "name": method.name,
                "kind": method.kind,
                "signature": method.signature,
                "description": method.description,
            }
            for method in self.methods
        ]
        return {**vars(self), "fields": fields, "methods": methods}


def describe(driver: type[Driver]) -> Description:
    """Return what the class says of itself. It is not built."""
    class_path = f"{driver.__module__}.{driver.__qualname__}"
    name = short_name(class_path)
    return Description(
        name=name,
        type=class_path,
        client=driver.client(),
        category=driver.driver_type,
        package=package(name),
        description=own_docstring(driver),
        fields=tuple(
            field for field in constructor_of(driver).fields if field.name not in NOT_IN_CONFIG
        ),
        methods=tuple(methods_of(driver)),
    )

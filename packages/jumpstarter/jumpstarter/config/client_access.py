"""Who a client is and where its controller is, and what can be asked there.

The methods only hand this data to the layer above. Called outside an event loop they return what
the controller answered, inside one a coroutine that does.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from jumpstarter.config.client_sections import (
    ClientConfigV1Alpha1Drivers,
    ClientConfigV1Alpha1Lease,
)
from jumpstarter.config.metadata import API_VERSION, ObjectMeta
from jumpstarter.config.options import GrpcOptions
from jumpstarter.config.shell import ShellConfigV1Alpha1
from jumpstarter.config.tls import TLSConfigV1Alpha1

HALF_AN_HOUR = timedelta(minutes=30)


class ClientAccess(BaseModel):
    """The data of a client's configuration, and its calls."""

    model_config = ConfigDict(extra="forbid", title="Jumpstarter client", hide_input_in_errors=True)

    alias: str = "default"
    path: Path | None = None
    apiVersion: Literal["jumpstarter.dev/v1alpha1"] = API_VERSION  # noqa: N815 - the file's key
    kind: Literal["ClientConfig"] = "ClientConfig"
    metadata: ObjectMeta
    endpoint: str | None = None
    tls: TLSConfigV1Alpha1 = Field(default_factory=TLSConfigV1Alpha1)
    token: str | None = Field(default=None, repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    grpcOptions: GrpcOptions = Field(default_factory=dict[str, str | int])  # noqa: N815 - the file's key
    drivers: ClientConfigV1Alpha1Drivers = Field(default_factory=ClientConfigV1Alpha1Drivers)
    shell: ShellConfigV1Alpha1 = Field(default_factory=ShellConfigV1Alpha1)
    leases: ClientConfigV1Alpha1Lease = Field(default_factory=ClientConfigV1Alpha1Lease)

    async def channel(self):  # noqa: ANN201 - inferred: the type lives in the layer above
        """Return a channel to the controller, which the caller closes.

        Raises:
            ConfigurationError: the configuration names no controller, or has no token.
            ConnectionError: the controller's certificate cannot be read.
        """
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return await lab.open_channel(self)

    def lease(  # noqa: ANN201 - inferred: the type lives in the layer above
        self,
        selector: str | None = None,
        exporter_name: str | None = None,
        lease_name: str | None = None,
        duration: timedelta = HALF_AN_HOUR,
    ):
        """Hold a lease while the context lasts, and yield it; a named one is not released."""
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return lab.lease(self, selector, exporter_name, lease_name, duration)

    def lease_async(  # noqa: ANN201, PLR0913, PLR0917 - inferred: the type lives in the layer above; public API
        self,
        selector: str | None,
        exporter_name: str | None,
        lease_name: str | None,
        duration: timedelta,
        portal: Any,  # noqa: ANN401 - an anyio portal; this layer knows no event loop
        acquisition_timeout: timedelta | float | None = None,
        retry_timeout: timedelta | float | None = None,
        dial_timeout: timedelta | float | None = None,
        **more: Any,  # noqa: ANN401 - further fields of a lease
    ):
        """Do as `lease`, on the running event loop; `portal` leads to it."""
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return lab.lease_async(
            self,
            selector,
            exporter_name,
            lease_name,
            duration,
            portal,
            acquisition_timeout,
            retry_timeout,
            dial_timeout,
            **more,
        )

    def get_exporter(self, name: str, show_hidden_labels: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - see the module; public API
        """Return one exporter."""
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return lab.now_or_later(
            lambda: lab.get_exporter(self, name, show_hidden_labels=show_hidden_labels)
        )

    def list_exporters(  # noqa: PLR0913, PLR0917 - public API
        self,
        filter: str | None = None,  # noqa: A002 - public API
        include_leases: bool = False,  # noqa: FBT001, FBT002 - public API
        include_online: bool = False,  # noqa: FBT001, FBT002 - public API
        include_status: bool = False,  # noqa: FBT001, FBT002 - public API
        include_disabled: bool = False,  # noqa: FBT001, FBT002 - public API
        page_size: int = 100,
        show_hidden_labels: bool = False,  # noqa: FBT001, FBT002 - public API
    ) -> Any:  # noqa: ANN401 - see the module
        """Return all exporters that the selector `filter` admits."""
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        options = lab.ExporterList(
            exporters=[],
            include_leases=include_leases,
            include_online=include_online,
            include_status=include_status,
            include_disabled=include_disabled,
        )
        return lab.now_or_later(
            lambda: lab.list_exporters(
                self,
                options,
                filter=filter,
                page_size=page_size,
                show_hidden_labels=show_hidden_labels,
            )
        )

    def create_lease(  # noqa: PLR0913, PLR0917 - public API
        self,
        duration: timedelta,
        selector: str | None = None,
        exporter_name: str | None = None,
        begin_time: datetime | None = None,
        lease_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        allow_disabled: bool = False,  # noqa: FBT001, FBT002 - public API
        context: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - see the module
        """Ask for a lease and return it; it may have to wait still."""
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return lab.now_or_later(
            lambda: lab.create_lease(
                self,
                duration,
                selector=selector,
                exporter_name=exporter_name,
                begin_time=begin_time,
                lease_id=lease_id,
                tags=tags,
                allow_disabled=allow_disabled,
                context=context,
            )
        )

    def delete_lease(self, name: str) -> Any:  # noqa: ANN401 - see the module
        """End a lease."""
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return lab.now_or_later(lambda: lab.delete_lease(self, name))

    def list_leases(
        self,
        filter: str | None = None,  # noqa: A002 - public API
        only_active: bool = True,  # noqa: FBT001, FBT002 - public API
        page_size: int = 100,
        tag_filter: str | None = None,
    ) -> Any:  # noqa: ANN401 - see the module
        """Return all leases of the namespace that the selectors admit."""
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return lab.now_or_later(
            lambda: lab.list_leases(
                self,
                filter=filter,
                only_active=only_active,
                page_size=page_size,
                tag_filter=tag_filter,
            )
        )

    def update_lease(
        self,
        name: str,
        duration: timedelta | None = None,
        begin_time: datetime | None = None,
        client: str | None = None,
    ) -> Any:  # noqa: ANN401 - see the module
        """Change what is given of a lease, and return it; `client` gets it from then on."""
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return lab.now_or_later(
            lambda: lab.update_lease(
                self, name, duration=duration, begin_time=begin_time, client=client
            )
        )

    def rotate_token(self) -> Any:  # noqa: ANN401 - see the module
        """Return a new token, which this configuration has from then on; save it.

        The tokens before it are refused at once by our controller.
        """
        from jumpstarter.client import lab  # noqa: PLC0415 - calls whom this only describes

        return lab.now_or_later(lambda: lab.rotate_token(self))

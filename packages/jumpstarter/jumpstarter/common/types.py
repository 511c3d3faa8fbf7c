"""Public path of the stub types; they live in `jumpstarter.rpc.stub_types`."""

from jumpstarter.rpc.stub_types import AsyncChannel as AsyncChannel
from jumpstarter.rpc.stub_types import ControllerStub as ControllerStub
from jumpstarter.rpc.stub_types import ExporterStub as ExporterStub
from jumpstarter.rpc.stub_types import RouterStub as RouterStub

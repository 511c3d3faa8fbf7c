"""Public path of the stub types; they live in `jumpstarter.rpc.stub`."""

from jumpstarter.rpc.stub import AsyncChannel as AsyncChannel
from jumpstarter.rpc.stub import ControllerStub as ControllerStub
from jumpstarter.rpc.stub import ExporterStub as ExporterStub
from jumpstarter.rpc.stub import RouterStub as RouterStub

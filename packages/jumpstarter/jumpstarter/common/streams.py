"""Public path of stream requests and tunnels; they live in `model.requests` and `rpc.tunnel`."""

from jumpstarter.model.requests import DriverStreamRequest as DriverStreamRequest
from jumpstarter.model.requests import ResourceStreamRequest as ResourceStreamRequest
from jumpstarter.model.requests import StreamRequest as StreamRequest
from jumpstarter.model.requests import StreamRequestMetadata as StreamRequestMetadata
from jumpstarter.rpc.tunnel import connect_router_stream as connect_router_stream

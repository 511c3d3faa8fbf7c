"""Public path of gRPC channels; the code lives in `jumpstarter.rpc.channels`."""

from jumpstarter.rpc.channels import aio_secure_channel as aio_secure_channel
from jumpstarter.rpc.channels import ssl_channel_credentials as ssl_channel_credentials
from jumpstarter.rpc.channels import translate_grpc_exceptions as translate_grpc_exceptions

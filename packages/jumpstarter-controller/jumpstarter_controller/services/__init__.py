"""The controller on the wire: gRPC services over the engine, and who may call them."""

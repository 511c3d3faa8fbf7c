"""The only place that knows grpc: channels, credentials, servers and router streams."""

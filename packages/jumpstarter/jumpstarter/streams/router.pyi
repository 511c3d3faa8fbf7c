from jumpstarter.rpc.router_stream import RouterStream as RouterStream

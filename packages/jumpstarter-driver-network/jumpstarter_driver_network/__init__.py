"""TCP, UDP, Unix, vsock, D-Bus and WebSocket streams, and port forwards."""

"""Serves an exporter on a TCP port, one session after the other, until a signal."""

import logging
import signal
import ssl

import anyio
import click
import grpc
from anyio.abc import TaskStatus
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.exporter import Exporter
from jumpstarter.local import create_exporter
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.rpc.passphrase import PassphraseInterceptor

from jumpstarter_cli.exporter_files import ExporterFile
from jumpstarter_cli.interrupts import heeded
from jumpstarter_cli.listener import Certificate, Listener
from jumpstarter_cli.loading import explained, load

logger = logging.getLogger(__name__)

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(file: ExporterFile, listener: Listener, *, exit_on_lease_end: bool) -> int:
    """Serve the exporter that `file` describes until a signal; return the exit code.

    Raises ConfigurationError for a wrong file or certificate, OSError when the address cannot be
    had, HookExecutionError when a hook must stop it.
    """
    config = load(file)
    config.exit_on_lease_end = config.exit_on_lease_end or exit_on_lease_end
    credentials = server_credentials(listener.certificate)
    danger = listener.danger()
    if danger is not None:
        logger.warning("%s", danger)
    return anyio.run(_serve, config, listener, credentials)


def server_credentials(certificate: Certificate | None) -> grpc.ServerCredentials | None:
    """Return what gRPC needs for TLS, or None without a certificate.

    Raises ConfigurationError when the files are no certificate and its key, OSError when they
    cannot be read.
    """
    if certificate is None:
        return None
    chain, key = certificate.chain.read_bytes(), certificate.key.read_bytes()
    try:
        # gRPC takes anything, and says when it is bound only that this failed.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.chain, certificate.key)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        message = (
            f"'{certificate.chain}' and '{certificate.key}' are not a certificate and its "
            f"private key in PEM form: {reason}"
        )
        raise ConfigurationError(message) from None
    return grpc.ssl_server_credentials([(key, chain)])


async def _serve(
    config: ExporterConfigV1Alpha1, listener: Listener, credentials: grpc.ServerCredentials | None
) -> int:
    async with (
        create_exporter(config, standalone=True) as exporter,
        anyio.create_task_group() as tasks,
    ):
        service = _Service(exporter, listener, credentials)
        await tasks.start(service.stop_on_signal)
        with explained(config):
            await service.serve_session()
            while not (service.is_stopping or config.exit_on_lease_end):
                await service.serve_session()
        tasks.cancel_scope.cancel()
    return 0


class _Service:
    """An exporter at one address, until it is asked to stop."""

    def __init__(
        self, exporter: Exporter, listener: Listener, credentials: grpc.ServerCredentials | None
    ) -> None:
        self.is_stopping = False
        self._exporter = exporter
        self._listener = listener
        self._credentials = credentials
        self._bound: int | None = None
        self._is_ready = False
        self._starting = anyio.CancelScope()

    async def serve_session(self) -> None:
        """Serve one session, at the same port as the one before."""
        secret = self._listener.passphrase
        host, port = self._listener.address
        self._is_ready = False
        with anyio.CancelScope() as self._starting:
            await self._exporter.serve_standalone_tcp(
                host,
                self._bound or port,
                tls_credentials=self._credentials,
                interceptors=[] if secret is None else [PassphraseInterceptor(secret)],
                started=self._tell,
            )

    async def stop_on_signal(self, *, task_status: TaskStatus[None]) -> None:
        """Let the session end when the first signal comes; die of the second one."""
        with anyio.open_signal_receiver(*heeded(*_ENDING)) as numbers:
            task_status.started()
            async for _ in numbers:
                break
        # The afterLease hook may take its time; who will not wait sends another signal.
        for number in heeded(*_ENDING):
            signal.signal(number, signal.SIG_DFL)
        self.is_stopping = True
        if self._is_ready:
            self._exporter.stop()
        else:
            self._starting.cancel()

    def _tell(self, port: int) -> None:
        self._is_ready = True
        if self._bound is None:
            click.echo(self._listener.describe(port))
        self._bound = port

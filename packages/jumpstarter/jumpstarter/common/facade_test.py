"""The import surface: every name that packages of others import exists under its public path."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

import jumpstarter.common
from jumpstarter.driver import oci

SURFACE = {
    "jumpstarter.driver": "Driver export exportstream FlasherInterface",
    "jumpstarter.driver.decorators": (
        "export exportstream MARKER_MAGIC MARKER_DRIVERCALL MARKER_STREAMCALL "
        "MARKER_STREAMING_DRIVERCALL"
    ),
    "jumpstarter.driver.flasher": "FlasherInterface",
    "jumpstarter.driver.base": "Driver SUPPORTED_CONTENT_ENCODINGS",
    "jumpstarter.client": (
        "DriverClient FlasherClient FlasherClientInterface client_from_path Lease DirectLease"
    ),
    "jumpstarter.client.base": "DriverClient StubDriverClient",
    "jumpstarter.client.core": (
        "AsyncDriverClient DriverError DriverMethodNotImplemented DriverInvalidArgument "
        "ExporterNotReady"
    ),
    "jumpstarter.client.decorators": "driver_click_group driver_click_command DriverClickGroup",
    "jumpstarter.client.adapters": "blocking",
    "jumpstarter.client.flasher": (
        "FlasherClient FlasherClientInterface PathBuf _AsyncIteratorStream _FileWriteObjectStream "
        "_http_url_adapter _local_file_adapter _parse_path"
    ),
    "jumpstarter.client.client": "client_from_path client_from_channel fetch_motd",
    "jumpstarter.client.grpc": (
        "ClientService MultipathExporterStub Exporter ExporterList Lease LeaseList WithOptions"
    ),
    "jumpstarter.client.lease": "Lease DirectLease",
    "jumpstarter.client.exceptions": "LeaseError",
    "jumpstarter.client.selectors": (
        "parse_label_selector extract_match_labels_filter selector_contains"
    ),
    "jumpstarter.client.status_monitor": "StatusMonitor",
    "jumpstarter.common": (
        "ExporterStatus LogSource Metadata HOOK_WARNING_PREFIX TemporarySocket "
        "TemporaryTcpListener TemporaryUnixListener AsyncChannel ControllerStub ExporterStub "
        "RouterStub download_fls get_fls_binary get_fls_github_url exceptions"
    ),
    "jumpstarter.common.exceptions": (
        "ConfigurationError JumpstarterException ArgumentError ConnectionError "
        "EnvironmentVariableNotSetError ExporterOfflineError ExporterUnreachableError "
        "ReauthenticationFailed FileNotFoundError MissingDriverError"
    ),
    "jumpstarter.common.utils": (
        "serve env launch_shell serve_async env_with_metadata ExporterMetadata lease_ending_handler"
    ),
    "jumpstarter.common.oci": (
        "OciCredentials resolve_oci_credentials parse_oci_registry read_auth_file_credentials"
    ),
    "jumpstarter.common.ipaddr": "get_ip_address get_minikube_ip",
    "jumpstarter.common.fls": "get_fls_binary get_fls_github_url download_fls",
    "jumpstarter.common.storage": (
        "write_to_storage_device read_from_storage_device wait_for_storage_device"
    ),
    "jumpstarter.common.resources": (
        "PresignedRequestResource ClientStreamResource Resource ResourceMetadata"
    ),
    "jumpstarter.common.streams": (
        "DriverStreamRequest ResourceStreamRequest StreamRequest StreamRequestMetadata "
        "connect_router_stream"
    ),
    "jumpstarter.common.serde": "encode_value decode_value",
    "jumpstarter.common.metadata": "Metadata",
    "jumpstarter.common.enums": "ExporterStatus LogSource",
    "jumpstarter.common.types": "AsyncChannel ControllerStub ExporterStub RouterStub",
    "jumpstarter.common.tempfile": "TemporarySocket TemporaryTcpListener TemporaryUnixListener",
    "jumpstarter.common.condition": (
        "condition_true condition_false condition_present_and_equal condition_message"
    ),
    "jumpstarter.common.importlib": "import_class cached_import",
    "jumpstarter.common.grpc": (
        "ssl_channel_credentials aio_secure_channel translate_grpc_exceptions"
    ),
    "jumpstarter.streams.common": "forward_stream create_memory_stream copy_stream",
    "jumpstarter.streams.encoding": (
        "Compression AutoDecompressIterator compress_stream CompressedStream "
        "detect_compression_from_signature create_decompressor COMPRESSION_SIGNATURES "
        "SIGNATURE_BUFFER_SIZE FileSignature"
    ),
    "jumpstarter.streams.progress": "ProgressAttribute ProgressStream",
    "jumpstarter.streams.blocking": "BlockingStream",
    "jumpstarter.streams.metadata": "MetadataStream MetadataStreamAttributes",
    "jumpstarter.streams.router": "RouterStream",
    "jumpstarter.streams.aiohttp": "AiohttpStreamReaderStream",
    "jumpstarter.exporter": "Session Exporter",
    "jumpstarter.exporter.auth": (
        "PassphraseInterceptor passphrase_client_interceptors PASSPHRASE_METADATA_KEY"
    ),
    "jumpstarter.exporter.session": "Session",
    "jumpstarter.exporter.exporter": "Exporter",
    "jumpstarter.exporter.hooks": "HookExecutor HookExecutionError",
    "jumpstarter.exporter.lease_context": "LeaseContext",
    "jumpstarter.exporter.logging": "get_logger LogHandler",
    "jumpstarter.utils.env": (
        "env env_async env_with_metadata env_with_metadata_async ExporterMetadata"
    ),
    "jumpstarter.logging": (
        "setup_logging set_log_context clear_log_context set_persistent_log_context "
        "unbind_log_context"
    ),
    "jumpstarter.config.client": "ClientConfigV1Alpha1 ClientConfigV1Alpha1Drivers",
    "jumpstarter.config.exporter": "ExporterConfigV1Alpha1 ObjectMeta",
    "jumpstarter.config.user": "UserConfigV1Alpha1 UserConfigV1Alpha1Config",
    "jumpstarter.config.common": "ObjectMeta",
    "jumpstarter.config.tls": "TLSConfigV1Alpha1",
}


@pytest.mark.parametrize("module", SURFACE)
def test_public_names_can_be_imported(module: str):
    imported = importlib.import_module(module)
    missing = [name for name in SURFACE[module].split() if not hasattr(imported, name)]
    assert missing == []


def test_stub_file_names_what_is_fetched_on_demand():
    stub = ast.parse(Path(jumpstarter.common.__file__).with_suffix(".pyi").read_text())
    named = {
        f"{node.module}.{alias.asname}"
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes: dict[str, str] = vars(jumpstarter.common)["_HOMES"]
    fetched = {f"{home}.{name}" for name, home in homes.items()}
    assert named == fetched | {"jumpstarter.common.exceptions"}


def test_names_fetched_on_demand_are_listed():
    assert set(SURFACE["jumpstarter.common"].split()) <= set(dir(jumpstarter.common))


@pytest.mark.parametrize("name", ["nothing", "Driver"])
def test_unknown_name_is_an_attribute_error(name: str):
    with pytest.raises(AttributeError, match=rf"'jumpstarter\.common'.*'{name}'"):
        getattr(jumpstarter.common, name)


def test_one_name_does_not_load_the_rest():
    program = (
        "import sys\n"
        "from jumpstarter.common import ExporterStatus, exceptions\n"
        "from jumpstarter.common.exceptions import ConfigurationError\n"
        "print(*{'grpc', 'rich', 'aiohttp', 'anyio', 'click'} & set(sys.modules))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert finished.stdout.strip() == ""


def test_replacing_a_function_of_common_oci_takes_effect():
    assert importlib.import_module("jumpstarter.common.oci") is oci
    found = oci.OciCredentials.model_validate({"username": "me", "password": "mine"})
    with mock.patch("jumpstarter.common.oci.read_auth_file_credentials", return_value=found):
        assert oci.resolve_oci_credentials("oci://registry.example.com/image") == found

"""The passphrase of a directly connected exporter; public path of `jumpstarter.rpc.passphrase`."""

from jumpstarter.rpc.passphrase import PASSPHRASE_METADATA_KEY as PASSPHRASE_METADATA_KEY
from jumpstarter.rpc.passphrase import PassphraseInterceptor as PassphraseInterceptor
from jumpstarter.rpc.passphrase import (
    passphrase_client_interceptors as passphrase_client_interceptors,
)

"""What storage drivers and their clients tell each other, as both sides see it.

The models mirror those of Apache OpenDAL, whose own objects cannot be built or serialised.
"""

from os import PathLike
from typing import Annotated, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

Mode: TypeAlias = Literal["rb", "wb"]
"""How a file is opened: for reading, or for writing from its beginning."""

HashAlgo: TypeAlias = Literal["md5", "sha256"]
"""A digest that the exporter computes."""

PathBuf: TypeAlias = str | PathLike[str]
"""A path inside a storage, or a local path, or a web address as text."""


class EntryMode(BaseModel):
    """Whether an entry is a file or a directory. In JSON the names are those of the methods."""

    model_config = ConfigDict(populate_by_name=True)

    entry_is_file: Annotated[
        bool,
        Field(
            validation_alias=AliasChoices("entry_is_file", "is_file"), serialization_alias="is_file"
        ),
    ]
    entry_is_dir: Annotated[
        bool,
        Field(
            validation_alias=AliasChoices("entry_is_dir", "is_dir"), serialization_alias="is_dir"
        ),
    ]

    def is_file(self) -> bool:
        """Return whether the entry is a file."""
        return self.entry_is_file

    def is_dir(self) -> bool:
        """Return whether the entry is a directory."""
        return self.entry_is_dir


class Metadata(BaseModel):
    """What a storage knows about one entry; lengths are in bytes."""

    content_disposition: str | None
    content_length: int
    content_md5: str | None
    content_type: str | None
    etag: str | None
    mode: EntryMode


class PresignedRequest(BaseModel):
    """An HTTP request that carries its own permission; who has it needs no other credentials."""

    url: str
    method: str
    headers: dict[str, str]


@dataclass(kw_only=True, frozen=True)
class Capability:
    """What a storage service can do. A flag that the exporter does not know is off."""

    stat: bool = False
    stat_with_if_match: bool = False
    stat_with_if_none_match: bool = False

    read: bool = False
    read_with_if_match: bool = False
    read_with_if_none_match: bool = False
    read_with_override_cache_control: bool = False
    read_with_override_content_disposition: bool = False
    read_with_override_content_type: bool = False

    write: bool = False
    write_can_multi: bool = False
    write_can_empty: bool = False
    write_can_append: bool = False
    write_with_content_type: bool = False
    write_with_content_disposition: bool = False
    write_with_cache_control: bool = False
    write_multi_max_size: int | None = None
    write_multi_min_size: int | None = None
    write_total_max_size: int | None = None

    create_dir: bool = False
    delete: bool = False
    copy: bool = False
    rename: bool = False

    list: bool = False
    list_with_limit: bool = False
    list_with_start_after: bool = False
    list_with_recursive: bool = False

    presign: bool = False
    presign_read: bool = False
    presign_stat: bool = False
    presign_write: bool = False
    presign_delete: bool = False

    shared: bool = False
    blocking: bool = False

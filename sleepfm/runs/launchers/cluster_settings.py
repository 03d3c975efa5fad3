"""How this installation reaches its Slurm cluster; part of the app's settings."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sleepfm.errors import RequestError
from sleepfm.home import Home

Word = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.,:@/+-]*$")]


class ClusterSettings(BaseModel):
    """What a Slurm job is asked for. Empty fields leave the choice to the cluster.

    The home folder, and the folders of recordings, must be on storage that the nodes see at the same path.

    Text ends up in the head of a batch script, so only what can stand in a word there is accepted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=False, description="Offer the cluster where a run or a conversion is started.", title="Use Slurm"
    )
    partition: Word = Field(default="", description="Slurm partition; empty takes the cluster's default.")
    account: Word = Field(default="", description="Slurm account that the time is charged to; empty takes your default.")
    minutes: int = Field(
        default=720,
        ge=5,
        le=43_200,
        title="Time limit",
        description="Longest time of one job. A run is warned two minutes before, writes its checkpoint and can be resumed.",
        json_schema_extra={"unit": "min"},
    )
    memory_gb: float = Field(
        default=16.0,
        gt=0,
        le=4_096,
        title="Memory",
        description="Memory of each node of a job.",
        json_schema_extra={"unit": "GB"},
    )
    cores: int = Field(
        default=4,
        ge=1,
        le=512,
        title="Cores",
        description="CPU cores of each process: one process a device in training, one a part of an array.",
        json_schema_extra={"unit": "cores a process"},
    )
    devices_per_node: int = Field(
        default=1,
        ge=1,
        le=64,
        title="Devices a node",
        description="How many processes of a training run share a node: its GPUs, or with no GPUs as many as fit its cores.",
        json_schema_extra={"unit": "processes a node"},
    )
    gpus: bool = Field(
        default=False, title="GPUs", description="Ask for a GPU for each process; off trains and embeds on processors."
    )
    array_jobs: int = Field(
        default=50,
        ge=1,
        le=1_000,
        title="Parts of an array",
        description="Into how many jobs a conversion or embedding is divided at most; the cluster runs them as places come free.",
        json_schema_extra={"unit": "jobs"},
    )
    python: str = Field(
        default="",
        max_length=1_000,
        title="Python",
        description="Command that starts Python with SleepFM Workbench on the nodes; empty takes the one that the app runs in,"
        " which must then be at the same place there.",
    )
    setup: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        title="Set-up lines",
        description="Shell lines before the work starts on a node, for example: module load cuda.",
    )
    sbatch: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        title="Further options of sbatch",
        description="One a line as name=value, for example: constraint=a100 or qos=long.",
    )
    ask_every_s: float = Field(
        default=10.0,
        ge=0.2,
        le=3_600,
        title="Asking",
        description="How often the cluster is asked how jobs stand; sites with many users like it seldom.",
        json_schema_extra={"unit": "s"},
    )

    @field_validator("python", "setup")
    @classmethod
    def _one_line_each(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for line in (value,) if isinstance(value, str) else value:
            if any(character in line for character in "\n\r\0"):
                raise ValueError("one line each, without line breaks")
        return value

    @field_validator("sbatch")
    @classmethod
    def _options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            name, _, rest = line.partition("=")
            if not name.replace("-", "").isalnum() or name.startswith("-") or any(c in rest for c in "\n\r\0"):
                raise ValueError(f"{line!r} is not name=value, for example constraint=a100 (without the dashes)")
        return value

    @property
    def options(self) -> dict[str, str | bool]:
        """The further options as sbatch takes them; one without a value is a switch."""
        pairs = (line.partition("=") for line in self.sbatch)
        return {name: rest if equals else True for name, equals, rest in pairs}


def cluster_settings(home: Home) -> ClusterSettings:
    """Return the cluster's part of the app's settings; the defaults when nothing was set.

    Raises
    ------
    RequestError
        When the settings file was changed by hand into something that is no setting.
    """
    try:
        stored = json.loads(home.settings_file.read_text(encoding="utf-8"))
        return ClusterSettings.model_validate(stored.get("cluster", {}))
    except FileNotFoundError:
        return ClusterSettings()
    except (OSError, ValueError, ValidationError, AttributeError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise RequestError(
            f"{home.settings_file}: the cluster's settings cannot be read ({said}); set them on the settings page"
        ) from error

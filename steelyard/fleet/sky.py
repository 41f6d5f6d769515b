"""A task for SkyPilot: a machine of a cloud, a Kubernetes cluster or a TPU VM measures one shard and keeps its run in a
bucket. SkyPilot starts, recovers and ends machines; it is not needed to write the task."""

import json
from collections.abc import Sequence
from pathlib import Path

from steelyard.core.shard import Shard

_SETUP = """python3 -m venv --system-site-packages ~/steelyard
~/steelyard/bin/pip install --quiet {packages}
"""
_RUN = """code=0
~/steelyard/bin/bench run --shard ~/plan/$SHARD.json --output ~/runs --no-report || code=$?
cp -r ~/runs/. ~/bucket/
exit $code
"""
"""On a disk of the machine first: a bucket that is mounted takes whole files, and no line after the other."""


def task(shards: Sequence[Shard], plan: Path, *, accelerators: str, bucket: str, packages: Sequence[str]) -> str:
    """The task as YAML. What a machine that is taken away had measured is lost.

    `accelerators` as SkyPilot names them (`A100:1`, `tpu-v5e-8`), `bucket` the name of the storage that all machines
    mount, `packages` what pip installs: this project with an extra, and a compiler of one's own."""
    fields = {
        "name": f"steelyard-{shards[0].place.plan}",
        "resources": {"accelerators": accelerators},
        "envs": {"SHARD": str(shards[0].place.number)},
        "file_mounts": {"~/plan": str(plan), "~/bucket": {"name": bucket, "mode": "MOUNT"}},
        "setup": _SETUP.format(packages=" ".join(f"'{each}'" for each in packages)),
        "run": _RUN,
    }
    numbers = " ".join(str(shard.place.number) for shard in shards)
    return (
        f"# for shard in {numbers}; do sky jobs launch -y --env SHARD=$shard TASK.yaml; done\n"
        "# afterwards copy the bucket, and: bench fleet gather PLAN --from COPY\n"
        + "".join(f"{key}: {_value(value)}\n" for key, value in fields.items())
    )


def _value(value: object) -> str:
    """As YAML: texts of several lines as blocks, the rest as JSON, which is YAML."""
    if isinstance(value, str) and "\n" in value:
        return "|\n" + "".join(f"  {line}\n" for line in value.splitlines()).rstrip("\n")
    return json.dumps(value)

"""A run whose report has every section, for what is to be seen or compiled as a whole."""

from dataclasses import replace

from steelyard import wire
from steelyard.core.aa_counts import AaCounts
from steelyard.core.run import LeftOut, Run
from tests.calibration import page
from tests.fakes.accelerated import GPU, accelerated
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.metered import metered_run
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run


def every_section() -> Run:
    """Four backends and two batches on an accelerator with a meter and ceilings; one crashes, one is suspicious. The
    counts of A/A comparisons are the published ones."""
    run = synthetic_run(
        backends=("eager", "xla", "onnxruntime", "openvino"),
        points=llm_points(("decode", "generate"), batches=(1, 4)),
        headline="decode",
        effect={"xla": 0.5, "onnxruntime": 0.5, "openvino": 0.7, "xla|generate": 0.02},
        statuses={
            ("openvino", "decode"): Outcome(status="crashed", reason="killed by signal 11", log_tail="50 % & more_")
        },
        shape=Shape(calls=12, generate_calls=6, cut=2),
        device=GPU,
        left_out=(LeftOut(backend="tensorrt", reason="no such runtime"),),
    )
    counts = wire.read(page.FOLDER / "aa-quiet.json", AaCounts)
    run = replace(run, manifest=replace(run.manifest, calibration=counts))
    metered = metered_run(accelerated(run), estimate=True)
    return held_against(metered, synthetic_ceilings(peak={"float32": 2e12}), counted={"torch": 1.02, "xla": 1.4})

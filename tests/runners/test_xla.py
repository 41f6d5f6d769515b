"""The XLA runner, held to the contract, and what only it promises."""

import functools

import pytest

from steelyard import plugins
from steelyard.contract.runner import RunnerContract, lowered_programs
from steelyard.core.backend import parse_backend
from steelyard.core.errors import UsageError
from tests.runners import in_launch

pytestmark = pytest.mark.backends
launch = functools.partial(in_launch.launch, backend="xla")


class TestXla(RunnerContract):
    backend = "xla"
    imports = frozenset({"jax"})


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return lowered_programs(("stablehlo",), tmp_path_factory.getbasetemp())


def test_the_pool_has_the_budgets_threads_and_the_cache_is_used_again(programs, tmp_path):
    source = """
        hits = []
        runner.start()
        import jax
        jax.monitoring.register_event_listener(lambda event, **facts: hits.append(event))
        programs = [runner.load(each) for each in lowered.values()]
        for program in programs:
            program.compile()
        warm = hits.count("/jax/compilation_cache/cache_hits")
        proof = programs[0].proof()
        same = programs[0].weights[0] is programs[1].weights[0]
        print(json.dumps([proof.threads, proof.mismatches, proof.details["hlo_modules"], same, warm]))
        """
    assert launch(source, directory=tmp_path, programs=programs) == [1, [], 1, True, 0]
    assert launch(source, directory=tmp_path, programs=programs) == [1, [], 1, True, 2]


def test_a_pool_of_another_size_is_told(programs, tmp_path):
    source = """
        runner.start()
        program = runner.load(lowered["prefill"])
        program.compile()
        print(json.dumps(program.proof().threads))
        """
    assert launch(source, directory=tmp_path, programs=programs, variables={"NPROC": "3"}) == 3


def test_state_is_donated_and_put_back(programs, tmp_path):
    source = """
        import numpy as np
        from steelyard.contract import program as tiny
        runner.start()
        program = runner.load(lowered["decode"])
        program.compile()
        binding = program.bind(tiny.decode_inputs(0))
        given = binding._arguments[2]
        binding.run()
        made = binding.output("cache.0.k")
        binding.settle()
        alias = program.call.memory_analysis().alias_size_in_bytes
        print(json.dumps([given.is_deleted(), binding._arguments[2] is made, alias == made.nbytes]))
        """
    assert launch(source, directory=tmp_path, programs=programs) == [True, True, True]


def test_a_platform_that_jax_does_not_have_is_a_fallback_not_a_cpu_run(programs, tmp_path):
    source = """
        from steelyard.core.backend import Device
        gpu = Device(kind="cuda", index=0, name="gpu", memory_bytes=None)
        try:
            plugins.runner("xla")(dataclasses.replace(request.context, device=gpu)).start()
        except Exception as error:
            print(json.dumps([type(error).__name__, str(error)]))
        """
    kind, message = launch(source, directory=tmp_path, programs=programs)
    assert kind == "FellBack"
    assert "no cuda device" in message


def test_a_program_that_was_not_lowered_is_unsupported_with_the_reason(programs, tmp_path):
    source = """
        runner.start()
        bare = dataclasses.replace(lowered["prefill"], artifacts={}, failures={"stablehlo": "no such operator"})
        try:
            runner.load(bare)
        except Exception as error:
            print(json.dumps([type(error).__name__, str(error)]))
        """
    kind, message = launch(source, directory=tmp_path, programs=programs)
    assert kind == "Unsupported"
    assert "no such operator" in message


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("tpu", "pip install 'jax[tpu]'"),
        ("rocm", "AMD's container"),
        ("xpu", "XLA runs on no xpu, only on cpu, cuda, rocm, tpu"),
    ],
)
def test_platforms_that_are_not_there_say_what_to_install(kind, says, programs, tmp_path):
    source = f"""
        found = plugins.runner("xla").availability(request.backend, {kind!r})
        print(json.dumps([found.available, found.reason]))
        """
    available, reason = launch(source, directory=tmp_path, programs=programs)
    assert not available
    assert says in reason


def test_products_were_exported_in_full_precision(programs, tmp_path):
    """On an accelerator a product of default precision may be computed in TF32, and the exported module decides."""
    source = """
        runner.start()
        program = runner.load(lowered["decode"])
        program.compile()
        details = program.proof().details
        print(json.dumps([details["products_exported_highest"], details["products_exported_default"]]))
        """
    assert launch(source, directory=tmp_path, programs=programs) == [4, 0]


def kernels(programs, directory, backend):
    """How many kernels the compiled program has, and the compiler options behind them."""
    directory.mkdir()
    source = """
    runner.start()
    program = runner.load(lowered["prefill"])
    program.compile()
    print(json.dumps([program.call.as_text().count(" fusion("), program.options["compiler_options"]]))
    """
    return launch(source, directory=directory, programs=programs, backend=backend)


def test_without_fusion_each_operator_is_a_kernel_of_its_own(programs, tmp_path):
    fused, nothing = kernels(programs, tmp_path / "fused", "xla")
    apart, asked = kernels(programs, tmp_path / "apart", "xla[fusion=off]")
    assert apart > 2 * fused
    assert nothing == {}
    assert asked == {"xla_disable_hlo_passes": "fusion"}


def test_options_that_there_are_not_are_refused():
    kind = plugins.runner("xla")
    for text, told in (("xla[level=4]", "0, 1, 2, 3"), ("xla[fuse=off]", "did you mean 'fusion'")):
        with pytest.raises(UsageError, match=told):
            kind.check_options(parse_backend(text))

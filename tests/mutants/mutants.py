"""The mutants: one guard of the product taken out each, and the tests that must notice.

A guard that is rewritten takes its mutant along: `old` must stand in the file exactly once, and a test of
the house says so at every change.
"""

from dataclasses import dataclass

WORKER = "tests/engine/test_launch.py"
TURNS = "tests/engine/test_turns.py"
RUN = "tests/cli/test_run.py"
GUARDS = "tests/cli/test_guards.py"
CHEATS = "tests/selftest/test_faults.py"
OWN_CODE = "tests/cli/test_own_code.py"
READ_BACK = "tests/runners/test_budget_read_back.py"
QUIET = "tests/engine/test_quiet_children.py::test_no_runtime_writes_or_talks_outside_its_process"
FAILS = f"{WORKER}::test_every_way_to_fail_is_its_own_row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`old` in `file` becomes `new`; at least one of `tests` (pytest node ids) must then fail.

    `through` says how the tests reach the guard: the command line, a real worker, or, where neither can be
    had without hardware, the part itself.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    through: str


MUTANTS = (
    Mutant(
        name="pooled test",
        file="steelyard/analysis/within.py",
        old="        log_ratios=tuple(log_ratio(before[place], after[place]) - math.log(work) for place in places),\n",
        new=(
            "        log_ratios=tuple(\n"
            "            math.log(late / early)\n"
            "            for one, two in zip(baseline.launched(metric), candidate.launched(metric), strict=False)\n"
            "            for early, late in zip(one.samples[:12], two.samples[:12], strict=False)\n"
            "        ),\n"
        ),
        tests=(f"{GUARDS}::test_launches_are_the_unit_so_that_identical_programs_are_not_told_apart",),
        through="command line",
    ),
    Mutant(
        name="blocked order",
        file="steelyard/engine/rounds.py",
        old="            yield tuple(arms[symbols[(row + column) % count]] for column in columns)\n",
        new="            yield tuple(arms)\n",
        tests=(f"{RUN}::test_every_launch_is_a_process_of_its_own_and_positions_are_balanced",),
        through="command line",
    ),
    Mutant(
        name="warm compile cache in the cold round",
        file="steelyard/engine/session.py",
        old="            shutil.rmtree(request.compile_cache, ignore_errors=True)\n",
        new="            pass\n",
        tests=(f"{RUN}::test_cold_start_launches_five_times_with_an_empty_cache_and_no_window",),
        through="command line",
    ),
    Mutant(
        name="endless retries",
        file="steelyard/engine/asking.py",
        old="(len(failures) > 1 and failures[-1] == failures[-2])",
        new="False",
        tests=(f"{RUN}::test_five_failures_are_five_statuses_and_the_other_rows_stay_whole",),
        through="command line",
    ),
    Mutant(
        name="no affinity",
        file="steelyard/engine/worker.py",
        old="        os.sched_setaffinity(0, request.budget.cpus)\n",
        new="        pass\n",
        tests=(f"{WORKER}::test_the_worker_is_held_to_the_budgets_cpus",),
        through="worker",
    ),
    Mutant(
        name="children left behind",
        file="steelyard/engine/launch.py",
        old='    stayed = left_behind(process.pid, f"{MARK}={launch}")\n',
        new="    stayed = ()\n",
        tests=(f"{CHEATS}::test_a_child_in_a_session_of_its_own_is_ended_and_remarked",),
        through="worker",
    ),
    Mutant(
        name="zero for null",
        file="steelyard/core/metrics.py",
        old="    return Reading(value=None, unit=unit, reason=reason)\n",
        new="    return Reading(value=0.0, unit=unit, reason=reason)\n",
        tests=(f"{WORKER}::test_a_cold_launch_has_no_timed_window",),
        through="worker",
    ),
    Mutant(
        name="sorted samples",
        file="steelyard/measure/driver.py",
        old="            samples=samples,\n",
        new="            samples=tuple(sorted(samples)),\n",
        tests=(f"{WORKER}::test_samples_stand_in_time_order_so_that_a_pattern_in_time_is_seen",),
        through="worker",
    ),
    Mutant(
        name="warm-up clamp",
        file="steelyard/measure/steady.py",
        old='    return Judgement(cut, "warmed" if cut else "flat")\n',
        new='    return Judgement(min(1, cut), "warmed" if cut else "flat")\n',
        tests=(f"{WORKER}::test_a_long_warm_up_is_cut_where_it_ends",),
        through="worker",
    ),
    Mutant(
        name="unchecked output",
        file="steelyard/measure/loop.py",
        old="                inspect(index)\n",
        new="                pass\n",
        tests=(f"{FAILS}[late wrong-incorrect-check-relative error]",),
        through="worker",
    ),
    Mutant(
        name="one input set",
        file="steelyard/measure/loop.py",
        old="            call = calls[index % count]\n",
        new="            call = calls[0]\n",
        tests=(f"{WORKER}::test_a_good_launch_gives_samples_in_time_order_phases_memory_and_proof",),
        through="worker",
    ),
    Mutant(
        name="outputs that ignore the input",
        file="steelyard/measure/correctness.py",
        old="        self._ignores_input(slot, name, actual, reference)\n",
        new="",
        tests=(f"{FAILS}[cached-incorrect-check-does not depend on the input]",),
        through="worker",
    ),
    Mutant(
        name="NaN accepted",
        file="steelyard/measure/correctness.py",
        old="        if not alike_finite(actual64, reference64):\n",
        new="        if False:\n",
        tests=(f"{FAILS}[nan-incorrect-check-NaN]",),
        through="worker",
    ),
    Mutant(
        name="wrong answers accepted",
        file="steelyard/measure/correctness.py",
        old="        if not reasons and not worst.relative_l2 <= tolerance:\n",
        new="        if False:\n",
        tests=(f"{FAILS}[wrong-incorrect-check-relative error 0.01]",),
        through="worker",
    ),
    Mutant(
        name="recompilation inside the window",
        file="steelyard/engine/measuring.py",
        old="        moved = {name: after[name] - count for name, count in before.items() if after[name] != count}\n",
        new="        moved = {}\n",
        tests=(f"{FAILS}[recompile-fallback-check-compilations moved by]",),
        through="worker",
    ),
    Mutant(
        name="silent fallback",
        file="steelyard/engine/judging.py",
        old="    if proof.mismatches:\n",
        new="    if False:\n",
        tests=(f"{FAILS}[fallback-fallback-check-ran in bfloat16, not float32]",),
        through="worker",
    ),
    Mutant(
        name="incomplete rounds",
        file="steelyard/analysis/sides.py",
        old="        if result.round in whole and result.case_id in keys:\n",
        new="        if result.case_id in keys:\n",
        tests=(f"{GUARDS}::test_only_whole_rounds_count",),
        through="command line",
    ),
    Mutant(
        name="verdicts from few rounds",
        file="steelyard/stats/few.py",
        old="FEWEST = 4\n",
        new="FEWEST = 2\n",
        tests=(f"{GUARDS}::test_few_rounds_claim_nothing_however_large_the_effect",),
        through="command line",
    ),
    Mutant(
        name="verdicts on a noisy machine",
        file="steelyard/analysis/withheld.py",
        old='    noisy = [segment for segment in run.segments if segment.noise.grade == "F"]\n',
        new="    noisy = []\n",
        tests=(f"{GUARDS}::test_on_a_noisy_machine_verdicts_are_withheld_and_numbers_kept",),
        through="command line",
    ),
    Mutant(
        name="no noise floor",
        file="steelyard/analysis/verdict.py",
        old="        return max(self.margin, self.floor or 0.0)\n",
        new="        return self.margin\n",
        tests=(f"{GUARDS}::test_a_difference_below_the_noise_floor_is_none",),
        through="command line",
    ),
    Mutant(
        name="no correction for many comparisons",
        file="steelyard/analysis/verdict.py",
        old=(
            "        adjusted_levels = holm(levels)\n"
            "        confidences = [float(value) for value in holm_confidences(levels, ALPHA)]\n"
        ),
        new="        adjusted_levels, confidences = levels, [1 - ALPHA] * len(levels)\n",
        tests=(f"{GUARDS}::test_many_comparisons_share_the_risk",),
        through="command line",
    ),
    Mutant(
        name="speed of a wrong answer",
        file="steelyard/analysis/within.py",
        old="    wrong = [side.failures for side in (baseline, candidate) if side.wrong]\n",
        new="    wrong = []\n",
        tests=(f"{GUARDS}::test_one_wrong_answer_takes_the_speed_away",),
        through="command line",
    ),
    Mutant(
        name="unlike work compared",
        file="steelyard/analysis/across.py",
        old='    return f"the identity differs in {\' and \'.join(different)}" if different else ""\n',
        new='    return ""\n',
        tests=(f"{GUARDS}::test_unlike_weights_are_incomparable",),
        through="command line",
    ),
    Mutant(
        name="verdicts without a steady state",
        file="steelyard/analysis/within.py",
        old="p_value=weight.p_value, span=span(pairs))\n",
        new="p_value=weight.p_value)\n",
        tests=(f"{GUARDS}::test_launches_that_never_settle_give_a_verdict_only_if_all_they_range_over_does",),
        through="command line",
    ),
    Mutant(
        name="counter wrap",
        file="steelyard/guard/unwrap.py",
        old="            delta += self.range_ or 0\n",
        new="            pass\n",
        tests=("tests/guard/test_energy.py::test_wraps_at_any_phase_are_unwound",),
        through="part",
    ),
    Mutant(
        name="work after the call returned",
        file="steelyard/measure/fresh.py",
        old="        if late > max(_LATE_S, _LATE_PART * float(np.median(new))):\n",
        new="        if False:\n",
        tests=(f"{CHEATS}::test_the_cold_round_catches[returns early]",),
        through="worker",
    ),
    Mutant(
        name="stale answers",
        file="steelyard/measure/fresh.py",
        old="            if bits in self._seen[name]:\n",
        new="            if False:\n",
        tests=(f"{CHEATS}::test_the_cold_round_catches[bound memo]",),
        through="worker",
    ),
    Mutant(
        name="kept answers",
        file="steelyard/measure/fresh.py",
        old="            if min(slow) > _FACTOR * max(fast) and min(slow) - max(fast) > _LEAST_S:\n",
        new="            if False:\n",
        tests=(f"{CHEATS}::test_the_cold_round_catches[memo]",),
        through="worker",
    ),
    Mutant(
        name="dropped output",
        file="steelyard/measure/correctness.py",
        old='                self.record(spec.name, 1.0, 1.0, "it is missing: reading it gave nothing")\n',
        new="                continue\n",
        tests=(f"{CHEATS}::test_the_cold_round_catches[dropped output]",),
        through="worker",
    ),
    Mutant(
        name="replaced timer",
        file="steelyard/engine/measuring.py",
        old="    _believe(clock.replaced(loop.CLOCK, *bound.clocks))\n",
        new="",
        tests=(f"{CHEATS}::test_the_cold_round_catches[patched timer]",),
        through="worker",
    ),
    Mutant(
        name="slowed timer",
        file="steelyard/engine/measuring.py",
        old="        _believe(clock.disagreement(window.elapsed_ns, window.witness_ns))\n",
        new="",
        tests=(f"{CHEATS}::test_the_timed_window_catches[slow clock]",),
        through="worker",
    ),
    Mutant(
        name="children in sessions of their own",
        file="steelyard/engine/launch.py",
        old="    for pid in stayed:  # those that had left the session\n",
        new="    for pid in ():\n",
        tests=(f"{CHEATS}::test_a_child_in_a_session_of_its_own_is_ended_and_remarked",),
        through="worker",
    ),
    Mutant(
        name="one order for all bundles",
        file="steelyard/engine/session.py",
        old=(
            "        return [Orders(self._arranged.groups, (bundle << 32) + first) "
            "for bundle in range(len(self._plan.bundles))]\n"
        ),
        new="        return [Orders(self._arranged.groups, first)] * len(self._plan.bundles)\n",
        tests=(
            "tests/engine/test_bundles.py::test_bundles_have_orders_of_their_own_and_the_first_is_that_of_a_run_with_one",
        ),
        through="part",
    ),
    Mutant(
        name="a run given twice",
        file="steelyard/analysis/across.py",
        old="    _refuse_twice(baseline_runs, candidate_runs)\n",
        new="",
        tests=("tests/cli/test_compare.py::test_a_run_given_by_two_names_is_refused",),
        through="command line",
    ),
    Mutant(
        name="noise of earlier runs",
        file="steelyard/service/recorder.py",
        old="            seen = noise_seen(self._writer.path.parent, self._manifest)\n",
        new="            seen = {}\n",
        tests=("tests/cli/test_earlier.py::test_bench_run_looks_at_the_runs_beside_its_own_after_the_pilot",),
        through="part",
    ),
    Mutant(
        name="artifacts of edited code",
        file="steelyard/lowering/written.py",
        old='        return {"suite": self.suite, "code": stable_hash(self.code, 24)}\n',
        new='        return {"suite": self.suite}\n',
        tests=(f"{OWN_CODE}::test_a_suite_that_was_edited_is_lowered_anew_and_is_other_work",),
        through="command line",
    ),
    Mutant(
        name="identity without code",
        file="steelyard/lowering/lower.py",
        old="                code=stable_hash(code),\n",
        new="",
        tests=(f"{OWN_CODE}::test_a_suite_that_was_edited_is_lowered_anew_and_is_other_work",),
        through="command line",
    ),
    Mutant(
        name="a runner edited in mid-run",
        file="steelyard/engine/session.py",
        old="        told = changed(arm.backend, code, [case.lowered for case in cases])\n",
        new='        told = ""\n',
        tests=(f"{OWN_CODE}::test_a_runner_that_is_edited_is_neither_pooled_with_what_it_was_nor_taken_for_it",),
        through="command line",
    ),
    Mutant(
        name="a quantized model in floating point",
        file="steelyard/adapters/onnxruntime_readback.py",
        old='    return [] if quantized else ["no operator of the session is quantized"]\n',
        new="    return []\n",
        tests=("tests/runners/test_quantized_read_back.py::test_a_session_of_float_operators_alone_is_none",),
        through="part",
    ),
    Mutant(
        name="requests one after the other",
        file="steelyard/measure/waves.py",
        old="            thread.begin(call)\n        failed",
        new="            thread.begin(call)\n            thread.end()\n            thread.begin(call)\n        failed",
        tests=("tests/measure/test_waves.py::test_the_calls_of_a_wave_are_under_way_at_the_same_time",),
        through="part",
    ),
    Mutant(
        name="nothing compiled",
        file="steelyard/engine/judging.py",
        old="    if proof.graphs == 0:\n",
        new="    if False:\n",
        tests=(f"{READ_BACK}::test_compilation_that_is_switched_off_is_a_fallback",),
        through="worker",
    ),
    Mutant(
        name="compilation switched off later",
        file="runners/torch.py",
        old='        found = () if stance == "default" else',
        new="        found = () if stance else",
        tests=(f"{READ_BACK}::test_compilation_that_is_switched_off_is_a_fallback",),
        through="worker",
    ),
    Mutant(
        name="telemetry of ONNX Runtime",
        file="steelyard/guard/environment.py",
        old="    **OFF,\n",
        new="",
        tests=(QUIET,),
        through="worker",
    ),
    Mutant(
        name="telemetry of OpenVINO",
        file="steelyard/lowering/lower.py",
        old="        without_telemetry()\n",
        new="",
        tests=(QUIET,),
        through="part",
    ),
    Mutant(
        name="files left by a launch",
        file="steelyard/engine/launch_start.py",
        old="    return for_child(own, temporary=Path(request.compile_cache), apart=apart)\n",
        new="    return for_child(own, apart=apart)\n",
        tests=(QUIET,),
        through="worker",
    ),
    Mutant(
        name="destroyed inputs",
        file="steelyard/measure/fresh.py",
        old='            self._same(kept, later, "left alone, its inputs give another answer: they were changed")\n',
        new="",
        tests=("tests/measure/test_fresh.py::test_inputs_destroyed_by_a_call_give_another_answer_when_left_alone",),
        through="part",
    ),
    Mutant(
        name="children outlive bench",
        file="steelyard/guard/child.py",
        old="    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)\n",
        new="",
        tests=("tests/guard/test_child.py::test_a_child_ends_with_its_parent_even_while_it_is_stopped",),
        through="worker",
    ),
    Mutant(
        name="a living run's folder taken for an orphan",
        file="steelyard/guard/scratch.py",
        old="            fcntl.flock(descriptor, fcntl.LOCK_SH)\n",
        new="            pass\n",
        tests=(
            "tests/guard/test_scratch.py::test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not",
        ),
        through="part",
    ),
    Mutant(
        name="closed taken for damaged",
        file="steelyard/lowering/cache.py",
        old="            except PermissionError:\n                raise\n",
        new="",
        tests=("tests/lowering/test_shared_cache.py::test_what_is_closed_is_named_with_its_owner_and_stays",),
        through="part",
    ),
    Mutant(
        name="another user's entry replaced",
        file="steelyard/lowering/cache.py",
        old="        if final.exists() and not is_ours(final):\n",
        new="        if False:\n",
        tests=("tests/lowering/test_shared_cache.py::test_what_is_damaged_and_anothers_is_left_to_its_owner",),
        through="part",
    ),
    Mutant(
        name="entries closed whatever the umask",
        file="steelyard/lowering/cache.py",
        old="            as_open_as(draft)\n",
        new="",
        tests=("tests/lowering/test_shared_cache.py::test_what_is_made_is_as_open_as_the_umask_says",),
        through="part",
    ),
    Mutant(
        name="a pause of bench charged to the worker",
        file="steelyard/engine/listener.py",
        old="                self._missed_s += away_s\n",
        new="",
        tests=("tests/engine/test_pauses.py::test_a_supervisor_stopped_inside_a_window_charges_it_to_nobody",),
        through="worker",
    ),
    Mutant(
        name="CPUs locked for one user alone",
        file="steelyard/hardware/occupied.py",
        old="        os.fchmod(descriptor, 0o666)\n",
        new="",
        tests=("tests/hardware/test_occupied.py::test_the_locks_are_every_users_whatever_umask_the_first_one_has",),
        through="part",
    ),
    Mutant(
        name="an approximation called the fastest",
        file="steelyard/tables/winners.py",
        old="    return outcome.speed and not outcome.approximate\n",
        new="    return outcome.speed\n",
        tests=("tests/tables/test_approximate.py::test_nobody_is_the_fastest_against_an_approximate_baseline",),
        through="part",
    ),
    Mutant(
        name="readings that cannot be true",
        file="steelyard/guard/gate.py",
        old="        fault = _objection(count, self._last.get(name))\n",
        new="        fault = None\n",
        tests=(
            "tests/guard/test_gate.py::test_a_reading_that_cannot_be_true_leaves_its_window_without_a_number_and_the_next_one_has_it",
        ),
        through="part",
    ),
    Mutant(
        name="power that cannot be true",
        file="steelyard/guard/gate.py",
        old="    if isinstance(watts, Fault) or 0 <= watts <= HIGHEST_W:\n",
        new="    if True:\n",
        tests=("tests/guard/test_gate.py::test_power_that_is_none_is_not_integrated_and_does_not_spoil_what_follows",),
        through="part",
    ),
    Mutant(
        name="readings that raise",
        file="steelyard/guard/energy_source.py",
        old="                return self._gate.failed(self.domains(), self._clock_ns(), error)\n",
        new="                raise\n",
        tests=(
            "tests/guard/test_gate.py::test_a_reading_that_cannot_be_true_leaves_its_window_without_a_number_and_the_next_one_has_it",
        ),
        through="part",
    ),
    Mutant(
        name="a case that its meter fails",
        file="steelyard/engine/metering.py",
        old="            return unmetered(raised(error))\n",
        new="            raise\n",
        tests=(
            "tests/engine/test_metering.py::test_whatever_a_meter_does_the_case_stands_and_says_why_it_has_no_energy",
        ),
        through="part",
    ),
    Mutant(
        name="a log that does not keep up",
        file="steelyard/service/asked.py",
        old="    check_live(log)\n",
        new="",
        tests=("tests/cli/test_energy.py::test_a_log_of_yesterday_is_refused_before_anything_starts[resumed]",),
        through="command line",
    ),
    Mutant(
        name="update looked at in the cold launch alone",
        file="steelyard/measure/driver.py",
        old="            fresh.once()\n",
        new="            pass\n",
        tests=(
            "tests/engine/test_update.py::test_an_update_that_does_nothing_is_found_in_the_cold_launch_and_in_every_other[True]",
        ),
        through="worker",
    ),
    Mutant(
        name="a suite's forward not looked at",
        file="steelyard/sources/torch.py",
        old="        check_forward(point, modules)\n",
        new="",
        tests=(
            "tests/lowering/test_declared.py::test_a_mistake_is_the_suites_and_names_workload_program_and_remedy[dict]",
        ),
        through="part",
    ),
    Mutant(
        name="lowering that outlives the process that it works for",
        file="steelyard/lowering/ahead.py",
        old="            command = module_command(__name__, str(file), str(first))\n",
        new='            command = [sys.executable, "-m", __name__, str(file), str(first)]\n',
        tests=("tests/lowering/test_ahead.py::test_one_ends_with_the_process_that_it_works_for",),
        through="part",
    ),
    Mutant(
        name="a turn beside launches that were not stopped",
        file="steelyard/guard/halt.py",
        old="        self._signal(signal.SIGSTOP)\n",
        new="",
        tests=(f"{TURNS}::test_one_runs_at_a_time_in_a_balanced_order_and_all_others_are_stopped",),
        through="worker",
    ),
    Mutant(
        name="a child in a session of its own that runs on in others' turns",
        file="steelyard/guard/halt.py",
        old="        for pid in self._strays:\n",
        new="        for pid in ():\n",
        tests=(f"{TURNS}::test_one_runs_at_a_time_in_a_balanced_order_and_all_others_are_stopped",),
        through="worker",
    ),
    Mutant(
        name="two turns at one time",
        file="steelyard/engine/worker.py",
        old="        if not os.read(self._go_fd, 1):\n",
        new="        if False:\n",
        tests=(f"{TURNS}::test_one_runs_at_a_time_in_a_balanced_order_and_all_others_are_stopped",),
        through="worker",
    ),
    Mutant(
        name="turns always in the same order",
        file="steelyard/engine/turns.py",
        old="            for arm in next(self._sweeps):\n",
        new="            for arm in sorted(waiting):\n",
        tests=(f"{TURNS}::test_one_runs_at_a_time_in_a_balanced_order_and_all_others_are_stopped",),
        through="worker",
    ),
    Mutant(
        name="turns taken for launches",
        file="steelyard/analysis/within.py",
        old=(
            "        places=places,\n"
            "        log_ratios=tuple(log_ratio(before[place], after[place]) - math.log(work) for place in places),\n"
        ),
        new=(
            "        places=places,\n"
            "        log_ratios=tuple(\n"
            "            math.log(after[place].samples[call] / before[place].samples[call])\n"
            "            for place in places\n"
            "            for call in range(0, min(len(after[place].samples), len(before[place].samples)), 9)\n"
            "        ),\n"
        ),
        tests=("tests/analysis/test_turns.py::test_turns_are_no_launches",),
        through="part",
    ),
    Mutant(
        name="a candidate paired with the baseline of another group",
        file="steelyard/analysis/within.py",
        old=(
            "    before, after = ({launch.place: launch for launch in side.launched(metric)} "
            "for side in (baseline, candidate))\n"
            "    places = tuple(place for place in before if place in after)\n"
        ),
        new=(
            "    first = {launch.place.round: launch for launch in reversed(baseline.launched(metric))}\n"
            "    after = {launch.place: launch for launch in candidate.launched(metric)}\n"
            "    before = {place: first[place.round] for place in after if place.round in first}\n"
            "    places = tuple(before)\n"
        ),
        tests=("tests/analysis/test_groups.py::test_a_pair_is_made_within_a_group",),
        through="part",
    ),
    Mutant(
        name="a stopped process left behind by a killed supervisor",
        file="steelyard/guard/halt.py",
        old="        self._watchman.tell(-self._leader, *self._strays)\n",
        new="",
        tests=(f"{TURNS}::test_a_supervisor_that_is_killed_leaves_no_stopped_process_behind",),
        through="worker",
    ),
    Mutant(
        name="a launch that does not stand in others' turns and nothing tells",
        file="steelyard/guard/halt.py",
        old="                return sum(_moving(pid) for pid in {self._leader, *moving})\n",
        new="                return 0\n",
        tests=(f"{TURNS}::test_a_launch_that_does_not_stand_makes_its_round_a_contaminated_one",),
        through="worker",
    ),
    Mutant(
        name="the clock read once for a whole window",
        file="steelyard/engine/turns.py",
        old="                stood, speed = self._advance(launch), self._speed()\n",
        new="                stood = self._advance(launch)\n",
        tests=(f"{TURNS}::test_the_clock_is_read_before_between_and_after_turns_while_all_stand",),
        through="worker",
    ),
    Mutant(
        name="lost time taken for a slow clock",
        file="steelyard/guard/spin.py",
        old="            answer += [steps, total - lost]\n",
        new="            answer += [steps, total]\n",
        tests=("tests/guard/test_spin_meter.py::test_the_answer_leaves_gaps_out",),
        through="part",
    ),
    Mutant(
        name="a clock that moved and costs no grade",
        file="steelyard/guard/grades.py",
        old="    found += _judged(clock)\n",
        new="",
        tests=("tests/guard/test_speed.py::test_the_grade_sees_a_slow_clock_and_one_that_moves",),
        through="part",
    ),
    Mutant(
        name="a stopped spin meter left behind by a killed supervisor",
        file="steelyard/guard/spin_meter.py",
        old='file_command(spin.__file__, "serve", *map(str, self.cpus)),',
        new='file_command(spin.__file__, "serve", *map(str, self.cpus))[5:],',
        tests=("tests/guard/test_spin_meter.py::test_it_is_gone_when_its_parent_is_killed",),
        through="part",
    ),
    Mutant(
        name="a window planned shorter than its fewest calls",
        file="steelyard/engine/schedule.py",
        old="            max(windows[point], minimum[point] * call_s) + call_s / 2 for",
        new="            windows[point] + call_s / 2 for",
        tests=("tests/engine/test_schedule.py::test_a_window_lasts_at_least_as_long_as_its_fewest_calls",),
        through="part",
    ),
    Mutant(
        name="too little time for verdicts, and nothing tells",
        file="steelyard/engine/schedule.py",
        old="    missing_s = max(0.0, aim.fewest * least_s - left_s) if aim.fewest else 0.0\n",
        new="    missing_s = 0.0\n",
        tests=(f"{RUN}::test_time_ends_the_run_between_rounds",),
        through="command line",
    ),
    Mutant(
        name="the rounds that verdicts need cut off with the time",
        file="steelyard/engine/schedule.py",
        old="    over_s = missing_s if missing_s <= overtime_s else 0.0\n",
        new="    over_s = 0.0\n",
        tests=("tests/engine/test_pacing.py::test_the_rounds_that_verdicts_need_may_end_a_fifth_of_the_time_later",),
        through="part",
    ),
    Mutant(
        name="time that the host took from one launch, and its times count",
        file="steelyard/analysis/left_out.py",
        old="        if result.launch in spoiled and (key := points.get(result.case_id)):\n",
        new="        if False:\n",
        tests=(
            "tests/analysis/test_contaminated.py::test_a_launch_in_turns_that_lost_time_to_the_host_is_left_out_alone",
        ),
        through="part",
    ),
    Mutant(
        name="a program beside one model costs all models of its round",
        file="steelyard/analysis/left_out.py",
        old="            for key in ran.get(name, found) if spoiled.round == number else ():\n",
        new="            for key in found if spoiled.round == number else ():\n",
        tests=(
            "tests/analysis/test_contaminated.py::"
            "test_a_round_in_which_a_program_ran_beside_one_model_counts_for_the_others",
        ),
        through="part",
    ),
    Mutant(
        name="a launch that lost time costs all models of its round",
        file="steelyard/analysis/sides.py",
        old="contaminated=aside[label, key].rounds,\n",
        new="contaminated=frozenset().union(*(each.rounds for (arm, _), each in aside.items() if arm == label)),\n",
        tests=(
            "tests/analysis/test_contaminated.py::test_a_launch_that_lost_time_costs_the_points_that_it_ran_and_no_others",
        ),
        through="part",
    ),
    Mutant(
        name="a control arm that was left out asks for no other round",
        file="steelyard/guard/contamination.py",
        old="if arm.control or arm.label == baseline}\n",
        new="if arm.label == baseline}\n",
        tests=(
            "tests/engine/test_contaminated_rounds.py::"
            "test_a_launch_that_lost_time_to_the_host_asks_for_another_round_where_all_need_it",
        ),
        through="part",
    ),
    Mutant(
        name="verdicts that are still open, and nothing tells",
        file="steelyard/analysis/unfinished.py",
        old="    if not open_ or (asked is not None",
        new="    if open_ or (asked is not None",
        tests=("tests/analysis/test_unfinished.py::test_the_report_says_how_to_go_on",),
        through="part",
    ),
    Mutant(
        name="a tool's window in one piece before or after ours",
        file="tests/validation/interleaved.py",
        old="            turn_s=turn_s(terms.window_s) if self._in_turns and number > 0 else None,\n",
        new="",
        tests=("tests/validation/test_agreement.py::test_a_campaign_of_real_processes_goes_on_where_it_stopped",),
        through="worker",
    ),
    Mutant(
        name="counts of one protocol told as those of the other",
        file="steelyard/hardware/kept_aa_counts.py",
        old="{key}-{condition}{'-in-turns' if turns else ''}.json",
        new="{key}-{condition}.json",
        tests=("tests/selftest/test_aa_counts.py::test_the_summary_says_rows_versions_and_survives_storing",),
        through="part",
    ),
    Mutant(
        name="code that a stored run names",
        file="steelyard/store/reader.py",
        old="        if not named_drivers.permitted(driver):\n",
        new="        if False:\n",
        tests=("tests/store/test_named_code.py::test_reading_it_imports_nothing_and_says_what_to_do[verify]",),
        through="command line",
    ),
    Mutant(
        name="a round in two segments",
        file="steelyard/store/merge.py",
        old="    for where, problem in segments.repeated(rounds):\n",
        new="    for where, problem in ():\n",
        tests=(
            "tests/store/test_store_check.py::test_a_round_that_stands_in_two_segments_is_damage_and_is_not_merged_in",
        ),
        through="part",
    ),
    Mutant(
        name="a compile cache of several bundles",
        file="steelyard/engine/asking.py",
        old='"compile" / f"arm-{self._plan.arms.index(arm)}-{bundle[0].key}"\n',
        new='"compile" / f"arm-{self._plan.arms.index(arm)}"\n',
        tests=("tests/engine/test_bundles.py::test_every_bundle_of_an_arm_has_a_compile_cache_of_its_own",),
        through="part",
    ),
    Mutant(
        name="a change of one night",
        file="steelyard/history/changes.py",
        old="        return min(len(self.before.nights), len(self.after.nights)) >= FEWEST and (\n",
        new="        return (\n",
        tests=("tests/history/test_changes.py::test_a_change_counts_from_the_third_night_on",),
        through="part",
    ),
)

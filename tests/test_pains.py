"""What users of Lightning and PyTorch suffer from most, and the tests that make each impossible here.

P1 to P20 as ranked from public issue threads; a test fails when a name in the table is no test.
"""

from __future__ import annotations

import importlib

import pytest

PAINS = {
    "P1 after a resume the LR is off by one, reset, or on another curve": [
        "test_resume.test_resume_continues_bit_for_bit",
        "test_resume.test_a_state_that_comes_after_on_fit_start_is_taken",
        "test_faults.test_a_run_goes_on_where_it_was_ended",
    ],
    "P2 the wrong unit: steps, epochs, batches": [
        "test_fit.test_lrs_are_those_worked_by_hand",
        "test_refusals.test_a_wrong_value_is_refused_in_the_constructor",
        "test_refusals.test_a_unit_that_is_too_fine_for_the_interval",
        "test_composition.test_composites_refuse_parts_that_do_not_fit",
    ],
    "P3 a plateau's metric is missing, stale, or judged at the wrong cadence": [
        "test_plateau.test_one_judgement_per_finished_validation",
        "test_plateau.test_a_stale_value_is_not_judged_again",
        "test_plateau.test_a_training_metric_is_judged_once_an_epoch",
        "test_odd_runs.test_validate_and_test_never_count_for_a_plateau",
        "test_refusals.test_a_metric_that_nothing_logs",
    ],
    "P4 the run's length is unknown or guessed wrong": [
        "test_fit.test_warmup_and_cosine_fill_the_run_and_end_on_the_floor",
        "test_refusals.test_a_run_without_an_end",
        "test_odd_runs.test_max_steps_bounds_the_run_in_epochs_rounded_up",
        "test_schedules.test_values_stay_in_bounds_and_hold_past_the_end",
    ],
    "P5 an update that the GradScaler skipped advances the schedule": [
        "test_precision.test_skipped_updates_do_not_count",
        "test_precision.test_without_a_scaler_nothing_is_counted",
    ],
    "P6 warmup and schedule overwrite each other": [
        "test_composition.test_multi_step_in_epochs_behind_a_warmup_in_steps",
        "test_schedules.test_warmup_ends_on_the_first_value_and_starts_where_it_is_told",
        "test_plateau.test_warmup_then_plateau_judges_only_after_the_warmup",
        "test_refusals.test_two_schedules_for_one_lr",
        "test_refusals.test_a_schedule_beside_a_torch_scheduler",
    ],
    "P7 a changed argument is ignored after a resume": [
        "test_resume.test_a_changed_argument_applies_and_is_told_once",
        "test_resume.test_unchanged_arguments_are_not_told",
        "test_resume.test_a_longer_run_under_an_open_t_max_is_told",
        "test_resume.test_a_new_base_lr_in_the_code_wins_over_the_restored_optimizer",
    ],
    "P8 parameter groups added during training crash or are never scheduled": [
        "test_groups.test_a_late_group_keeps_its_lr_once_and_then_follows_in_proportion",
        "test_groups.test_every_schedule_takes_a_late_group_also_after_a_resume",
        "test_groups.test_backbone_finetuning",
    ],
    "P9 accumulation makes the schedule run too fast or too slow": [
        "test_odd_runs.test_every_accumulation_window_has_one_lr",
        "test_odd_runs.test_accumulation_longer_than_the_epoch",
        "test_odd_runs.test_accumulation_that_changes_during_the_run",
    ],
    "P10 in manual optimization nothing steps": [
        "test_manual.test_each_optimizer_has_its_own_clock",
        "test_manual.test_resume_from_every_batch",
        "test_refusals.test_an_unknown_optimizer",
    ],
    "P11 the logged LR is wrong, missing, duplicated, or breaks the x-axis": [
        "test_logging.test_every_point_is_the_lr_that_its_update_used",
        "test_logging.test_points_go_on_rising_after_a_resume",
        "test_logging.test_a_short_epoch_has_a_point_at_the_default_cadence",
        "test_logging.test_names_are_learning_rate_monitors",
    ],
    "P12 LR and batch-size finders corrupt or ignore the schedule": [
        "test_other_writers.test_lr_finder_before_or_after_the_schedule",
        "test_other_writers.test_lr_finder_that_searches_again_at_an_epoch",
        "test_other_writers.test_tuner_lr_find_then_fit",
        "test_other_writers.test_batch_size_finder",
    ],
    "P13 tensor LRs: recompiles, aliasing, compounding": [
        "test_groups.test_tensor_lrs_are_written_in_place_and_stay_the_same_objects",
        "test_groups.test_a_shared_tensor_is_written_once_an_update",
        "test_groups.test_tensor_lrs_are_not_read_back_in_the_hot_path",
        "test_groups.test_a_compiled_step_recompiles_at_most_once_over_1000_lrs",
    ],
    "P14 recursive formulas climb after the end and gather rounding": [
        "test_schedules.test_a_value_depends_on_the_position_alone",
        "test_schedules.test_restart_borders_are_exact_at_any_length",
        "test_schedules.test_no_drift_after_a_million_steps",
    ],
    "P15 a state cannot be saved or loaded, or collides": [
        "test_resume.test_the_state_is_primitives_that_weights_only_loads",
        "test_resume.test_two_instances_find_their_own_state_whatever_their_order",
        "test_odd_runs.test_schedules_pickle_copy_and_print_themselves_fitted_or_not",
    ],
    "P16 tiny runs crash": [
        "test_fit.test_tiny_runs_have_finite_lrs",
        "test_fit.test_fast_dev_run",
        "test_fit.test_limit_of_one_training_batch",
    ],
    "P17 plateau arithmetic": [
        "test_plateau.test_positive_metrics_reduce_as_torch_with_patience_one_less",
        "test_plateau.test_a_relative_threshold_is_right_for_negative_metrics",
        "test_plateau.test_non_finite_metrics_are_no_improvement_and_told_once",
    ],
    "P18 several ranks step twice or disagree": [
        "test_ranks.test_both_ranks_have_the_same_lrs_and_resume_on_one",
        "test_ranks.test_a_metric_that_is_missing_on_one_rank_fails_all_within_seconds",
    ],
    "P19 SWA and other writers fight the schedule": [
        "test_other_writers.test_swa_takes_over_and_is_told_once",
        "test_other_writers.test_an_edit_of_the_lr_lasts_until_the_schedules_next_change",
        "test_other_writers.test_an_edit_is_undone_at_the_next_epoch_at_the_latest_and_told_once",
    ],
    "P20 epochs end oddly": [
        "test_odd_runs.test_epochs_of_different_size",
        "test_odd_runs.test_an_epoch_cut_short_counts_once",
        "test_odd_runs.test_a_training_step_that_returns_none_is_a_step_of_the_trainer",
        "test_odd_runs.test_max_steps_inside_an_epoch_and_on_from_there",
        "test_odd_runs.test_fit_one_epoch_at_a_time_continues",
    ],
}


def test_all_twenty_are_there() -> None:
    assert [pain.split()[0] for pain in PAINS] == [f"P{n}" for n in range(1, 21)]


@pytest.mark.parametrize("pain", PAINS)
def test_each_is_held_by_tests_that_exist(pain: str) -> None:
    for name in PAINS[pain]:
        module, test = name.split(".")
        assert callable(getattr(importlib.import_module(module), test))

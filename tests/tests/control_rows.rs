//! The rows of the control contract, and the black-box tests that cover each. Of parts B and C only
//! what A keeps.
//!
//! The test below keeps the list true: every test that it names exists, and every test of the
//! control API is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Row, and its tests as `file::name`.
type Row = (&'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    (
        "A Start: without `control` none of it exists",
        &["control_sockets::without_the_parameter_there_is_none_of_it"],
    ),
    (
        "A Start: directory and modes; sockets go at shutdown",
        &["control_sockets::sockets_have_their_modes_and_go_at_shutdown"],
    ),
    ("A Start: the status socket", &["control_sockets::the_status_socket_takes_no_changes"]),
    (
        "A Start: a socket for each instance from creation to deletion",
        &[
            "control_sockets::an_instance_has_its_socket_from_creation_to_deletion",
            "control_sockets::in_memory_it_has_it_too_and_one_that_could_not_be_made_is_tried_again",
            "control_sockets::only_tagged_instances_have_a_socket_if_that_is_chosen",
            "control_sockets::an_instance_whose_path_is_too_long_runs_without_a_socket",
            "control_sockets::too_many_sockets_are_told_at_the_start",
        ],
    ),
    ("A Start: control_group", &["control_sockets::a_group_gets_the_sockets_that_take_changes"]),
    (
        "A Start: what ends the master before anything is started",
        &[
            "control_sockets::what_is_in_the_way_ends_the_master_before_it_starts_anything",
            "control_sockets::a_path_of_an_instance_that_is_too_long_ends_the_master",
        ],
    ),
    ("A Start: a dead socket is replaced", &["control_sockets::a_dead_socket_is_replaced"]),
    (
        "A Start: who may write, by credentials",
        &[
            "control_sockets::a_peer_without_the_right_may_read_and_not_write",
            "control_sockets::a_member_of_the_group_may_write",
        ],
    ),
    (
        "A Names: an alias, or the id; a new alias renames",
        &[
            "control_sockets::an_instance_has_its_socket_from_creation_to_deletion",
            "control_events::a_new_alias_is_told_once",
            "control_limits::a_name_is_taken_over_by_the_next_instance",
        ],
    ),
    ("A Names: the id works as well", &["control_limits::ids_work_wherever_names_do"]),
    (
        "A Resource: spec, status, observed",
        &[
            "control_main::a_healthy_instance_is_shown_in_full",
            "control_managed::health_and_status_are_those_of_the_instance",
        ],
    ),
    ("A Resource: URLs are masked", &["control_main::urls_are_masked_everywhere"]),
    (
        "A Resource: checkpoints and lines alone make no event",
        &["control_phases::checkpoints_and_lines_alone_make_no_event"],
    ),
    (
        "A table: every state",
        &[
            "control_phases::every_state_has_its_row",
            "control_phases::the_first_status_is_starting_and_a_failed_start_is_blocked",
            "control_main::phases_follow_the_process",
            "control_main::a_start_that_fails_is_an_error_with_a_reason",
            "control_managed::a_stopped_instance_has_a_health_that_is_not_known",
            "slow::silence_is_a_reason_of_the_control_api",
        ],
    ),
    (
        "A table: lastTransitionTime and since",
        &["control_phases::a_time_moves_only_with_what_it_is_of"],
    ),
    (
        "A table: overall phase, resourceCount, metadata.name",
        &[
            "control_phases::the_worst_phase_is_that_of_the_whole",
            "control_rules::rules_survive_a_kill_and_their_spec_is_as_it_was_applied",
            "control_sockets::the_status_socket_takes_no_changes",
        ],
    ),
    ("A table: /runtime", &["control_main::the_runtime_is_that_of_the_master"]),
    (
        "A Commands: events before the answer; renew",
        &["control_managed::commands_are_in_the_log_before_they_are_answered"],
    ),
    ("A Commands: unknown ones are 400", &["control_managed::an_unknown_command_is_rejected"]),
    (
        "A Commands: reload, stop, start",
        &[
            "control_managed::stop_start_and_reload_act_on_the_process",
            "control_managed::a_stop_is_durable_when_it_is_answered",
            "control_phases::a_restarted_process_is_ready_again_and_a_stop_is_not_undone",
        ],
    ),
    (
        "A Commands: probe; ledger and the router's own are 501",
        &[
            "control_main::probes_check_phases",
            "control_phases::every_state_has_its_row",
            "control_main::queries_are_checked_whatever_they_are_for",
            "control_sockets::main_sockets_know_no_405",
        ],
    ),
    (
        "A Topics: one event for each fact",
        &[
            "control_phases::every_fact_is_one_event",
            "control_managed::events_are_those_of_the_instance_in_their_order",
        ],
    ),
    ("A Topics: the order at a crash", &["control_managed::a_crash_is_told_in_this_order"]),
    (
        "A Topics: events of rules",
        &[
            "control_rules::a_rule_is_in_force_when_it_is_answered",
            "control_operators::a_derived_event_has_two_conditions",
        ],
    ),
    (
        "A Event store: SQLite, made anew",
        &["control_events::sqlite_has_the_same_rows_and_is_made_anew"],
    ),
    (
        "A Event store: the journal is the truth",
        &[
            "control_events::an_event_is_durable_before_its_cause_is_answered",
            "control_events::ids_rise_by_one_and_survive_a_kill",
            "s11_disk::a_full_disk_shows_in_the_control_api",
        ],
    ),
    (
        "A Event store: jsonl",
        &[
            "control_events::each_instance_has_a_file_of_its_events",
            "control_events::a_file_of_events_is_rotated_and_made_only_if_it_is_wanted",
        ],
    ),
    (
        "A Event store: retention and gaps",
        &["control_events::the_oldest_go_and_a_reader_sees_the_gap"],
    ),
    (
        "A Event store: the size of an answer, more, cursors",
        &[
            "control_limits::an_answer_holds_a_thousand_events_and_a_reader_goes_on",
            "control_limits::an_answer_holds_a_mebibyte",
            "control_managed::cursors_move_past_what_a_topic_leaves_out",
        ],
    ),
    (
        "A Event store: a wait ends when its client goes",
        &["control_managed::a_client_that_goes_ends_its_wait"],
    ),
    (
        "A Event store: /get?subject=events",
        &[
            "control_events::the_newest_come_first_and_filters_are_exact",
            "control_limits::an_answer_of_the_main_sockets_holds_four_mebibytes",
        ],
    ),
    (
        "A Rules: apply, delete, validate, plan",
        &[
            "control_rules::yaml_is_taken_as_routerctl_sends_it",
            "control_rules::plans_and_trials_change_nothing",
            "control_rules::one_bad_resource_refuses_all",
            "control_main::a_body_of_one_byte_more_is_400",
            "control_main::a_bomb_of_aliases_is_refused_at_once",
        ],
    ),
    (
        "A Rules: durable, in force at once, state kept",
        &[
            "control_rules::a_rule_is_in_force_when_it_is_answered",
            "control_rules::rules_survive_a_kill_and_their_spec_is_as_it_was_applied",
            "control_operators::a_rule_that_did_not_change_keeps_its_state",
        ],
    ),
    (
        "A Rules: a firing is committed with its cause",
        &["control_rules::a_firing_is_neither_lost_nor_doubled_by_a_kill"],
    ),
    (
        "A Rules: topic before correlation; rate; retractWhen; fields of another form",
        &[
            "control_operators::each_operator_counts_in_its_own_way",
            "control_operators::a_derived_event_has_two_conditions",
            "control_rules::a_derived_event_reads_the_status_of_rules",
        ],
    ),
    (
        "A Controllers",
        &[
            "control_main::controllers_are_there_and_true",
            "control_main::a_start_that_fails_is_an_error_with_a_reason",
        ],
    ),
    (
        "D 1: 404 and 405",
        &[
            "control_sockets::main_sockets_know_no_405",
            "control_managed::an_unknown_command_is_rejected",
        ],
    ),
    ("D 2: 501 before the body", &["control_sockets::the_status_socket_takes_no_changes"]),
    ("D 3: keep-alive", &["control_sockets::main_sockets_close_and_managed_sockets_stay_open"]),
    (
        "D 4: empty means absent",
        &[
            "control_limits::no_field_is_null_or_empty_where_it_may_be_left_out",
            "control_limits::an_answer_holds_a_thousand_events_and_a_reader_goes_on",
        ],
    ),
    (
        "D 5: newest first, limits",
        &[
            "control_limits::an_answer_holds_a_thousand_events_and_a_reader_goes_on",
            "control_events::the_newest_come_first_and_filters_are_exact",
        ],
    ),
    (
        "D 6: letter case, metadata.name, messages",
        &[
            "control_main::names_of_results",
            "control_main::queries_are_checked_whatever_they_are_for",
        ],
    ),
    (
        "D 7: sizes and numbers",
        &[
            "control_main::a_body_of_one_byte_more_is_400",
            "control_main::queries_are_checked_whatever_they_are_for",
        ],
    ),
    (
        "D 8: both events of a command",
        &[
            "control_managed::commands_are_in_the_log_before_they_are_answered",
            "control_managed::an_unknown_command_is_rejected",
        ],
    ),
    (
        "D 9: waits and tails",
        &[
            "control_managed::a_wait_ends_with_an_event_of_its_topic",
            "control_managed::a_wait_is_over_when_its_time_is",
            "control_limits::only_tail_true_counts_and_overrides_a_wait",
            "slow::a_wait_of_the_control_api_is_over_after_30_seconds",
        ],
    ),
    (
        "D 10: patterns and operators",
        &[
            "control_operators::each_operator_counts_in_its_own_way",
            "control_rules::timers_fire_for_the_last_event",
        ],
    ),
    (
        "D 11: emitted attributes; what rules see",
        &[
            "control_operators::a_template_knows_its_event",
            "control_rules::counts_and_windows_give_their_number",
            "control_rules::rules_see_derived_events_and_never_their_own",
        ],
    ),
    (
        "D 12: changedFields; the first evaluation; hysteresis",
        &[
            "control_events::the_newest_come_first_and_filters_are_exact",
            "control_operators::hysteresis_holds_both_ways",
            "control_operators::a_derived_event_has_two_conditions",
        ],
    ),
    (
        "B 1.1: HTTP of the main sockets",
        &[
            "control_sockets::main_sockets_close_and_managed_sockets_stay_open",
            "control_wire::a_head_has_five_seconds_on_a_main_socket",
        ],
    ),
    (
        "B 1.2: routes, bodies, errors",
        &[
            "control_sockets::main_sockets_know_no_405",
            "control_main::a_body_of_one_byte_more_is_400",
            "control_main::queries_are_checked_whatever_they_are_for",
            "control_wire::bodies_are_read_as_go_reads_them",
        ],
    ),
    (
        "B 1.3: endpoints",
        &[
            "control_sockets::the_status_socket_takes_no_changes",
            "control_wire::what_only_a_router_has_is_501",
        ],
    ),
    (
        "B 1.4: envelopes",
        &[
            "control_limits::no_field_is_null_or_empty_where_it_may_be_left_out",
            "control_main::the_runtime_is_that_of_the_master",
            "control_main::a_healthy_instance_is_shown_in_full",
            "control_rules::plans_and_trials_change_nothing",
            "control_wire::documents_are_written_as_go_writes_them",
        ],
    ),
    ("B 1.5: ranks", &["control_phases::the_worst_phase_is_that_of_the_whole"]),
    (
        "B 2: the socket of an instance",
        &[
            "control_managed::health_and_status_are_those_of_the_instance",
            "control_managed::an_unknown_command_is_rejected",
        ],
    ),
    ("B 2.2: DaemonStatus", &["control_wire::a_daemon_status_has_these_fields"]),
    (
        "B 2.3: events, and the consumer of routerd",
        &[
            "control_managed::cursors_move_past_what_a_topic_leaves_out",
            "control_managed::a_wait_is_over_when_its_time_is",
            "control_wire::the_consumer_of_routerd_follows_an_instance",
        ],
    ),
    (
        "B 2.4: commands",
        &[
            "control_managed::commands_are_in_the_log_before_they_are_answered",
            "control_managed::an_unknown_command_is_rejected",
        ],
    ),
    (
        "B 3.1, 3.2: the forms of an event",
        &[
            "control_wire::an_event_has_one_form_on_each_kind_of_socket",
            "control_events::sqlite_has_the_same_rows_and_is_made_anew",
        ],
    ),
    (
        "B 3.3: jsonl, rotation",
        &["control_events::a_file_of_events_is_rotated_and_made_only_if_it_is_wanted"],
    ),
    (
        "B 4: EventRule",
        &[
            "control_operators::each_operator_counts_in_its_own_way",
            "control_operators::a_template_knows_its_event",
            "control_rules::one_bad_resource_refuses_all",
        ],
    ),
    (
        "B 5: DerivedEvent",
        &[
            "control_operators::a_derived_event_has_two_conditions",
            "control_operators::hysteresis_holds_both_ways",
        ],
    ),
    ("B 6: ControllerStatus", &["control_main::controllers_are_there_and_true"]),
    ("C 1: subjects", &["control_main::names_of_results"]),
    ("C 3: rules rank 0", &["control_phases::the_worst_phase_is_that_of_the_whole"]),
    ("C 4: a rule is in force", &["control_rules::a_rule_is_in_force_when_it_is_answered"]),
    (
        "C 5: commands without the slash; methods of status; tail with a topic",
        &[
            "control_managed::an_unknown_command_is_rejected",
            "control_managed::health_and_status_are_those_of_the_instance",
            "control_managed::cursors_move_past_what_a_topic_leaves_out",
        ],
    ),
    (
        "C 6: log-level, and bodies without a candidate",
        &[
            "control_main::the_log_level_is_that_of_the_master",
            "control_wire::bodies_are_read_as_go_reads_them",
        ],
    ),
    (
        "Issue: rules and events in traces",
        &[
            "control_trace::events_and_firings_replay_equal_across_a_kill",
            "control_trace::a_rule_that_compares_messages_is_not_compared",
        ],
    ),
    (
        "Issue: hostile and careless clients",
        &[
            "control_abuse::garbage_harms_no_other_client",
            "control_abuse::clients_of_the_status_socket_do_not_take_the_place_of_others",
            "control_abuse::a_thousand_waits_end_with_their_event_or_with_their_clients",
            "control_abuse::thousands_of_keys_and_a_kill_leave_the_master_well",
            "control_main::a_body_of_one_byte_more_is_400",
            "control_main::a_bomb_of_aliases_is_refused_at_once",
            "control_managed::a_client_that_goes_ends_its_wait",
            "s11_disk::a_full_disk_shows_in_the_control_api",
        ],
    ),
    (
        "Issue: the command line, routerctl, the page of documentation",
        &[
            "control_cli::resources_are_shown_as_a_table_and_in_full",
            "control_cli::what_is_wrong_is_one_line_and_an_exit_status",
            "control_cli::routerctl_reads_our_sockets",
            "control_docs::the_examples_run_as_printed",
            "control_patrol::apps_and_services_are_resources",
            "control_patrol::an_app_has_its_socket_events_and_commands",
            "control_page::an_instance_has_its_phase_conditions_and_events",
            "control_page::without_the_control_api_there_is_none_of_it",
        ],
    ),
];

/// The tests of a file: what follows `#[test]`, and the members of `together!`.
fn tests_of(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).expect("it is there");
    let name = file.file_stem().and_then(|stem| stem.to_str()).expect("UTF-8");
    let functions = text.lines().filter_map(|line| line.strip_prefix("fn "));
    let functions = functions.filter_map(|line| line.split_once("()").map(|(name, _)| name));
    let is_test = |function: &&str| {
        text.contains(&format!("#[test]\nfn {function}()"))
            || text.contains(&format!("\n    {function},\n"))
    };
    functions.filter(is_test).map(|function| format!("{name}::{function}")).collect()
}

#[test]
fn every_row_has_tests_and_every_test_a_row() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (mut all, mut ours) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_none_or(|extension| extension != "rs") || name == "control_rows" {
            continue;
        }
        let tests = tests_of(&path);
        if name.starts_with("control_") {
            ours.extend(tests.iter().cloned());
        }
        all.extend(tests);
    }
    let named: BTreeSet<String> =
        ROWS.iter().flat_map(|(_, tests)| *tests).map(|test| (*test).to_owned()).collect();
    for (row, tests) in ROWS {
        assert!(!tests.is_empty(), "{row} has no test");
    }
    let unknown: Vec<&String> = named.difference(&all).collect();
    assert!(unknown.is_empty(), "no such tests: {unknown:?}");
    let missing: Vec<&String> = ours.difference(&named).collect();
    assert!(missing.is_empty(), "tests without a row: {missing:?}");
}

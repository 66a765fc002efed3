//! The contract of the store: one set of tests, run for every backend.
//!
//! Each test gets a [`Place`](place::Place) of its own, where a store can be opened, closed and opened again: a
//! temporary folder for SQLite, a new database for PostgreSQL. The PostgreSQL server is the one that
//! `CAUSEWAY_TEST_POSTGRES` names (URL of a role that may create databases), else a private one that this program
//! starts from the installed PostgreSQL and stops at its end. There is no way to skip a backend.

mod alarm;
mod amqp_queue;
mod app;
mod audit;
mod batch;
mod certificate;
mod cluster;
mod device;
mod device_bulk;
mod device_list;
mod file;
mod fixture;
mod foreign_text;
mod function;
mod gateway;
mod history;
mod iam;
mod instance;
mod linkage;
mod log;
mod message;
mod notify;
mod ota;
mod outbox;
mod place;
mod policy;
mod postgres_backup;
mod postgres_nodes;
mod product;
mod routing;
mod schema;
mod search;
mod session;
mod shadow;
mod status;
mod uplink;

/// Makes a test of each function for each backend. A function that is left out is dead code and does not compile
/// without a warning.
macro_rules! contract {
    ($($module:ident { $($test:ident,)* })*) => {
        mod sqlite {$(
            mod $module {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::place::run(crate::place::Kind::Sqlite, crate::$module::$test).await;
                }
            )*}
        )*}

        mod postgres {$(
            mod $module {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::place::run(crate::place::Kind::Postgres, crate::$module::$test).await;
                }
            )*}
        )*}
    };
}

contract! {
    notify {
        topics_are_kept_listed_and_limited,
        subscriptions_are_kept_and_confirmed,
        what_waits_goes_with_its_subscription,
    }
    alarm {
        an_alarm_is_kept_whole,
        one_alarm_of_a_key_is_active,
        notifications_are_written_with_their_alarm_or_not_at_all,
        alarms_are_filtered_and_paged,
        old_ones_go,
    }
    certificate {
        authorities_are_kept_whole,
        authorities_are_unique_in_their_space_and_limited,
        certificates_of_devices,
        what_devices_use_stays,
        templates,
        server_certificates,
    }
    policy {
        a_policy_is_kept_whole,
        a_space_is_born_with_an_open_policy,
        lists_are_filtered_and_paged,
        bindings,
        bindings_go_with_what_they_bind,
    }
    audit {
        a_record_is_kept_whole,
        records_are_filtered,
        ranges_and_pages,
        old_records_go_in_slices,
    }
    function {
        functions_are_kept_and_counted,
        lists_are_filtered_and_functions_go_with_their_space,
    }
    linkage {
        rules_are_kept_and_counted,
        states_go_with_rule_and_device,
        a_timer_is_claimed_once,
        commands_wait_in_order_and_not_for_ever,
    }
    amqp_queue {
        queues_are_kept_and_counted,
        lists_are_filtered_and_paged,
        an_access_code_replaces_the_one_before,
    }
    app {
        spaces_are_kept,
        limit_and_names_are_checked,
        the_limit_holds_against_concurrent_callers,
        renaming,
        deleting_takes_everything_along,
    }
    product {
        a_product_is_kept_whole,
        ids_are_unique_in_the_space,
        updating_replaces_what_it_may,
        deleting_asks_for_no_devices,
        lists_are_filtered_and_paged,
        topics_have_a_limit_and_are_unique,
        the_topic_limit_holds_against_concurrent_callers,
    }
    device {
        a_device_is_kept_whole,
        ids_are_unique,
        a_product_must_be_there,
        updating_sets_what_it_may,
        versions_that_are_not_told_stay,
        secrets_and_freezing,
        deleting_takes_everything_along,
        a_long_history_is_gone_at_once,
        a_gateway_with_children_stays,
        numbers_are_never_used_again,
        overdue_devices,
        tokens_overlap_and_end,
    }
    device_bulk {
        each_device_has_its_outcome,
        a_device_may_be_behind_one_before_it,
        more_than_a_transaction_takes,
        reports_are_not_held_up,
        two_calls_share_no_device,
        a_text_that_cannot_be_stored_harms_no_other,
    }
    device_list {
        filters,
        cascades_over_gateways,
        pages,
    }
    shadow {
        initial_desired_values,
        reports_are_laid_over_each_other,
        values_stay_verbatim,
        desired_values_change_by_patches,
        patches_apply_all_or_none,
        versions_survive_an_empty_shadow_and_end_with_its_deletion,
        services_come_in_order,
        concurrent_patches_are_all_counted,
        reports_and_patches_do_not_disturb_each_other,
        a_device_must_be_there,
    }
    gateway {
        a_list_rises_with_every_change,
        many_devices_at_once_have_a_version_each,
        old_deletions_are_forgotten,
        a_list_can_be_numbered_anew,
        a_gateway_takes_its_list_along,
        what_waits_is_found,
        scans,
    }
    log {
        lines_are_bounded,
        configurations,
    }
    history {
        ranges_are_half_open,
        both_directions_and_equal_times,
        pages_cover_everything_once,
        only_one_service,
        trimming,
        sequence_follows_arrival,
    }
    status {
        changes_set_their_times,
        changes_of_one_batch_apply_in_order,
        devices_by_status,
    }
    uplink {
        a_report_is_visible_after_its_ticket,
        a_report_of_several_services_is_one_unit,
        units_of_one_call_commit_in_order,
        calls_commit_in_order,
        units_of_deleted_devices_are_void,
        nothing_but_deliveries,
        an_empty_call_is_answered,
        ten_thousand_units_of_five_hundred_devices,
        many_tasks_submit_at_once,
        many_tasks_report_for_one_device,
        a_full_queue_pushes_back,
        a_call_larger_than_the_queue_goes_through,
        closing_commits_what_is_gathered,
    }
    message {
        a_message_is_kept_whole,
        ids_are_unique_at_the_device,
        the_oldest_go_final_ones_first,
        pending_and_expired,
        outcomes_are_final,
        deleting,
        a_device_must_be_there,
    }
    outbox {
        targets_are_set_and_removed,
        deliveries_come_in_order,
        messages_write_deliveries_too,
        deliveries_of_a_gone_target_are_dropped,
        finishing_and_expiring,
        counters_balance,
        an_instance_has_one_target_of_a_kind,
        the_signal_changes_after_the_commit,
        a_reader_skips_nothing,
    }
    session {
        a_session_is_kept_whole,
        sessions_expire,
        retained_messages,
    }
    iam {
        users,
        users_change,
        the_limits_hold_against_concurrent_callers,
        groups_and_members,
        policies_and_grants,
        what_reaches_a_user,
        an_administrator_is_always_left,
        the_first_user_is_an_administrator,
        access_keys,
    }
    instance {
        the_first_start,
        everything_survives_reopening,
    }
    search {
        tags_are_bound_and_unbound,
        devices_are_found_by_tags,
        groups_are_kept_and_limited,
        devices_come_into_groups_and_go,
        limits_hold_against_concurrent_callers,
        a_device_moves_to_another_gateway,
        searches_agree_with_the_model,
    }
    routing {
        a_rule_is_kept_whole,
        rules_are_listed_for_those_who_may_see_them,
        actions_bring_their_targets,
        an_action_changes_between_targets,
        a_queue_that_is_fed_stays,
        rules_take_everything_along,
        active_routes_are_read,
        backlog_policies,
        flow_control_policies,
        limits_hold_against_concurrent_callers,
    }
    schema {
        data_of_version_1_loads,
        a_newer_schema_is_refused,
    }
    file {
        a_file_is_kept_whole,
        owners_must_be_there,
        lists_are_filtered_and_paged,
        a_device_finds_what_is_for_it,
        limits_count_for_each_owner,
        what_is_due_is_found,
        whatever_goes_leaves_its_key,
    }
    batch {
        a_task_is_kept_whole,
        tasks_are_listed,
        targets_are_claimed_and_finished,
        what_was_under_way_is_begun_again,
        stopping_and_retrying,
        tasks_move_only_from_where_they_are,
        files_are_kept,
        exports_are_kept,
    }
    ota {
        modules_are_kept_and_limited,
        packages_hold_their_module_and_object,
    }
    foreign_text {
        nul_is_kept_or_refused,
        nul_in_a_unit_harms_no_other,
        any_other_text_is_kept,
    }
}

//! Every promise of every port, over each of its adapters.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::{
    backends::{BackendConfig, Backends, connect},
    config::Environment,
    testing::{contracts, servers},
};

async fn backends(env: Environment) -> Backends {
    let config = BackendConfig::from_environment(&env, "contracts").unwrap();
    connect(&config).await.unwrap()
}

macro_rules! contract {
    ($port:ident: $($promise:ident),+ $(,)?) => {
        mod $port {
            mod memory {
                $(
                    #[tokio::test]
                    async fn $promise() {
                        let backends = crate::backends(Default::default()).await;
                        crate::contracts::$port::$promise(backends).await;
                    }
                )+
            }
            mod servers {
                $(
                    #[tokio::test]
                    async fn $promise() {
                        let Some(shared) = crate::servers::shared() else { return };
                        let env = shared.environment().into_iter().collect();
                        let backends = crate::backends(env).await;
                        crate::contracts::$port::$promise(backends).await;
                    }
                )+
            }
        }
    };
}

contract!(broker:
    a_published_message_is_delivered_once_and_gone_when_acked,
    a_delivery_dropped_unsettled_comes_again_marked_so,
    stopping_gives_back_what_was_not_received_and_lets_the_rest_settle,
    competing_consumers_share_the_messages,
    a_retry_comes_back_after_its_delay_with_the_next_attempt,
    what_is_held_keeps_nothing_from_a_consumer_that_counts_anew,
    a_retry_that_is_given_up_gives_the_message_back,
    a_dead_letter_leaves_the_work_queue_and_is_kept,
    to_look_at_dead_letters_takes_none_away,
    a_dead_letter_that_is_removed_is_gone_and_the_others_stay,
    each_message_goes_to_the_queue_of_its_stage,
    an_interactive_message_waits_for_no_backlog_of_batch_ones,
    a_batch_message_is_tried_again_as_one,
);
contract!(replies:
    events_are_numbered_from_1_in_order,
    nothing_follows_a_terminal_event,
    a_job_is_withdrawn_unless_a_stage_has_begun_on_it,
    a_job_that_another_process_submits_too_is_withdrawn_by_none,
    a_job_that_is_over_is_submitted_by_nobody,
    a_log_that_is_gone_is_begun_with_its_job_or_not_at_all,
    opening_twice_leaves_one_beginning,
    a_completed_stage_is_known_with_its_turn,
    of_two_runs_of_a_stage_the_newer_one_writes,
    what_is_repeated_is_told_once,
    speech_of_an_answer_that_was_begun_anew_is_not_told,
    what_is_withheld_of_an_outcome_is_told_once_it_is_released,
    who_waits_for_the_end_of_a_job_hears_of_each_that_there_is,
    a_log_that_was_lost_is_begun_again_by_its_next_stage,
    a_follower_hears_the_past_and_the_future_once_and_in_order,
    many_followers_of_one_log_all_hear_its_end,
    an_unknown_log_is_empty,
);
contract!(stores:
    an_append_is_stored_on_the_version_that_it_was_decided_on,
    of_many_appends_on_one_version_one_is_stored,
    a_state_is_kept_without_an_event,
    what_is_erased_goes_and_the_numbers_go_on,
    who_watches_hears_of_what_comes,
);
contract!(resumptions:
    a_job_that_failed_is_resumed_and_ends_once_more,
    only_a_job_that_failed_and_not_by_its_input_is_resumed,
    to_resume_again_changes_nothing_and_tells_what_stands,
    a_resumption_of_which_nothing_came_in_time_is_made_anew,
    a_resumption_of_which_nothing_came_is_made_anew_after_its_end,
    no_stage_of_a_job_that_is_resumed_has_begun,
    of_a_job_that_nobody_can_resume_no_message_is_put_aside,
    what_is_left_of_the_life_before_is_void,
    the_message_by_which_a_job_failed_is_known_until_it_is_resumed,
    a_run_that_was_superseded_fails_nothing,
    who_follows_a_job_that_is_resumed_hears_it_to_its_last_end,
);
contract!(erasures:
    of_a_job_that_is_erased_its_end_alone_is_left,
    to_erase_again_changes_nothing,
    nothing_of_an_erased_job_is_taken_that_comes_late,
    who_follows_a_job_that_is_erased_hears_that_it_is_over,
    the_dead_letters_of_an_erased_job_go_and_the_others_stay,
    a_dead_letter_that_another_held_goes_when_it_is_back,
    the_callback_of_an_erased_job_is_erased_with_it,
    every_job_that_is_not_erased_is_listed,
    a_conversation_that_is_forgotten_tells_its_jobs_until_they_are_erased,
    a_turn_that_is_erased_is_not_added_again,
    the_conversations_of_a_tenant_are_found,
);
contract!(claims:
    bytes_are_redeemed_any_number_of_times,
    a_part_is_redeemed_without_the_rest,
    sixteen_mebibytes_fit,
    what_is_sent_in_again_replaces_and_what_is_spoken_again_does_not,
    bytes_older_than_asked_for_are_gone,
    bytes_can_be_kept_for_longer_and_never_for_less,
    what_is_discarded_is_gone_and_the_rest_of_its_job_stays,
);
contract!(conversations:
    turns_come_back_in_the_order_in_which_they_were_added,
    the_turn_of_a_job_is_added_once,
    turns_added_at_the_same_moment_are_all_kept,
    another_tenant_sees_nothing_of_it,
    the_newest_turns_are_kept,
    jobs_have_their_turns_in_the_order_in_which_they_were_accepted,
    accepting_a_job_again_leaves_it_where_it_is,
    a_job_that_was_never_accepted_waits_for_none,
    a_job_that_is_removed_blocks_none_and_adds_no_turn,
    a_job_past_its_deadline_blocks_none,
    the_turn_of_a_job_is_not_added_again_once_it_is_kept_no_longer,
    to_forget_is_to_forget_all_that_was_accepted_before,
    a_job_that_is_resumed_comes_last,
    a_job_that_is_resumed_after_it_was_forgotten_adds_no_turn,
    the_orders_of_two_tenants_are_apart,
    a_message_whose_job_has_no_time_left_may_go,
);
contract!(outbox:
    what_is_due_is_given_to_one_at_a_time_until_it_is_struck_out,
    what_is_noted_again_is_not_settled_by_who_took_it_before,
    what_is_hastened_is_due_sooner_unless_it_is_done,
);

contract!(idempotency:
    a_free_key_is_claimed_and_then_told_with_its_job,
    of_many_who_claim_at_once_one_gets_the_key,
    a_key_of_another_tenant_is_another_key,
    a_key_is_given_back_by_its_holder_alone,
    a_key_is_taken_over_once_from_the_job_that_is_named,
    a_claim_tells_whether_its_job_is_queued_until_it_is_taken_over,
);
contract!(quotas:
    a_quota_is_admitted_at_once_and_the_next_request_is_told_when,
    who_comes_again_when_told_is_admitted,
    of_many_requests_at_once_no_more_than_the_quota_are_admitted,
    a_request_that_is_refused_counts_against_nothing,
    partitions_are_counted_apart,
    a_job_has_its_place_until_it_leaves,
    a_job_past_its_deadline_has_no_place,
    a_job_held_for_longer_keeps_its_place,
    a_job_counts_as_interactive_until_it_is_demoted_or_leaves,
    a_job_that_is_admitted_again_takes_no_second_place,
    of_many_jobs_at_once_no_more_than_allowed_get_a_place,
    a_spent_budget_refuses_jobs_until_midnight,
    what_was_used_is_counted_once_however_often_it_is_told,
    what_is_set_aside_counts_until_it_is_settled,
    what_is_never_settled_is_free_again_after_its_time,
    of_jobs_at_once_no_two_are_admitted_on_the_last_of_a_budget,
    a_request_without_a_job_needs_neither_place_nor_budget,
);

mod clocks {
    use super::*;

    #[tokio::test]
    async fn the_clocks_of_those_who_claim_do_not_matter() {
        let Some(shared) = servers::shared() else {
            return;
        };
        let backends = backends(shared.environment().into_iter().collect()).await;
        contracts::idempotency::the_clocks_of_those_who_claim_do_not_matter(backends).await;
    }
}

mod short_lived_conversations {
    use super::*;

    async fn renewed(mut settings: Vec<(String, String)>) {
        settings.push(("CONVERSATION_TTL".into(), "3".into()));
        let backends = backends(settings.into_iter().collect()).await;
        contracts::conversations::each_turn_renews_the_time_to_live(backends).await;
    }

    #[tokio::test]
    async fn each_turn_renews_their_time_in_memory() {
        renewed(Vec::new()).await;
    }

    #[tokio::test]
    async fn each_turn_renews_their_time_on_servers() {
        let Some(shared) = servers::shared() else {
            return;
        };
        renewed(shared.environment()).await;
    }
}

//! One suite about access and delivery, held against the embedded broker and against a real mosquitto.
//!
//! Both get their rules from the same table; this shows that they mean the same. mosquitto is started here, on a free
//! loopback port, with the configuration that `hearthwatch-provision init` renders. Where it is not installed its half
//! says so loudly, and fails when `CI=true`.

#[path = "broker/client.rs"]
mod client;
#[path = "broker/stand.rs"]
mod stand;
#[path = "broker/suite.rs"]
mod suite;

/// The same tests for each broker: `cargo test --test broker mosquitto` runs one half.
macro_rules! conformance {
    ($($name:ident)*) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    crate::suite::$name(&crate::stand::embedded()).await;
                }
            )*
        }

        mod mosquitto {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    if let Some(stand) = crate::stand::mosquitto() {
                        crate::suite::$name(&stand).await;
                    }
                }
            )*
        }
    };
}

conformance! {
    nobody_connects_without_a_certificate
    nobody_connects_with_a_certificate_of_another_authority
    nobody_connects_with_an_expired_certificate
    a_servers_certificate_is_no_clients
    a_home_under_anothers_client_id_neither_hears_nor_disturbs_it
    a_publication_on_another_homes_topic_is_refused_and_not_delivered
    a_home_cannot_announce_a_release_nor_write_a_receipt
    a_subscription_to_another_homes_topics_yields_nothing
    a_subscription_to_everything_yields_only_ones_own
    a_will_on_ones_own_topic_is_delivered
    a_will_on_another_homes_topic_is_not_delivered
    a_retained_release_reaches_a_home_that_comes_later
    aggregators_in_their_secret_group_split_the_records_and_lose_none
    no_home_reads_or_thins_what_another_says
    a_record_goes_up_and_its_receipt_comes_down
    a_revoked_home_is_silenced_in_the_session_that_it_has_and_gets_no_other
}

/// What is true of mosquitto alone.
mod mosquitto_itself {
    #[tokio::test(flavor = "multi_thread")]
    async fn takes_from_a_victim_what_falls_to_a_home_that_knows_the_group() {
        if let Some(stand) = crate::stand::mosquitto() {
            crate::suite::a_home_that_knows_the_group_thins_what_another_says(&stand).await;
        }
    }
}

//! The tests themselves. "Nothing was delivered" is shown without waiting: something that must be delivered is said
//! after it, and has to be the first thing heard.

use std::collections::BTreeSet;

use hearthwatch_link::{LinkError, Publication};
use hearthwatch_protocol::messages::{AgentStatus, Receipt};
use hearthwatch_protocol::topic::{UP_FILTER, shared};
use hearthwatch_protocol::{HomeId, Message, ModelVersion, Sequence, Topic};
use hearthwatch_provision::acl::{AGGREGATORS, Identity};
use hearthwatch_provision::{Authority, Group, files, revocation};
use jiff::{SignedDuration, Timestamp};

use crate::client::{PATIENCE, Party};
use crate::stand::{Stand, home_in};

const UP: &str = UP_FILTER;
const RELEASE: &str = "hw/v1/fleet/release";

fn refused(result: Result<(), LinkError>) {
    match result {
        Err(LinkError::Refused(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// What aggregators of this installation subscribe to.
fn group_filter(stand: &Stand) -> String {
    Group::load(&stand.layout.group()).unwrap().filter()
}

fn will(topic: &str) -> Option<Publication> {
    Some(Publication { topic: topic.to_owned(), payload: b"gone".to_vec(), retain: false })
}

pub async fn nobody_connects_without_a_certificate(stand: &Stand) {
    let party = Party { cert: None, ..Party::home(stand, "home-7", &[]) };
    party.connect(stand).await.err().expect("refused");
    Party::home(stand, "home-7", &[]).connect(stand).await.map(drop).expect("with it, the same home connects");
}

pub async fn nobody_connects_with_a_certificate_of_another_authority(stand: &Stand) {
    let party = Party { cert: Some(home_in(&stand.stranger(), "home-7")), ..Party::home(stand, "home-7", &[]) };
    party.connect(stand).await.err().expect("refused");
}

pub async fn nobody_connects_with_an_expired_certificate(stand: &Stand) {
    let long_ago = Timestamp::now() - SignedDuration::from_hours(48);
    let identity = Identity::from_common_name("home-7").unwrap();
    let issued = Authority::load(&stand.layout).unwrap().issue_client(&identity, long_ago, 1).unwrap();
    let (cert, key) = (stand.layout.root().join("old.crt"), stand.layout.root().join("old.key"));
    files::write_public(&cert, issued.certificate_pem.as_bytes()).unwrap();
    files::write_private(&key, issued.key_pem.as_bytes()).unwrap();
    let party = Party { cert: Some((cert, key)), ..Party::home(stand, "home-7", &[]) };
    party.connect(stand).await.err().expect("refused");
}

pub async fn a_servers_certificate_is_no_clients(stand: &Stand) {
    let cert = Some((stand.layout.http_cert(), stand.layout.http_key()));
    let party = Party { cert, client_id: "cloud".to_owned(), ..Party::aggregator(stand, &[]) };
    party.connect(stand).await.err().expect("refused");
}

pub async fn a_home_under_anothers_client_id_neither_hears_nor_disturbs_it(stand: &Stand) {
    let aggregator = Party::aggregator(stand, &[]).connect(stand).await.unwrap();
    let receipts = "hw/v1/home/home-8/down/receipt";
    let mut victim = Party::home(stand, "home-8", &[receipts]).connect(stand).await.unwrap();
    let impostor = Party { client_id: "home-8".to_owned(), ..Party::home(stand, "home-7", &[receipts, RELEASE]) };
    let impostor = impostor.connect(stand).await;

    aggregator.say(receipts, b"for home-8").await.unwrap();
    assert_eq!(victim.hear().await, (receipts.to_owned(), b"for home-8".to_vec(), false));
    // The embedded broker refuses the connection; mosquitto renames the client and lets it in.
    if let Ok(mut impostor) = impostor {
        aggregator.say(RELEASE, b"for all").await.unwrap();
        assert_eq!(impostor.hear().await.0, RELEASE);
    }
}

pub async fn a_publication_on_another_homes_topic_is_refused_and_not_delivered(stand: &Stand) {
    let mut aggregator = Party::aggregator(stand, &[UP]).connect(stand).await.unwrap();
    let home = Party::home(stand, "home-7", &[]).connect(stand).await.unwrap();
    refused(home.say("hw/v1/home/home-8/up/feedback", b"not mine").await);
    refused(home.say("hw/v1/home/home-7/up/feedback/deeper", b"no such topic").await);
    home.say("hw/v1/home/home-7/up/feedback", b"mine").await.unwrap();
    assert_eq!(aggregator.hear().await, ("hw/v1/home/home-7/up/feedback".to_owned(), b"mine".to_vec(), false));
}

pub async fn a_home_cannot_announce_a_release_nor_write_a_receipt(stand: &Stand) {
    let filters = ["hw/v1/home/home-8/down/+", RELEASE];
    let mut other = Party::home(stand, "home-8", &filters).connect(stand).await.unwrap();
    let home = Party::home(stand, "home-7", &[]).connect(stand).await.unwrap();
    refused(home.say_retained(RELEASE, b"forged").await);
    refused(home.say("hw/v1/home/home-8/down/receipt", b"forged").await);
    refused(home.say("hw/v1/home/home-7/down/receipt", b"forged").await);
    let aggregator = Party::aggregator(stand, &[]).connect(stand).await.unwrap();
    refused(aggregator.say("hw/v1/home/home-7/up/feedback", b"forged").await);
    aggregator.say("hw/v1/home/home-8/down/receipt", b"true").await.unwrap();
    assert_eq!(other.hear().await.1, b"true");
}

pub async fn a_subscription_to_another_homes_topics_yields_nothing(stand: &Stand) {
    let aggregator = Party::aggregator(stand, &[]).connect(stand).await.unwrap();
    for filter in ["hw/v1/home/home-8/down/+", "hw/v1/home/+/down/receipt", "hw/v1/home/home-8/up/+"] {
        let curious = Party::home(stand, "home-7", &[filter, RELEASE]).connect(stand).await;
        let other = Party::home(stand, "home-8", &[]).connect(stand).await.unwrap();
        other.say("hw/v1/home/home-8/up/feedback", b"private").await.unwrap();
        aggregator.say("hw/v1/home/home-8/down/receipt", b"private").await.unwrap();
        // The embedded broker refuses the subscription, which the link takes for a failure to connect.
        if let Ok(mut curious) = curious {
            aggregator.say(RELEASE, b"for all").await.unwrap();
            assert_eq!(curious.hear().await.0, RELEASE, "{filter}");
        }
    }
}

pub async fn a_subscription_to_everything_yields_only_ones_own(stand: &Stand) {
    let aggregator = Party::aggregator(stand, &[]).connect(stand).await.unwrap();
    let curious = Party::home(stand, "home-7", &["#"]).connect(stand).await;
    let other = Party::home(stand, "home-8", &[]).connect(stand).await.unwrap();
    other.say("hw/v1/home/home-8/up/feedback", b"private").await.unwrap();
    aggregator.say("hw/v1/home/home-8/down/receipt", b"private").await.unwrap();
    if let Ok(mut curious) = curious {
        aggregator.say("hw/v1/home/home-7/down/receipt", b"yours").await.unwrap();
        assert_eq!(curious.hear().await.1, b"yours");
    }
}

pub async fn a_will_on_ones_own_topic_is_delivered(stand: &Stand) {
    let mut aggregator = Party::aggregator(stand, &[UP]).connect(stand).await.unwrap();
    let own = "hw/v1/home/home-7/up/status";
    let home = Party { will: will(own), ..Party::home(stand, "home-7", &[]) }.connect(stand).await.unwrap();
    drop(home);
    assert_eq!(aggregator.hear().await, (own.to_owned(), b"gone".to_vec(), false));
}

pub async fn a_will_on_another_homes_topic_is_not_delivered(stand: &Stand) {
    let mut aggregator = Party::aggregator(stand, &[UP]).connect(stand).await.unwrap();
    let others = will("hw/v1/home/home-8/up/status");
    // Refused at once by the embedded broker, kept silent by mosquitto.
    drop(Party { will: others, ..Party::home(stand, "home-7", &[]) }.connect(stand).await);
    // The same client again: whatever was to be said for its first connection has been said when this one stands.
    let home = Party::home(stand, "home-7", &[]).connect(stand).await.unwrap();
    home.say("hw/v1/home/home-7/up/status", b"here").await.unwrap();
    assert_eq!(aggregator.hear().await.0, "hw/v1/home/home-7/up/status");
}

pub async fn a_retained_release_reaches_a_home_that_comes_later(stand: &Stand) {
    let aggregator = Party::aggregator(stand, &[]).connect(stand).await.unwrap();
    aggregator.say_retained(RELEASE, b"model 1").await.unwrap();
    aggregator.say_retained(RELEASE, b"model 2").await.unwrap();
    let mut home = Party::home(stand, "home-7", &[RELEASE]).connect(stand).await.unwrap();
    assert_eq!(home.hear().await, (RELEASE.to_owned(), b"model 2".to_vec(), true));
}

pub async fn aggregators_in_their_secret_group_split_the_records_and_lose_none(stand: &Stand) {
    const RECORDS: u16 = 200;
    let shared = group_filter(stand);
    let mut first = Party::aggregator(stand, &[&shared]).connect(stand).await.unwrap();
    let replica = Identity::from_common_name(AGGREGATORS[1]).unwrap();
    let issued = Authority::load(&stand.layout).unwrap().issue_client(&replica, Timestamp::now(), 30).unwrap();
    let (cert, key) = (stand.layout.root().join("replica.crt"), stand.layout.root().join("replica.key"));
    files::write_public(&cert, issued.certificate_pem.as_bytes()).unwrap();
    files::write_private(&key, issued.key_pem.as_bytes()).unwrap();
    let client_id = AGGREGATORS[1].to_owned();
    let party = Party { cert: Some((cert, key)), client_id, ..Party::aggregator(stand, &[&shared]) };
    let mut second = party.connect(stand).await.unwrap();

    let home = Party::home(stand, "home-7", &[]).connect(stand).await.unwrap();
    for record in 0..RECORDS {
        home.say("hw/v1/home/home-7/up/feedback", &record.to_be_bytes()).await.unwrap();
    }
    let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
    while of_first.len() + of_second.len() < usize::from(RECORDS) {
        tokio::select! {
            heard = first.hear() => of_first.push(heard.1),
            heard = second.hear() => of_second.push(heard.1),
        }
    }
    assert!(!of_first.is_empty() && !of_second.is_empty(), "{} and {}", of_first.len(), of_second.len());
    let all: BTreeSet<Vec<u8>> = of_first.into_iter().chain(of_second).collect();
    assert_eq!(all.len(), usize::from(RECORDS), "each exactly once");
}

/// Filters by which a home might get hold of what home-8 says, or have the broker give it nobody.
fn thieves_filters() -> Vec<String> {
    let guesses = ["aggregator", "hearthwatch", "+", "#", "00000000000000000000000000000000"];
    let mut filters: Vec<String> = guesses.iter().map(|group| shared(group, UP_FILTER)).collect();
    filters.extend(["$share/aggregator/#", "$share/+/#", "$queue/hw/v1/home/+/up/+", "$SYS/#", "#"].map(str::to_owned));
    filters.extend([UP_FILTER, "hw/v1/home/home-8/up/+", "hw/v1/home/home-8/down/+"].map(str::to_owned));
    filters.push(shared("aggregator", "hw/v1/home/home-8/up/+"));
    filters.push(shared("aggregator", "hw/v1/home/home-8/down/+"));
    filters
}

pub async fn no_home_reads_or_thins_what_another_says(stand: &Stand) {
    const MESSAGES: u16 = 200;
    let mut aggregator = Party::aggregator(stand, &[&group_filter(stand)]).connect(stand).await.unwrap();
    let receipts = "hw/v1/home/home-8/down/receipt";
    let mut victim = Party::home(stand, "home-8", &[receipts]).connect(stand).await.unwrap();
    let mut thieves = Vec::new();
    for (number, filter) in thieves_filters().into_iter().enumerate() {
        let thief = Party::home(stand, &format!("thief-{number}"), &[&filter, RELEASE]).connect(stand).await;
        // The embedded broker refuses the subscription, which the link takes for a failure to connect.
        if let Ok(thief) = thief {
            thieves.push((filter, thief));
        }
    }
    for number in 0..MESSAGES {
        victim.say("hw/v1/home/home-8/up/status", &number.to_be_bytes()).await.unwrap();
        aggregator.say(receipts, &number.to_be_bytes()).await.unwrap();
    }
    for number in 0..MESSAGES {
        assert_eq!(aggregator.hear().await.1, number.to_be_bytes(), "the aggregator has every message, once");
        assert_eq!(victim.hear().await.1, number.to_be_bytes(), "and so has the victim");
    }
    aggregator.say(RELEASE, b"for all").await.unwrap();
    for (filter, thief) in &mut thieves {
        assert_eq!(thief.hear().await.0, RELEASE, "{filter}");
    }
}

/// Why the group's name is a secret. Where this fails, mosquitto has learnt to ask its rules before it takes turns.
pub async fn a_home_that_knows_the_group_thins_what_another_says(stand: &Stand) {
    const MESSAGES: u16 = 200;
    let known = shared("aggregator", UP_FILTER);
    let mut aggregator = Party::aggregator(stand, &[&known, RELEASE]).connect(stand).await.unwrap();
    let mut thief = Party::home(stand, "home-7", &[&known, RELEASE]).connect(stand).await.unwrap();
    let victim = Party::home(stand, "home-8", &[]).connect(stand).await.unwrap();
    for number in 0..MESSAGES {
        victim.say("hw/v1/home/home-8/up/status", &number.to_be_bytes()).await.unwrap();
    }
    aggregator.say(RELEASE, b"for all").await.unwrap();
    let mut heard = 0;
    while aggregator.hear().await.0 != RELEASE {
        heard += 1;
    }
    assert_eq!(heard, MESSAGES / 2, "every second one fell to the thief");
    assert_eq!(thief.hear().await.0, RELEASE, "who was given none of them");
}

pub async fn a_record_goes_up_and_its_receipt_comes_down(stand: &Stand) {
    let home_id = HomeId::new("home-7").unwrap();
    let receipts = Topic::Receipt(home_id.clone()).to_string();
    let mut aggregator = Party::aggregator(stand, &[&group_filter(stand)]).connect(stand).await.unwrap();
    let mut home = Party::home(stand, "home-7", &[&receipts]).connect(stand).await.unwrap();
    let status = Message::Status(AgentStatus {
        online: true,
        agent_version: "0.1.0".to_owned(),
        model_version: ModelVersion::ROUTINE,
        entities: 3,
        outbox: 1,
    });
    let up = Topic::Status(home_id);
    home.say(&up.to_string(), &hearthwatch_protocol::encode(&status).unwrap()).await.unwrap();
    let (topic, payload, _) = aggregator.hear().await;
    assert_eq!(Topic::parse(&topic), Ok(up));
    assert_eq!(hearthwatch_protocol::decode(&payload), Ok(status));

    let receipt = Message::Receipt(Receipt { through: Sequence(1), refused: Vec::new(), digests: Vec::new() });
    aggregator.say(&receipts, &hearthwatch_protocol::encode(&receipt).unwrap()).await.unwrap();
    let (topic, payload, _) = home.hear().await;
    assert_eq!((topic, hearthwatch_protocol::decode(&payload)), (receipts, Ok(receipt)));
}

pub async fn a_revoked_home_is_silenced_in_the_session_that_it_has_and_gets_no_other(stand: &Stand) {
    let own = "hw/v1/home/home-7/up/feedback";
    let mut aggregator = Party::aggregator(stand, &[UP]).connect(stand).await.unwrap();
    let home = Party::home(stand, "home-7", &[]).connect(stand).await.unwrap();
    let neighbour = Party::home(stand, "home-8", &[]).connect(stand).await.unwrap();
    home.say(own, b"before").await.unwrap();
    assert_eq!(aggregator.hear().await.1, b"before");

    let id = HomeId::new("home-7").unwrap();
    assert_eq!(revocation::revoke(&stand.layout, &id, Timestamp::now(), "stolen").unwrap().len(), 1);
    stand.reload();
    // The broker hears of it within a moment; until then what is said may still arrive.
    tokio::time::timeout(PATIENCE, async { while home.say(own, b"meanwhile").await.is_ok() {} })
        .await
        .expect("silenced");
    neighbour.say("hw/v1/home/home-8/up/feedback", b"neighbour").await.unwrap();
    loop {
        match aggregator.hear().await {
            (topic, payload, _) if topic == own && payload == b"meanwhile" => {}
            (_, payload, _) => break assert_eq!(payload, b"neighbour", "the others go on"),
        }
    }
    Party::home(stand, "home-7", &[]).connect(stand).await.err().expect("refused");
    assert!(home.say(own, b"after").await.is_err());
}

//! The feed: order, cursors, waiting, streaming.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;

use super::*;
use crate::organisations::Role;

const REPORTED: &str = "nl.sluis.case.stepped-up-by-director.v1";

async fn read(gateway: &Gateway, feed: &Addressee, cursor: Option<&str>, limit: i64) -> (Vec<String>, String) {
    let mut reading = Reading::begin(&gateway.relay, feed, "cursor", cursor).await.unwrap();
    let page = reading.page(limit).await.unwrap();
    (page.into_iter().map(|event| event.id).collect(), reading.cursor())
}

#[tokio::test]
async fn a_feed_is_read_in_order_without_gaps_and_without_others() {
    let gateway = Gateway::new(None).await;
    let mut expected = Vec::new();
    for number in 0..7 {
        gateway.enqueue(&reader(2), Uuid::from_u128(99), "accepted").await;
        expected.push(gateway.enqueue(&reader(1), Uuid::from_u128(number), "accepted").await.to_string());
    }
    assert_eq!(gateway.sequence().await, outbox::Sequenced { events: 14, more: false });
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let (page, next) = read(&gateway, &reader(1), cursor.as_deref(), 3).await;
        if page.is_empty() {
            assert_eq!(Some(next), cursor, "an empty page leaves the cursor where it was");
            break;
        }
        seen.extend(page);
        cursor = Some(next);
    }
    assert_eq!(seen, expected);
    let mut reading = Reading::begin(&gateway.relay, &reader(1), "cursor", None).await.unwrap();
    let positions: Vec<i64> = reading.page(100).await.unwrap().into_iter().map(|event| event.position).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5, 6, 7], "each feed counts for itself");
}

#[tokio::test]
async fn an_event_is_not_seen_before_it_has_its_position_and_no_cursor_passes_it() {
    let gateway = Gateway::new(None).await;
    let first = gateway.publish(&reader(1), Uuid::from_u128(1), "accepted").await;
    let (page, cursor) = read(&gateway, &reader(1), None, 100).await;
    assert_eq!(page, [first.to_string()]);
    let second = gateway.enqueue(&reader(1), Uuid::from_u128(1), "completed").await;
    assert_eq!(read(&gateway, &reader(1), Some(&cursor), 100).await, (vec![], cursor.clone()));
    gateway.sequence().await;
    assert_eq!(read(&gateway, &reader(1), Some(&cursor), 100).await.0, [second.to_string()]);
}

/// Readers that follow the feed while many writers commit and several sequencers run miss nothing and see nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_misses_nothing_while_others_write() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let gateway = Arc::new(Gateway::new(None).await);
    let done = Arc::new(AtomicBool::new(false));
    let sequencers: Vec<_> = (0..2)
        .map(|_| {
            let (gateway, done) = (Arc::clone(&gateway), Arc::clone(&done));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    gateway.sequence().await;
                }
                gateway.sequence().await;
            })
        })
        .collect();
    let follower = {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            let (mut seen, mut cursor) = (Vec::new(), None);
            while seen.len() < WRITERS * EACH {
                let (page, next) = read(&gateway, &reader(1), cursor.as_deref(), 7).await;
                seen.extend(page);
                cursor = Some(next);
            }
            seen
        })
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                let mut written = Vec::new();
                for _ in 0..EACH {
                    written.push(
                        gateway.enqueue(&reader(1), Uuid::from_u128(writer as u128), "accepted").await.to_string(),
                    );
                }
                written
            })
        })
        .collect();
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    let seen = tokio::time::timeout(Duration::from_secs(30), follower).await.expect("events were missed").unwrap();
    done.store(true, Ordering::SeqCst);
    for sequencer in sequencers {
        sequencer.await.unwrap();
    }
    assert_eq!(seen.len(), WRITERS * EACH);
    for own in written {
        let order: Vec<&String> = seen.iter().filter(|id| own.contains(id)).collect();
        assert_eq!(order, own.iter().collect::<Vec<_>>(), "one writer's events keep their order");
    }
}

#[tokio::test]
async fn a_change_that_fails_leaves_no_event() {
    let gateway = Gateway::new(None).await;
    let event = gateway.event(&reader(1), Happening::ReferralDisclosed { referral: Uuid::nil() });
    let failed: Result<(), Problem> = gateway
        .write(async move |tx: &mut Tx| {
            outbox::enqueue(tx, &event);
            Err(Problem::new(Code::Conflict, "the change failed"))
        })
        .await;
    assert_eq!(failed.unwrap_err().code(), Code::Conflict);
    assert_eq!(gateway.sequence().await.events, 0);
}

#[tokio::test]
async fn a_cursor_of_another_feed_or_from_the_future_is_refused() {
    let gateway = Gateway::new(None).await;
    gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    gateway.publish(&reader(2), Uuid::nil(), "accepted").await;
    let (_, cursor) = read(&gateway, &reader(1), None, 100).await;
    let ahead = super::super::cursor::Cursor::after(2).encode(&reader(1));
    for (feed, cursor) in [(reader(2), cursor.as_str()), (reader(1), &ahead), (reader(1), "nonsense")] {
        let refusal = Reading::begin(&gateway.relay, &feed, "cursor", Some(cursor)).await.err().unwrap();
        assert_eq!(refusal.code(), Code::InvalidInput);
    }
}

#[tokio::test]
async fn waiting_ends_with_the_event_with_the_time_or_with_the_permission() {
    let gateway = Arc::new(Gateway::new(None).await);
    let mut reading = Reading::begin(&gateway.relay, &reader(1), "cursor", None).await.unwrap();
    let started = std::time::Instant::now();
    let empty = reading.wait(10, Duration::from_millis(300), async || Ok(())).await.unwrap();
    assert!(empty.is_empty() && started.elapsed() >= Duration::from_millis(300));

    let publisher = {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            gateway.publish(&reader(1), Uuid::nil(), "accepted").await
        })
    };
    let started = std::time::Instant::now();
    let page = reading.wait(10, Duration::from_secs(20), async || Ok(())).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "woken by the signal");
    assert_eq!(page[0].id, publisher.await.unwrap().to_string());

    let started = std::time::Instant::now();
    let suspended = async || Err(Problem::new(Code::OrganisationSuspended, "suspended"));
    let refusal = reading.wait(10, Duration::from_secs(20), suspended).await.unwrap_err();
    assert_eq!(refusal.code(), Code::OrganisationSuspended);
    assert!(started.elapsed() < Duration::from_secs(1), "within a second");
}

#[tokio::test]
async fn a_stream_brings_events_with_their_cursor_and_ends_with_the_permission() {
    let gateway = Gateway::new(None).await;
    let first = gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    let allowed = Arc::new(AtomicBool::new(true));
    let check = {
        let allowed = Arc::clone(&allowed);
        async move || {
            let refusal = Problem::new(Code::CertificateRevoked, "revoked");
            if allowed.load(Ordering::SeqCst) { Ok(()) } else { Err(refusal) }
        }
    };
    let reading = Reading::begin(&gateway.relay, &reader(1), "cursor", None).await.unwrap();
    let mut stream = Box::pin(reading.stream(check));
    assert_eq!(stream.next().await.unwrap(), b"retry: 2000\n\n");
    let piece = String::from_utf8(stream.next().await.unwrap()).unwrap();
    let (id, data) = piece.strip_suffix("\n\n").unwrap().split_once("\ndata: ").unwrap();
    let event: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(event["id"], first.to_string());
    // The id of the event resumes after it.
    let cursor = id.strip_prefix("id: ").unwrap();
    assert_eq!(read(&gateway, &reader(1), Some(cursor), 10).await.0, Vec::<String>::new());

    gateway.publish(&reader(1), Uuid::nil(), "completed").await;
    assert!(String::from_utf8(stream.next().await.unwrap()).unwrap().contains("\"sequence\":\"2\""));
    allowed.store(false, Ordering::SeqCst);
    let started = std::time::Instant::now();
    assert_eq!(stream.next().await, None);
    assert!(started.elapsed() < Duration::from_secs(1), "within a second");
}

#[tokio::test]
async fn removed_events_leave_the_count_and_the_cursors_alone() {
    let gateway = Gateway::new(None).await;
    gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    let (_, cursor) = read(&gateway, &reader(1), None, 10).await;
    gateway.relay.clock.advance(Duration::from_hours(24));
    let before = gateway.relay.now();
    let removed = gateway.write(async move |tx: &mut Tx| Ok(outbox::prune(tx, before, 0).await?)).await.unwrap();
    assert_eq!((removed.events.len(), removed.next), (1, None));
    let second = gateway.publish(&reader(1), Uuid::nil(), "completed").await;
    let mut reading = Reading::begin(&gateway.relay, &reader(1), "cursor", Some(&cursor)).await.unwrap();
    let page = reading.page(10).await.unwrap();
    assert_eq!((page[0].position, page[0].id.clone()), (2, second.to_string()));
}

fn officer(digit: u8) -> Addressee {
    Addressee::role(reader(digit).organisation, Role::PrivacyOfficer)
}

/// What is told to the privacy officer of an organisation.
async fn report(gateway: &Gateway, to: &Addressee) -> String {
    let happening = Happening::CaseSteppedUpByDirector { case: Uuid::from_u128(7), record: Uuid::from_u128(8) };
    let event = gateway.event(to, happening);
    let id = event.id.to_string();
    gateway
        .write(async move |tx: &mut Tx| {
            outbox::enqueue(tx, &event);
            Ok(())
        })
        .await
        .unwrap();
    gateway.sequence().await;
    id
}

#[tokio::test]
async fn a_role_has_a_feed_of_its_own_that_counts_for_itself_and_neither_reads_the_others() {
    let gateway = Gateway::new(None).await;
    let (mut own, mut told) = (Vec::new(), Vec::new());
    for number in 0..3 {
        own.push(gateway.publish(&reader(1), Uuid::from_u128(number), "accepted").await.to_string());
        told.push(report(&gateway, &officer(1)).await);
    }
    report(&gateway, &officer(2)).await;
    assert_eq!(read(&gateway, &reader(1), None, 100).await.0, own);
    let (page, cursor) = read(&gateway, &officer(1), None, 100).await;
    assert_eq!(page, told);
    let mut reading = Reading::begin(&gateway.relay, &officer(1), "cursor", None).await.unwrap();
    let positions: Vec<i64> = reading.page(100).await.unwrap().into_iter().map(|event| event.position).collect();
    assert_eq!(positions, [1, 2, 3]);
    for other in [reader(1), officer(2), Addressee::role(reader(1).organisation, Role::Monitor)] {
        let refusal = Reading::begin(&gateway.relay, &other, "cursor", Some(&cursor)).await.err().unwrap();
        assert_eq!(refusal.code(), Code::InvalidInput, "{other}");
    }
}

#[tokio::test]
async fn what_is_told_to_a_role_is_pushed_to_its_own_sink_alone() {
    let systems = Receiver::new();
    let gateway = Gateway::new(Some(&systems)).await;
    let refused = service::draft(&gateway.relay, &reader(1), &systems.url, Some(vec![REPORTED.into()]), false).await;
    assert_eq!(refused.err().unwrap().to_json()["invalidParams"][0]["name"], "types[0]");
    let (own, _) = gateway.subscribe_active(&reader(1), &systems.url).await;
    let told = report(&gateway, &officer(1)).await;
    assert_eq!(gateway.deliver().await, Report::default(), "there is nobody to push it to");
    let gone = service::get(&gateway.relay, &officer(1), own.id).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound, "a role does not reach the subscriptions of its organisation");
    let (officers, _) = gateway.subscribe_active(&officer(1), &systems.url).await;
    assert_eq!(gateway.deliveries(&own, None).await, []);
    assert_eq!(gateway.deliveries(&officers, None).await, [], "as for everybody: from the subscription on");
    let second = report(&gateway, &officer(1)).await;
    gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    assert_eq!(gateway.deliver().await.delivered, 2);
    let of = async |subscription| {
        let deliveries = gateway.deliveries(subscription, None).await;
        deliveries.into_iter().map(|delivery| delivery.event.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of(&officers).await, std::slice::from_ref(&second));
    let own = of(&own).await;
    assert!(own.len() == 1 && !own.contains(&second) && !own.contains(&told), "{own:?}");
}

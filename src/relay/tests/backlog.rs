//! Much that waits, much that is old: it is passed over, given up and taken away in small steps, and hides nothing that can be done.

use super::*;
use crate::clock::Timestamp;
use crate::storage::Query as _;

const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);

impl Gateway {
    /// Gives a feed this many events that are sequenced, each about a referral of its own, and a subscription their deliveries.
    async fn owe(&self, feed: &Addressee, subscription: &Subscription, count: i64, status: &'static str) {
        let (feed, subscription, now) = (feed.clone(), subscription.id, self.relay.now());
        let job = async move |tx: &mut Tx| {
            tx.execute(
                "INSERT INTO events (id, organisation, position, type, subject, data, path, time) \
                 WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < $3) \
                 SELECT '00000000-0000-7000-8000-' || CAST(100000000000 + n AS TEXT), $1, n, 'nl.sluis.referral.disclosed.v1', \
                 'subject-' || CAST(n AS TEXT), '{}', '/v1/referrals', $2 FROM series",
                args![&feed, now, count],
            )
            .await?;
            tx.execute(
                "INSERT INTO deliveries (subscription, position, event, subject, status, attempts, next_attempt_at, created_at) \
                 SELECT $1, position, id, subject, $2, 0, $3, $3 FROM events WHERE organisation = $4",
                args![subscription, status, now, &feed],
            )
            .await?;
            let head = "INSERT INTO feeds (organisation, head) VALUES ($1, $2) ON CONFLICT (organisation) DO UPDATE SET head = excluded.head";
            tx.execute(head, args![&feed, count]).await?;
            Ok(())
        };
        self.write(job).await.unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.relay.db.reader().row(sql, args![]).await.unwrap().unwrap().int("number").unwrap()
    }

    async fn prune(&self, before: Timestamp) -> Vec<usize> {
        let (mut steps, mut next) = (Vec::new(), Some(0));
        while let Some(after) = next {
            let pruned =
                self.write(async move |tx: &mut Tx| Ok(outbox::prune(tx, before, after).await?)).await.unwrap();
            steps.push(pruned.events.len());
            next = pruned.next;
        }
        steps
    }
}

const DELIVERIES: &str = "SELECT COUNT(*) AS number FROM deliveries";
const PENDING: &str = "SELECT COUNT(*) AS number FROM deliveries WHERE status = 'pending'";

#[tokio::test]
async fn what_waits_behind_a_failure_is_due_with_it_and_hides_nothing() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    receiver.answer(|request| if request.status() == "other" { "200 OK".into() } else { "503 Busy".into() });
    // More than are looked at in one go.
    for _ in 0..300 {
        gateway.enqueue(&reader(1), FIRST, "accepted").await;
    }
    gateway.sequence().await;
    assert_eq!(gateway.deliver().await.postponed, 1);
    let waiting = gateway.deliveries(&subscription, Some(DeliveryStatus::Pending)).await;
    let due: std::collections::BTreeSet<_> = waiting.iter().map(|delivery| delivery.next_attempt_at).collect();
    assert_eq!((waiting.len(), due.len()), (300, 1), "all of them when the first is tried again");
    assert!(due.first().unwrap().unwrap() > gateway.relay.now());

    // One more of the same, and one of another referral.
    gateway.publish(&reader(1), FIRST, "accepted").await;
    gateway.publish(&reader(1), SECOND, "other").await;
    assert_eq!(queue::due(&mut gateway.relay.db.reader(), gateway.relay.now()).await.unwrap(), [subscription.id]);
    assert_eq!(gateway.deliver().await.delivered, 1);
    assert!(queue::due(&mut gateway.relay.db.reader(), gateway.relay.now()).await.unwrap().is_empty());

    receiver.answer(|_| "200 OK".into());
    gateway.relay.clock.advance(Duration::from_secs(10));
    let mut delivered = 0;
    while delivered < 301 {
        let report = gateway.deliver().await;
        assert!(report.delivered > 0, "after {delivered} nothing is due any more");
        delivered += report.delivered;
    }
    assert_eq!(delivered, 301);
}

#[tokio::test]
async fn what_is_replayed_is_found_before_what_waits_behind_it() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let first = gateway.publish(&reader(1), FIRST, "accepted").await;
    assert_eq!(gateway.deliver().await.delivered, 1);
    for _ in 0..300 {
        gateway.enqueue(&reader(1), FIRST, "accepted").await;
    }
    gateway.sequence().await;
    for selection in [Selection::Named(vec![first]), Selection::Since(Timestamp::from_micros(0))] {
        gateway.relay.clock.advance(Duration::from_secs(1));
        let (relay, id) = (gateway.relay.clone(), subscription.id);
        let replay = async move |tx: &mut Tx| service::replay(tx, &relay, &reader(1), id, &selection).await;
        assert_eq!(gateway.write(replay).await.unwrap(), 1);
        let claim = async move |tx: &mut Tx, now| Ok(queue::claim(tx, id, Uuid::nil(), now).await?);
        let now = gateway.relay.now();
        let (_, jobs) = gateway.write(async move |tx: &mut Tx| claim(tx, now).await).await.unwrap().unwrap();
        assert_eq!(jobs.iter().map(|job| job.event.id.clone()).collect::<Vec<_>>(), [first.to_string()]);
        let done = queue::Settlement {
            subscription: id,
            position: jobs[0].event.position,
            claim: Uuid::nil(),
            attempts: 1,
            outcome: queue::Outcome::Delivered,
            status: Some(200),
            error: None,
        };
        assert!(gateway.write(async move |tx: &mut Tx| Ok(queue::settle(tx, &done, now).await?)).await.unwrap());
    }
}

#[tokio::test]
async fn more_than_ten_thousand_are_not_replayed_at_once() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let since = gateway.relay.now();
    gateway.owe(&reader(1), &subscription, 10_001, "delivered").await;
    let replay = async |since| {
        let (relay, id) = (gateway.relay.clone(), subscription.id);
        let job = async move |tx: &mut Tx| service::replay(tx, &relay, &reader(1), id, &Selection::Since(since)).await;
        gateway.write(job).await.map_err(|problem| problem.code())
    };
    assert_eq!(replay(since).await, Err(Code::InvalidInput));
    assert_eq!(gateway.count(PENDING).await, 0);
    gateway.relay.clock.advance(Duration::from_secs(1));
    let later = gateway.relay.now();
    gateway.publish(&reader(1), FIRST, "accepted").await;
    assert_eq!(gateway.deliver().await.delivered, 1);
    assert_eq!(replay(later).await, Ok(1), "of those that were made since");
    let oldest = "DELETE FROM deliveries WHERE position <= 2";
    gateway.write(async move |tx: &mut Tx| Ok(tx.execute(oldest, args![]).await?)).await.unwrap();
    assert_eq!(replay(since).await, Ok(9_999), "ten thousand are, and one of them waits already");
}

#[tokio::test]
async fn a_removed_subscription_is_gone_at_once_and_its_deliveries_soon() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let (other, _) = gateway.subscribe_active(&reader(2), &receiver.url).await;
    gateway.owe(&reader(1), &subscription, 1_200, "pending").await;
    gateway.publish(&reader(2), FIRST, "accepted").await;
    service::delete(&gateway.relay, &reader(1), subscription.id, |_| Ok(())).await.unwrap();
    let gone = service::get(&gateway.relay, &reader(1), subscription.id).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert!(store::list(&mut gateway.relay.db.reader(), &reader(1), None, 10).await.unwrap().is_empty());
    let change = service::change(&gateway.relay, &reader(1), subscription.id, Change::default(), |_| Ok(())).await;
    assert_eq!(change.unwrap_err().code(), Code::NotFound);
    assert_eq!(gateway.count(DELIVERIES).await, 701);
    gateway.publish(&reader(1), FIRST, "accepted").await;
    assert_eq!(gateway.deliver().await.delivered, 1, "of the other one only");

    service::tidy(&gateway.relay.db, gateway.relay.now()).await.unwrap();
    assert_eq!(gateway.count(DELIVERIES).await, 1);
    assert_eq!(gateway.count("SELECT COUNT(*) AS number FROM subscriptions").await, 1);
    assert_eq!(gateway.status(&other).await, SubscriptionStatus::Active);
}

#[tokio::test]
async fn what_waits_for_a_subscription_that_ended_is_given_up_in_steps() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    gateway.owe(&reader(1), &subscription, 1_200, "pending").await;
    // Each waits for a moment of its own, as after failures.
    let spread = "UPDATE deliveries SET next_attempt_at = next_attempt_at - position";
    gateway.write(async move |tx: &mut Tx| Ok(tx.execute(spread, args![]).await?)).await.unwrap();
    receiver.answer(|_| "410 Gone".into());
    gateway.deliver().await;
    assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Ended);
    let left = gateway.count(PENDING).await;
    assert!((1..=700).contains(&left), "{left}");
    assert_eq!(gateway.deliver().await, Report::default(), "what is left is not sent");
    service::tidy(&gateway.relay.db, gateway.relay.now()).await.unwrap();
    assert_eq!((gateway.count(PENDING).await, gateway.count(DELIVERIES).await), (0, 1_200));
    assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Ended, "it was not removed");
}

#[tokio::test]
async fn old_events_go_in_steps_and_what_is_owed_stays() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let start = gateway.relay.now();
    gateway.owe(&reader(1), &subscription, 1_200, "delivered").await;
    let owed = "UPDATE deliveries SET status = 'pending' WHERE position IN (1, 600)";
    gateway.write(async move |tx: &mut Tx| Ok(tx.execute(owed, args![]).await?)).await.unwrap();
    assert_eq!(gateway.prune(start).await, [0], "what has not had its term stays");
    gateway.relay.clock.advance(Duration::from_hours(1));
    let before = gateway.relay.now();
    gateway.publish(&reader(1), FIRST, "accepted").await;
    assert_eq!(gateway.prune(before).await, [499, 499, 200]);
    assert_eq!(gateway.count("SELECT COUNT(*) AS number FROM events").await, 3);
    assert_eq!(gateway.count(DELIVERIES).await, 3);
}

#[tokio::test]
async fn rare_deliveries_are_found_behind_many_others() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    gateway.owe(&reader(1), &subscription, 12_000, "delivered").await;
    let rare =
        "UPDATE deliveries SET status = CASE WHEN position = 1 THEN 'pending' ELSE 'dead' END WHERE position < 3";
    gateway.write(async move |tx: &mut Tx| Ok(tx.execute(rare, args![]).await?)).await.unwrap();
    let list = async |status, before| {
        store::deliveries(&mut gateway.relay.db.reader(), subscription.id, status, before, 100).await.unwrap()
    };
    let dead = list(Some(DeliveryStatus::Dead), None).await;
    assert_eq!((dead.items.len(), dead.resume), (1, None), "dead letters are at hand");
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = list(Some(DeliveryStatus::Pending), before).await;
        found.push(page.items.iter().map(|delivery| delivery.position).collect::<Vec<_>>());
        match page.resume {
            Some(resume) => before = Some(resume.parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(found, [vec![], vec![], vec![1]]);
    let whole = list(None, None).await;
    assert_eq!((whole.items.len(), whole.items[0].position, whole.resume), (100, 12_000, None));
}

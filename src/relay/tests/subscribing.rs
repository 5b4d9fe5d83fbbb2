//! Subscriptions: targets, handshakes, changes, secrets.

use super::*;

#[tokio::test]
async fn a_refused_target_is_refused_at_once() {
    let gateway = Gateway::new(None).await;
    for sink in ["http://localhost/", "https://10.0.0.1/", "https://user:secret@localhost/", "https://169.254.169.254/"]
    {
        let refusal = service::draft(&gateway.relay, &reader(1), sink, None, false).await.err().unwrap();
        assert_eq!(refusal.code(), Code::InvalidInput, "{sink}");
        assert_eq!(refusal.to_json()["invalidParams"][0]["name"], "sink", "{sink}");
    }
    let refusal = service::draft(&gateway.relay, &reader(1), "https://localhost/", None, true).await.err().unwrap();
    assert_eq!(refusal.to_json()["invalidParams"][0]["name"], "mutualTls");
}

#[tokio::test]
async fn nothing_is_posted_before_the_handshake_and_what_waited_comes_after_it() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    receiver.answer_all(|_| "200 OK".into());
    let (subscription, _) = gateway.subscribe(&reader(1), &receiver.url).await;
    gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    assert_eq!(gateway.deliver().await, Report::default());
    assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Pending);
    assert_eq!((receiver.handshakes().len(), receiver.deliveries().len()), (1, 0));
    assert_eq!(gateway.deliver().await, Report::default());
    assert!(receiver.handshakes().is_empty(), "not asked again before its time");

    receiver.answer_all(|_| receiver::AGREED.into());
    gateway.relay.clock.advance(Duration::from_secs(3));
    assert_eq!(gateway.deliver().await.confirmed, 1);
    assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Active);
    assert_eq!(gateway.deliver().await.delivered, 1);
}

#[tokio::test]
async fn a_sink_that_never_agrees_ends_the_subscription_after_a_day() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    receiver.answer_all(|_| "403 No\r\nWebHook-Allowed-Origin: *".into());
    let (subscription, _) = gateway.subscribe(&reader(1), &receiver.url).await;
    for _ in 0..4 {
        assert_eq!(gateway.deliver().await, Report::default());
        assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Pending);
        gateway.relay.clock.advance(Duration::from_hours(6));
    }
    gateway.deliver().await;
    assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Ended);
    assert_eq!(receiver.handshakes().len(), 5);

    receiver.answer_all(|_| receiver::AGREED.into());
    let revive = Change { paused: Some(false), ..Change::default() };
    service::change(&gateway.relay, &reader(1), subscription.id, revive, |_| Ok(())).await.unwrap();
    assert_eq!(gateway.deliver().await.confirmed, 1);
}

#[tokio::test]
async fn a_paused_subscription_keeps_its_events() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let set = async |paused| {
        let change = Change { paused: Some(paused), ..Change::default() };
        service::change(&gateway.relay, &reader(1), subscription.id, change, |_| Ok(())).await.unwrap().0.status
    };
    assert_eq!(set(true).await, SubscriptionStatus::Paused);
    gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    assert_eq!(gateway.deliver().await, Report::default());
    assert_eq!(set(false).await, SubscriptionStatus::Active);
    assert_eq!(gateway.deliver().await.delivered, 1);
}

#[tokio::test]
async fn only_the_wanted_types_are_sent() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let types = vec![EventType::ReferralDisclosed.as_str().to_owned()];
    let change = Change { types: Some(types), ..Change::default() };
    service::change(&gateway.relay, &reader(1), subscription.id, change, |_| Ok(())).await.unwrap();
    gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    let event = gateway.event(&reader(1), Happening::ReferralDisclosed { referral: Uuid::nil() });
    gateway
        .write(async move |tx: &mut Tx| {
            outbox::enqueue(tx, &event);
            Ok(())
        })
        .await
        .unwrap();
    gateway.sequence().await;
    assert_eq!(gateway.deliver().await.delivered, 1);
    assert_eq!(receiver.deliveries()[0].json()["type"], EventType::ReferralDisclosed.as_str());
}

#[tokio::test]
async fn another_sink_is_asked_first() {
    let old = Receiver::new();
    let gateway = Gateway::new(Some(&old)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &old.url).await;
    let moved = Change { sink: Some(format!("{}/elsewhere", old.url)), ..Change::default() };
    let (after, _) = service::change(&gateway.relay, &reader(1), subscription.id, moved, |_| Ok(())).await.unwrap();
    assert_eq!((after.status, after.version), (SubscriptionStatus::Pending, 3));
    gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    let report = gateway.deliver().await;
    assert_eq!((report.confirmed, report.delivered), (1, 0));
    assert_eq!(gateway.deliver().await.delivered, 1);
}

#[tokio::test]
async fn during_a_rotation_both_secrets_sign_for_a_day() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, old) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let rotate = Change { rotate_secret: true, ..Change::default() };
    let (_, new) = service::change(&gateway.relay, &reader(1), subscription.id, rotate, |_| Ok(())).await.unwrap();
    let new = new.unwrap();
    let signed = async |secrets: &[SigningSecret]| {
        gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
        assert_eq!(gateway.deliver().await.delivered, 1);
        let request = receiver.deliveries().remove(0);
        let seconds: i64 = request.headers["webhook-timestamp"].parse().unwrap();
        let sent = crate::clock::Timestamp::from_micros(seconds * 1_000_000);
        let expected = signature::header(secrets, &request.headers["webhook-id"], sent, &request.body);
        assert_eq!(request.headers["webhook-signature"], expected);
    };
    signed(&[new.clone(), old]).await;
    gateway.relay.clock.advance(Duration::from_hours(25));
    signed(&[new]).await;
}

#[tokio::test]
async fn nobody_reaches_anothers_subscription() {
    let gateway = Gateway::new(None).await;
    let (subscription, _) = gateway.subscribe(&reader(1), "https://localhost/").await;
    let id = subscription.id;
    let code = |result: Result<(), Problem>| result.unwrap_err().code();
    assert_eq!(code(service::get(&gateway.relay, &reader(2), id).await.map(drop)), Code::NotFound);
    assert_eq!(code(service::delete(&gateway.relay, &reader(2), id, |_| Ok(())).await), Code::NotFound);
    let change = service::change(&gateway.relay, &reader(2), id, Change::default(), |_| Ok(())).await;
    assert_eq!(code(change.map(drop)), Code::NotFound);
    assert!(store::list(&mut gateway.relay.db.reader(), &reader(2), None, 10).await.unwrap().is_empty());
    assert_eq!(store::list(&mut gateway.relay.db.reader(), &reader(1), None, 10).await.unwrap(), [subscription]);
}

#[tokio::test]
async fn a_stale_version_changes_nothing_and_an_ended_subscription_is_gone() {
    let gateway = Gateway::new(None).await;
    let (subscription, _) = gateway.subscribe(&reader(1), "https://localhost/").await;
    let stale = |_| Err(Problem::new(Code::PreconditionFailed, "stale"));
    let change = Change { paused: Some(true), ..Change::default() };
    let refused = service::change(&gateway.relay, &reader(1), subscription.id, change, stale).await;
    assert_eq!(refused.unwrap_err().code(), Code::PreconditionFailed);
    assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Pending);
    gateway.publish(&reader(1), Uuid::nil(), "accepted").await;
    service::delete(&gateway.relay, &reader(1), subscription.id, |_| Ok(())).await.unwrap();
    let gone = service::get(&gateway.relay, &reader(1), subscription.id).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert!(gateway.deliveries(&subscription, None).await.is_empty(), "nothing is left to be pushed");
}

#[tokio::test]
async fn the_secret_is_stored_sealed() {
    let gateway = Gateway::new(None).await;
    let (subscription, secret) = gateway.subscribe(&reader(1), "https://localhost/").await;
    let stored = store::sealed_secret(&mut gateway.relay.db.reader(), subscription.id).await.unwrap().unwrap();
    assert!(!stored.windows(secret.as_bytes().len()).any(|window| window == secret.as_bytes()));
    let opened = service::open_secret(&gateway.relay, subscription.id, &stored).unwrap();
    assert_eq!(opened.as_bytes(), secret.as_bytes());
}

//! The deliverer against a receiver that takes, refuses, redirects, asks for patience, and goes away.

use super::*;

const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);

fn statuses(receiver: &Receiver) -> Vec<String> {
    receiver.deliveries().iter().map(receiver::Request::status).collect()
}

#[tokio::test]
async fn a_delivery_is_a_signed_cloud_event() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (_, secret) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    assert_eq!(receiver.handshakes()[0].headers["webhook-request-origin"], "gateway.example");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut event = gateway.event(&reader(1), Happening::ReferralDisclosed { referral: FIRST });
    event.trace_parent = Some(trace.into());
    let id = event.id.to_string();
    gateway
        .write(async move |tx: &mut Tx| {
            outbox::enqueue(tx, &event);
            Ok(())
        })
        .await
        .unwrap();
    gateway.sequence().await;
    assert_eq!(gateway.deliver().await.delivered, 1);
    let requests = receiver.deliveries();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(request.headers["content-type"], "application/cloudevents+json; charset=utf-8");
    assert_eq!(request.headers["webhook-id"], id);
    assert_eq!(request.headers["traceparent"], trace);
    let seconds: i64 = request.headers["webhook-timestamp"].parse().unwrap();
    let sent = crate::clock::Timestamp::from_micros(seconds * 1_000_000);
    assert_eq!(request.headers["webhook-signature"], signature::header(&[secret], &id, sent, &request.body));
    assert_eq!(request.json()["subject"], FIRST.to_string());
    assert_eq!(request.json()["dataref"], format!("https://gateway.example/v1/referrals/{FIRST}"));
    assert_eq!(gateway.deliver().await, Report::default(), "delivered once");
}

#[tokio::test]
async fn events_of_one_resource_arrive_in_order_and_others_do_not_wait() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    gateway.subscribe_active(&reader(1), &receiver.url).await;
    for status in ["received", "accepted", "completed"] {
        gateway.publish(&reader(1), FIRST, status).await;
    }
    gateway.publish(&reader(1), SECOND, "other").await;
    receiver.answer(|request| if request.status() == "received" { "503 Busy".into() } else { "204 Taken".into() });
    let report = gateway.deliver().await;
    assert_eq!((report.delivered, report.postponed), (1, 1));
    let mut seen = statuses(&receiver);
    seen.sort();
    assert_eq!(seen, ["other", "received"], "what follows in the same referral waits");

    receiver.answer(|_| "204 Taken".into());
    assert_eq!(gateway.deliver().await, Report::default(), "not before its time");
    gateway.relay.clock.advance(Duration::from_secs(3));
    assert_eq!(gateway.deliver().await.delivered, 3);
    assert_eq!(statuses(&receiver), ["received", "accepted", "completed"]);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    gateway.publish(&reader(1), FIRST, "accepted").await;
    receiver.answer(|_| "429 Slow\r\nRetry-After: 3600".into());
    assert_eq!(gateway.deliver().await.postponed, 1);
    let delivery = &gateway.deliveries(&subscription, None).await[0];
    assert_eq!((delivery.last_status, delivery.last_error.as_deref()), (Some(429), Some("status")));
    gateway.relay.clock.advance(Duration::from_secs(3590));
    assert_eq!(gateway.deliver().await, Report::default());
    gateway.relay.clock.advance(Duration::from_secs(20));
    receiver.answer(|_| "200 OK".into());
    assert_eq!(gateway.deliver().await.delivered, 1);
}

#[tokio::test]
async fn after_three_days_it_is_a_dead_letter_that_blocks_nothing_and_can_be_replayed() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let dead = gateway.publish(&reader(1), FIRST, "accepted").await;
    gateway.publish(&reader(1), FIRST, "completed").await;
    receiver.answer(|request| if request.status() == "accepted" { "500 No".into() } else { "200 OK".into() });
    let mut attempts = 0;
    loop {
        let report = gateway.deliver().await;
        attempts += report.postponed + report.dead;
        if report.dead == 1 {
            break;
        }
        assert!(attempts < 40, "never given up");
        gateway.relay.clock.advance(Duration::from_hours(6));
    }
    assert_eq!(attempts, 13, "now, and every six hours for three days");
    assert_eq!(gateway.deliver().await.delivered, 1, "the next event of the referral is free");
    let letters = gateway.deliveries(&subscription, Some(DeliveryStatus::Dead)).await;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].event, letters[0].attempts, letters[0].next_attempt_at), (dead, 13, None));

    receiver.answer(|_| "200 OK".into());
    receiver.deliveries();
    let relay = gateway.relay.clone();
    let id = subscription.id;
    let replay =
        async move |tx: &mut Tx| service::replay(tx, &relay, &reader(1), id, &Selection::Named(vec![dead])).await;
    assert_eq!(gateway.write(replay).await.unwrap(), 1);
    assert_eq!(gateway.deliver().await.delivered, 1);
    assert_eq!(receiver.deliveries()[0].headers["webhook-id"], dead.to_string(), "under the same id");
    assert!(gateway.deliveries(&subscription, Some(DeliveryStatus::Dead)).await.is_empty());
}

#[tokio::test]
async fn everything_since_a_moment_is_replayed_in_order() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    gateway.publish(&reader(1), FIRST, "early").await;
    gateway.relay.clock.advance(Duration::from_hours(1));
    let since = gateway.relay.now();
    gateway.publish(&reader(1), FIRST, "late").await;
    gateway.publish(&reader(1), FIRST, "later").await;
    assert_eq!(gateway.deliver().await.delivered, 3);
    receiver.deliveries();
    let (relay, id) = (gateway.relay.clone(), subscription.id);
    let replay = async move |tx: &mut Tx| service::replay(tx, &relay, &reader(1), id, &Selection::Since(since)).await;
    assert_eq!(gateway.write(replay).await.unwrap(), 2);
    assert_eq!(gateway.deliver().await.delivered, 2);
    assert_eq!(statuses(&receiver), ["late", "later"]);
}

#[tokio::test]
async fn only_own_deliveries_of_an_active_subscription_are_replayed() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    let replay = async |reader: Addressee, selection: Selection| {
        let (relay, id) = (gateway.relay.clone(), subscription.id);
        let job = async move |tx: &mut Tx| service::replay(tx, &relay, &reader, id, &selection).await;
        gateway.write(job).await.map_err(|problem| problem.code())
    };
    let unknown = Selection::Named(vec![Uuid::nil()]);
    assert_eq!(replay(reader(1), unknown.clone()).await, Err(Code::InvalidInput));
    assert_eq!(replay(reader(2), unknown).await, Err(Code::NotFound));
    let change = Change { paused: Some(true), ..Change::default() };
    service::change(&gateway.relay, &reader(1), subscription.id, change, |_| Ok(())).await.unwrap();
    assert_eq!(replay(reader(1), Selection::Since(gateway.relay.now())).await, Err(Code::Conflict));
}

#[tokio::test]
async fn gone_ends_the_subscription() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    gateway.publish(&reader(1), FIRST, "accepted").await;
    gateway.publish(&reader(1), FIRST, "completed").await;
    receiver.answer(|_| "410 Gone".into());
    assert_eq!(gateway.deliver().await.dead, 1);
    assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Ended);
    let dead = gateway.deliveries(&subscription, Some(DeliveryStatus::Dead)).await;
    assert_eq!(dead.len(), 2, "what waited is given up too");
    gateway.publish(&reader(1), FIRST, "failed").await;
    assert_eq!(gateway.deliver().await, Report::default());
    assert_eq!(gateway.deliveries(&subscription, None).await.len(), 2, "nothing new is queued");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let receiver = Receiver::new();
    let elsewhere = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    gateway.publish(&reader(1), FIRST, "accepted").await;
    let location = elsewhere.url.clone();
    receiver.answer(move |_| format!("307 There\r\nLocation: {location}"));
    assert_eq!(gateway.deliver().await.postponed, 1);
    assert!(elsewhere.deliveries().is_empty());
    assert_eq!(gateway.deliveries(&subscription, None).await[0].last_error.as_deref(), Some("redirected"));
}

#[tokio::test]
async fn an_untrusted_certificate_gets_nothing() {
    let trusted = Receiver::new();
    let stranger = Receiver::new();
    let gateway = Gateway::new(Some(&trusted)).await;
    let (subscription, _) = gateway.subscribe(&reader(1), &stranger.url).await;
    assert_eq!(gateway.deliver().await, Report::default());
    assert_eq!(gateway.status(&subscription).await, SubscriptionStatus::Pending);
    assert!(stranger.handshakes().is_empty());
}

#[tokio::test]
async fn a_suspended_organisation_gets_nothing_until_it_is_resumed() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    gateway.subscribe_active(&reader(1), &receiver.url).await;
    gateway.publish(&reader(1), FIRST, "accepted").await;
    gateway.set_organisation(&reader(1), "suspended").await;
    assert_eq!(gateway.deliver().await, Report::default());
    gateway.subscribe(&reader(1), &receiver.url).await;
    assert_eq!(gateway.deliver().await.confirmed, 0, "not even a handshake");
    gateway.set_organisation(&reader(1), "active").await;
    assert_eq!(gateway.deliver().await.delivered, 1);
}

#[tokio::test]
async fn a_lease_keeps_others_away_until_it_ends() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    let (subscription, _) = gateway.subscribe_active(&reader(1), &receiver.url).await;
    gateway.publish(&reader(1), FIRST, "accepted").await;
    gateway.publish(&reader(1), SECOND, "accepted").await;
    let claim = async |name: u128| {
        let (id, now) = (subscription.id, gateway.relay.now());
        let job = async move |tx: &mut Tx| Ok(queue::claim(tx, id, Uuid::from_u128(name), now).await?);
        gateway.write(job).await.unwrap().unwrap().1
    };
    let lost = claim(1).await;
    assert_eq!(lost.len(), 2);
    assert!(claim(2).await.is_empty(), "another gateway finds nothing");
    assert_eq!(gateway.deliver().await, Report::default());

    // the gateway that held the lease is gone; its work is found again, and what it says late counts no more
    gateway.relay.clock.advance(queue::LEASE + Duration::from_secs(1));
    assert_eq!(gateway.deliver().await.delivered, 2);
    let late = queue::Settlement {
        subscription: subscription.id,
        position: lost[0].event.position,
        claim: Uuid::from_u128(1),
        attempts: 1,
        outcome: queue::Outcome::Dead,
        status: None,
        error: Some("timed-out"),
    };
    let now = gateway.relay.now();
    assert!(!gateway.write(async move |tx: &mut Tx| Ok(queue::settle(tx, &late, now).await?)).await.unwrap());
    let delivered = gateway.deliveries(&subscription, Some(DeliveryStatus::Delivered)).await;
    assert_eq!(delivered.iter().map(|delivery| delivery.attempts).collect::<Vec<_>>(), [2, 2]);
}

#[tokio::test]
async fn the_allowed_rate_is_kept() {
    let receiver = Receiver::new();
    let gateway = Gateway::new(Some(&receiver)).await;
    receiver.answer_all(|_| "200 OK\r\nWebHook-Allowed-Origin: *\r\nWebHook-Allowed-Rate: 2".into());
    gateway.subscribe_active(&reader(1), &receiver.url).await;
    for number in 0..5 {
        gateway.publish(&reader(1), Uuid::from_u128(number), "accepted").await;
    }
    assert_eq!(gateway.deliver().await.delivered, 2);
    assert_eq!(gateway.deliver().await, Report::default());
    gateway.relay.clock.advance(Duration::from_secs(61));
    assert_eq!(gateway.deliver().await.delivered, 2);
}

#[tokio::test]
async fn a_slow_receiver_holds_up_no_other() {
    let slow = Receiver::new();
    let quick = Receiver::new();
    let mut gateway = Gateway::new(None).await;
    let settings = EgressSettings {
        allowed: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        trusted_ca: vec![slow.certificate_pem.clone().into_bytes(), quick.certificate_pem.clone().into_bytes()],
        identity: None,
    };
    gateway.relay.egress = Egress::new(settings).unwrap();
    gateway.subscribe_active(&reader(1), &slow.url).await;
    gateway.subscribe_active(&reader(2), &quick.url).await;
    slow.answer(|_| {
        std::thread::sleep(Duration::from_secs(4));
        "200 OK".into()
    });
    let worker = tokio::spawn(deliver::follow(gateway.relay.clone()));
    gateway.publish(&reader(1), FIRST, "accepted").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for number in 0..3 {
        gateway.publish(&reader(2), Uuid::from_u128(number), "accepted").await;
    }
    let started = std::time::Instant::now();
    let mut arrived = 0;
    while arrived < 3 && started.elapsed() < Duration::from_secs(3) {
        arrived += quick.deliveries().len();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.abort();
    assert_eq!(arrived, 3, "after {:?}", started.elapsed());
}

#[tokio::test]
async fn the_gateway_shows_its_certificate_to_who_asked_for_it_only() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::CertifiedIssuer::self_signed(authority, authority_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut own = rcgen::CertificateParams::new(vec![]).unwrap();
    own.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let own = own.signed_by(&key, &authority).unwrap();

    let receiver = Receiver::with_client_authority(authority.der().to_vec());
    let mut gateway = Gateway::new(None).await;
    let folder = gateway.folder.clone();
    for (name, content) in
        [("own.pem", own.pem()), ("key.pem", key.serialize_pem()), ("ca.pem", receiver.certificate_pem.clone())]
    {
        std::fs::write(folder.join(name), content).unwrap();
    }
    gateway.relay.egress = Egress::from_config(&crate::config::RelaySettings {
        allow_loopback: true,
        trusted_ca: vec![folder.join("ca.pem")],
        client_certificate: Some(folder.join("own.pem")),
        client_private_key: Some(folder.join("key.pem")),
        give_up_after: Duration::from_hours(72),
    })
    .unwrap();
    let (subscription, _) = gateway.subscribe(&reader(1), &receiver.url).await;
    assert_eq!(gateway.deliver().await.confirmed, 0, "without mutual TLS the receiver does not let the gateway in");
    let change = Change { mutual_tls: Some(true), ..Change::default() };
    service::change(&gateway.relay, &reader(1), subscription.id, change, |_| Ok(())).await.unwrap();
    gateway.relay.clock.advance(Duration::from_secs(3));
    assert_eq!(gateway.deliver().await.confirmed, 1);
    gateway.publish(&reader(1), FIRST, "accepted").await;
    assert_eq!(gateway.deliver().await.delivered, 1);
}

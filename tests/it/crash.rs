//! The real program, killed under load: what was accepted is there, once; and nothing personal is in what it logged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use sluis::demo::client::{Answer, Request};
use sluis::demo::world::World;

use crate::app::{KREDIETBANK, SMOW};
use crate::process::{DataFolder, Gateway};

const ROUNDS: u32 = 4;
const CLIENTS: u32 = 6;
/// Test numbers of residents (they start with 99999 and pass the eleven-test).
const RESIDENTS: [&str; 3] = ["999990019", "999990020", "999990032"];
const MARK: &str = "mevrouw-Van-der-Geheim-huurschuld";

/// A referral that somebody sent, and the answer if one came.
struct Sent {
    sender: &'static str,
    recipient: &'static str,
    key: String,
    body: Value,
    answer: Option<Answer>,
}

impl Sent {
    fn id(&self) -> &str {
        self.answer.as_ref().unwrap().text_at("/id").unwrap()
    }

    fn request(&self) -> Request {
        let mut request = Request::post("/v1/referrals", self.body.clone());
        request.idempotency_key = Some(self.key.clone());
        request
    }
}

fn resident(number: u32) -> &'static str {
    RESIDENTS[number as usize % RESIDENTS.len()]
}

/// One that the covenant permits: the municipality's about debts, or MEE's with the resident's consent.
fn referral(client: u32, number: u32) -> (&'static str, &'static str, Value) {
    let content = json!({ "text": format!("{MARK} {client}-{number} {}", uuid::Uuid::now_v7()) });
    let section = |category: &str| json!({ "category": category, "content": content });
    let subject = json!({ "bsn": resident(client + number), "ageGroup": "18-plus" });
    if client.is_multiple_of(2) {
        let body = json!({
            "recipient": KREDIETBANK, "purpose": "debt-counselling", "phase": "case", "legalBasis": "wgs",
            "subject": subject, "onWithheld": "minimise", "sections": [section("finance"), section("question")],
        });
        ("gemeente-wassenaar", "kredietbank", body)
    } else {
        let body = json!({
            "recipient": SMOW, "purpose": "welfare-support", "phase": "case", "legalBasis": "consent",
            "subject": subject, "sections": [section("question"), section("social")],
        });
        ("mee", "smow", body)
    }
}

async fn record_consents(world: &World) {
    for bsn in RESIDENTS {
        let now = world.clock().now();
        let consent = json!({
            "kind": "consent", "subject": { "bsn": bsn }, "givenBy": "resident", "explicit": true,
            "recipients": [SMOW], "purposes": ["welfare-support"], "categories": ["question", "social"],
            "validFrom": now.minus(Duration::from_mins(1)), "validUntil": now.plus(Duration::from_hours(48)),
            "obtainedAt": now.minus(Duration::from_mins(2)), "method": "signed-form", "evidenceRef": "DOSSIER-7",
        });
        let mut request = Request::post("/v1/consents", consent);
        request.idempotency_key = Some(world.new_key().unwrap());
        let recorded = world.ask("mee", request).await.unwrap();
        assert_eq!(recorded.status, 201, "{}", recorded.text);
    }
}

/// Sends referrals until the gateway does not answer any more; one that stops may say that it stored nothing (503).
async fn send_until_cut_off(world: Arc<World>, client: u32, answered: Arc<AtomicU32>, may_refuse: bool) -> Vec<Sent> {
    let mut all = Vec::new();
    for number in 0.. {
        let (sender, recipient, body) = referral(client, number);
        let mut sent = Sent { sender, recipient, key: world.new_key().unwrap(), body, answer: None };
        let answer = world.ask(sender, sent.request()).await.ok();
        let answer = answer.filter(|answer| !(may_refuse && answer.status == 503));
        let cut_off = answer.is_none();
        if let Some(answer) = answer {
            assert_eq!(answer.status, 201, "{}", answer.text);
            answered.fetch_add(1, Ordering::Relaxed);
            sent.answer = Some(answer);
        }
        all.push(sent);
        if cut_off {
            break;
        }
    }
    all
}

/// Loads the gateway, kills it in the middle of it, and gives what was sent.
async fn kill_under_load(mut gateway: Gateway, round: u32) -> Vec<Sent> {
    let answered = Arc::new(AtomicU32::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(send_until_cut_off(Arc::clone(&gateway.world), client, Arc::clone(&answered), false))
        })
        .collect();
    // Not before the first answers, then at a moment that nobody chose.
    let start = Instant::now();
    while answered.load(Ordering::Relaxed) < 10 {
        assert!(start.elapsed() < Duration::from_mins(1), "no answers");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let random = uuid::Uuid::now_v7().as_bytes()[15];
    tokio::time::sleep(Duration::from_millis(u64::from(random) * 3 + 50 * u64::from(round))).await;
    gateway.kill();
    let mut sent = Vec::new();
    for client in clients {
        sent.extend(client.await.unwrap());
    }
    sent
}

async fn ask(world: &World, who: &str, path: &str) -> Answer {
    let answer = world.ask(who, Request::get(path)).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer
}

/// All items of a collection.
pub async fn all_items(world: &World, who: &str, path: &str) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let page = ask(world, who, &path).await;
        items.extend(page.body["items"].as_array().unwrap().iter().cloned());
        next = page.text_at("/next").map(str::to_owned);
    }
    items
}

/// How often each referral occurs in these items, under the member that names it.
pub fn counts<'a>(items: &'a [Value], member: &str) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item.pointer(member).and_then(Value::as_str).unwrap_or_default()).or_default() += 1;
    }
    counts
}

/// The whole feed of an organisation, once everything committed has its position.
pub async fn whole_feed(world: &World, who: &str, at_least: usize) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let (mut items, mut path) = (Vec::new(), "/v1/events?limit=1000".to_owned());
        loop {
            let page = ask(world, who, &path).await;
            let events = page.body["items"].as_array().unwrap();
            if events.is_empty() {
                break;
            }
            items.extend(events.iter().cloned());
            page.text_at("/next").unwrap().clone_into(&mut path);
        }
        let requested = items.iter().filter(|event| event["type"] == "nl.sluis.referral.requested.v1").count();
        if requested >= at_least {
            return items;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{requested} of {at_least} events after 20 s");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Everybody repeats what it sent, whether an answer came or not: the same answer where there was one, and one referral each.
async fn repeat_all(world: &World, sent: &mut [Sent]) {
    let repeats: Vec<Answer> = stream::iter(sent.iter())
        .map(async |sent| world.ask(sent.sender, sent.request()).await.unwrap())
        .buffered(8)
        .collect()
        .await;
    for (sent, repeat) in sent.iter_mut().zip(repeats) {
        assert_eq!(repeat.status, 201, "{}", repeat.text);
        if let Some(first) = &sent.answer {
            assert_eq!((&first.text, &first.headers["location"]), (&repeat.text, &repeat.headers["location"]));
        }
        sent.answer = Some(repeat);
    }
}

/// Every referral of all rounds is there exactly once, with its event and its two records; `fresh` also with its content.
async fn check_everything(world: &World, earlier: &[Sent], fresh: &[Sent]) {
    for (sender, recipient) in [("gemeente-wassenaar", "kredietbank"), ("mee", "smow")] {
        let ids: Vec<&str> = earlier.iter().chain(fresh).filter(|sent| sent.sender == sender).map(Sent::id).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "each request made one of its own");
        let once: BTreeMap<&str, usize> = unique.iter().map(|id| (*id, 1)).collect();
        for (who, role) in [(sender, "sender"), (recipient, "recipient")] {
            let referrals = all_items(world, who, &format!("/v1/referrals?limit=1000&role={role}")).await;
            assert_eq!(counts(&referrals, "/id"), once, "{who}: neither lost nor doubled");
            let records = all_items(world, who, "/v1/audit/records?limit=1000&kind=decision").await;
            assert_eq!(counts(&records, "/referral"), once, "{who}: one record of each decision");
        }
        let feed = whole_feed(world, recipient, ids.len()).await;
        let positions: Vec<String> = feed.iter().map(|event| event["sequence"].as_str().unwrap().to_owned()).collect();
        assert_eq!(positions, (1..=feed.len()).map(|number| number.to_string()).collect::<Vec<_>>());
        let requested: Vec<Value> =
            feed.into_iter().filter(|event| event["type"] == "nl.sluis.referral.requested.v1").collect();
        assert_eq!(counts(&requested, "/subject"), once, "{recipient}: one event for each");
    }
    let contents = stream::iter(fresh)
        .map(async |sent| ask(world, sent.recipient, &format!("/v1/referrals/{}/sections", sent.id())).await)
        .buffered(8);
    let contents: Vec<Answer> = contents.collect().await;
    for (sent, content) in fresh.iter().zip(contents) {
        assert_eq!(content.body["sections"], sent.body["sections"]);
    }
}

fn nothing_personal_in(log: &str) {
    let personal = RESIDENTS.iter().copied().chain([MARK, "Geheim", "huurschuld", "DOSSIER-7"]);
    for needle in personal {
        let place = log.lines().find(|line| line.contains(needle));
        assert!(place.is_none(), "{needle} is in the log: {place:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_survives_a_kill_under_load_and_is_there_once() {
    let folder = DataFolder::found("crash").await;
    let mut all: Vec<Sent> = Vec::new();
    let mut gateway = folder.serve("debug");
    record_consents(&gateway.world).await;
    for round in 0..ROUNDS {
        let mut sent = kill_under_load(gateway, round).await;
        let answered = sent.iter().filter(|sent| sent.answer.is_some()).count();
        gateway = folder.serve("debug");
        repeat_all(&gateway.world, &mut sent).await;
        check_everything(&gateway.world, &all, &sent).await;
        let (code, report) = folder.verify();
        assert_eq!(code, Some(0), "round {round}: {report}");
        println!("round {round}: {answered} answered, {} cut off", sent.len() - answered);
        all.extend(sent);
    }
    gateway.stop().await;
    let (code, report) = folder.verify();
    assert_eq!((code, &report["unsequenced"]), (Some(0), &json!(0)), "{report}");
    let log = folder.said();
    assert!(log.contains("answered"), "it does log: {log}");
    nothing_personal_in(&log);
    folder.remove();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn even_the_most_talkative_log_holds_nothing_personal() {
    let folder = DataFolder::found("talkative").await;
    let gateway = folder.serve("trace");
    record_consents(&gateway.world).await;
    let (sender, recipient, body) = referral(1, 0);
    let mut sent = Sent { sender, recipient, key: gateway.world.new_key().unwrap(), body, answer: None };
    repeat_all(&gateway.world, std::slice::from_mut(&mut sent)).await;
    check_everything(&gateway.world, &[], std::slice::from_ref(&sent)).await;
    // And what is refused: a body with a mistake, one that is no JSON object, an unknown path.
    let mut wrong = sent.body.clone();
    wrong["subject"]["bsn"] = json!("999990018");
    wrong["recipient"] = json!(MARK);
    for request in [Request::post("/v1/referrals", wrong), Request::post("/v1/referrals", json!(MARK))] {
        let mut request = request;
        request.idempotency_key = Some(gateway.world.new_key().unwrap());
        assert_eq!(gateway.world.ask(sender, request).await.unwrap().status, 400);
    }
    gateway.stop().await;
    let log = folder.said();
    assert!(log.contains("TRACE"), "{log}");
    nothing_personal_in(&log);
    folder.remove();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_answers_what_is_under_way_and_ends_in_time() {
    let folder = DataFolder::found("sigterm").await;
    let mut gateway = folder.serve("info");
    record_consents(&gateway.world).await;
    let world = Arc::clone(&gateway.world);
    let answered = Arc::new(AtomicU32::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(send_until_cut_off(Arc::clone(&world), client, Arc::clone(&answered), true)))
        .collect();
    let end = ask(&world, "jgz", "/v1/events?limit=1000").await.text_at("/next").unwrap().to_owned();
    let waiting = |seconds: u32| {
        let (world, path) = (Arc::clone(&world), end.replace("wait=0", &format!("wait={seconds}")));
        tokio::spawn(async move { world.ask("jgz", Request::get(path)).await })
    };
    let waiting = [waiting(3), waiting(50)];
    while answered.load(Ordering::Relaxed) < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    gateway.terminate();
    let told = Instant::now();
    let status = gateway.ended(Duration::from_secs(9)).await;
    assert!(status.success(), "{status}");
    // The demo's configuration gives requests under way five seconds; open connections of HTTP/2 do not use them up.
    assert!(told.elapsed() < Duration::from_secs(4), "ended after {:?}", told.elapsed());
    for waiting in waiting {
        let answer = waiting.await.unwrap().expect("who waits for events is answered");
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let mut sent = Vec::new();
    for client in clients {
        sent.extend(client.await.unwrap());
    }
    let gateway = folder.serve("info");
    repeat_all(&gateway.world, &mut sent).await;
    check_everything(&gateway.world, &[], &sent).await;
    gateway.stop().await;
    assert_eq!(folder.verify().0, Some(0));
    folder.remove();
}

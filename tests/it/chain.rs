//! The closed chain: somebody holds every referral, a clock runs for them, and a missed deadline is noticed by the gateway.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sluis::app::Application;
use sluis::clock::Clock;
use sluis::config;
use sluis::demo::client::{Answer, Request};
use sluis::demo::evening::any_port;
use sluis::demo::folder::Folder;
use sluis::demo::founding;
use sluis::ids::Entropy;
use sluis::referrals::watch;

use crate::app::{KREDIETBANK, MUNICIPALITY, SMOW, TestApp, debts, fresh_storage, with_sections};

const KWADRAAD: &str = "00000099000000003000";
const DAY: Duration = Duration::from_hours(24);

/// A referral of debts by the municipality to the credit bank, by its path.
pub async fn debts_at_the_bank(app: &TestApp) -> String {
    let created = app.refer("gemeente-wassenaar", debts(), &["question", "finance"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    created.headers["location"].clone()
}

pub async fn step(app: &TestApp, who: &str, path: &str, body: Value) -> Answer {
    app.post(who, format!("{path}/updates"), body).await
}

async fn reject(app: &TestApp, path: &str) {
    let rejected = step(app, "kredietbank", path, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    assert_eq!(rejected.status, 201, "{}", rejected.text);
}

pub async fn begin(app: &TestApp, path: &str) {
    for status in ["accepted", "in-progress"] {
        assert_eq!(step(app, "kredietbank", path, json!({ "status": status })).await.status, 201);
    }
}

/// Lets the running deadline of a referral of the municipality pass, and the gateway look.
async fn let_pass(app: &TestApp, path: &str) {
    let_pass_of(app, "gemeente-wassenaar", path).await;
}

/// The same of a referral of this party.
pub async fn let_pass_of(app: &TestApp, party: &str, path: &str) {
    let due = app.get(party, path).await.body["dueAt"].as_str().unwrap().to_owned();
    let due: sluis::clock::Timestamp = due.parse().unwrap();
    let left = due.as_micros() - app.app().now().as_micros();
    app.world().clock().advance(Duration::from_micros(u64::try_from(left).unwrap()));
    watch::deadlines(app.app()).await.unwrap();
}

/// The types and data of the events of a feed, newest last.
pub async fn events(app: &TestApp, who: &str) -> Vec<(String, Value)> {
    app.app().sequence().await.unwrap();
    let feed = app.get(who, "/v1/events?limit=1000").await;
    let items = feed.body["items"].as_array().unwrap();
    items.iter().map(|event| (event["type"].as_str().unwrap().to_owned(), event["data"].clone())).collect()
}

pub async fn count(app: &TestApp, who: &str, kind: &str) -> usize {
    events(app, who).await.iter().filter(|(found, _)| found == kind).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_anything_was_agreed_on_there_is_nothing_to_watch() {
    let name = format!("sluis-watch-{}", std::process::id());
    let folder = std::env::temp_dir().join(&name);
    std::fs::create_dir_all(&folder).unwrap();
    let data = Folder::open(&folder).unwrap();
    let clock = Clock::movable();
    founding::prepare(&data, any_port().unwrap(), &Entropy::system(), clock.now()).unwrap();
    let storage = ("SLUIS_STORAGE__URL".to_owned(), fresh_storage(&folder, &name).await);
    let config = config::load(&data.file("sluis.toml"), [storage]).unwrap();
    let application = Application::build(config, clock).await.unwrap();
    watch::parties(&application.app).await.unwrap();
    watch::deadlines(&application.app).await.unwrap();
    sluis::cases::sweep(&application.app).await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_deadline_is_told_once_to_both_parties_and_the_monitor() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    watch::deadlines(app.app()).await.unwrap();
    assert_eq!(count(&app, "kredietbank", "nl.sluis.referral.overdue.v1").await, 0, "it is not late yet");
    let_pass(&app, &path).await;
    watch::deadlines(app.app()).await.unwrap();
    for who in ["gemeente-wassenaar", "kredietbank"] {
        assert_eq!(count(&app, who, "nl.sluis.referral.overdue.v1").await, 1, "{who}");
    }
    let told = events(&app, "gemeente-wassenaar").await;
    let (_, handoff) = told.iter().find(|(kind, _)| kind == "nl.sluis.handoff.overdue.v1").unwrap();
    assert!(!path.ends_with(handoff["handoff"].as_str().unwrap()), "the monitor knows it by an id of its own");
    let seen = app.get("kredietbank", &path).await;
    assert_eq!(seen.body["businessStatus"], "overdue");
    assert_eq!(seen.body["holder"], KREDIETBANK, "the one who is late still holds it, with a new deadline");
    assert!(seen.body["dueAt"].is_string());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_a_step_came_too_late_is_told_before_the_step() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    app.world().clock().advance(20 * DAY);
    assert_eq!(step(&app, "kredietbank", &path, json!({ "status": "accepted" })).await.status, 201);
    let told = events(&app, "gemeente-wassenaar").await;
    let told = told.iter().filter(|(_, data)| path.ends_with(data["referral"].as_str().unwrap_or("none")));
    let kinds: Vec<_> = told.map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["nl.sluis.referral.overdue.v1", "nl.sluis.referral.status-updated.v1"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_late_twice_can_be_given_to_somebody_else_and_not_before() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    let elsewhere =
        json!({ "recipient": SMOW, "purpose": "welfare-support", "legalBasis": "wmo-2015", "onWithheld": "minimise" });
    let reassign = || app.post("gemeente-wassenaar", format!("{path}/reassignments"), elsewhere.clone());
    assert_eq!(reassign().await.status, 409, "nobody is late");
    let_pass(&app, &path).await;
    assert_eq!(reassign().await.status, 409, "late once");
    let_pass(&app, &path).await;
    let foreign = app.post("kredietbank", format!("{path}/reassignments"), elsewhere.clone()).await;
    assert_eq!(foreign.status, 409, "not by its recipient");
    let child = reassign().await;
    assert_eq!(child.status, 201, "{}", child.text);
    assert_eq!(child.body["sender"], MUNICIPALITY, "the original sender sends it");
    let decided: Vec<_> =
        child.body["decision"]["sections"].as_array().unwrap().iter().map(|s| s["effect"].clone()).collect();
    assert_eq!(decided, ["permit", "withhold"], "decided anew: SMOW does not get finance");
    let parent = app.get("kredietbank", &path).await;
    assert_eq!(parent.body["status"], "cancelled");
    assert_eq!(parent.body["statusReason"], "reassigned");
    assert_eq!(parent.body["holder"], Value::Null);
    assert!(!parent.text.contains(SMOW), "the earlier recipient does not learn who has it now");
    let content = app.get("smow", format!("{}/sections", child.headers["location"])).await;
    let categories: Vec<_> =
        content.body["sections"].as_array().unwrap().iter().map(|s| s["category"].clone()).collect();
    assert_eq!(categories, ["question"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_referral_goes_on_in_one_call_and_a_refused_one_changes_nothing() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    let onward = |purpose: &str, basis: &str| json!({ "recipient": SMOW, "purpose": purpose, "legalBasis": basis, "onWithheld": "minimise" });
    let refer_on = |body: Value| app.post("gemeente-wassenaar", format!("{path}/re-referrals"), body);
    assert_eq!(refer_on(onward("welfare-support", "wmo-2015")).await.status, 409, "it has not ended");
    reject(&app, &path).await;
    let refused = refer_on(onward("debt-counselling", "wgs")).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(app.get("gemeente-wassenaar", &path).await.body["holder"], MUNICIPALITY, "the sender still holds it");
    let child = refer_on(onward("welfare-support", "wmo-2015")).await;
    assert_eq!(child.status, 201, "{}", child.text);
    let parent = app.get("gemeente-wassenaar", &path).await;
    assert_eq!((&parent.body["status"], &parent.body["businessStatus"]), (&json!("rejected"), &json!("referred-on")));
    assert_eq!(parent.body["holder"], Value::Null);
    assert!(child.body["basedOn"].is_string() && path.ends_with(child.body["basedOn"].as_str().unwrap()));
    let theirs = app.get("smow", child.headers["location"].as_str()).await;
    assert!(theirs.body.get("basedOn").is_none(), "where it came from is the sender's affair");
    assert_eq!(refer_on(onward("welfare-support", "wmo-2015")).await.status, 409, "its chain goes on elsewhere");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_referral_based_on_an_ended_one_takes_over_its_chain() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    reject(&app, &path).await;
    let mut again = debts();
    again["basedOn"] = path.rsplit('/').next().unwrap().into();
    let child = app.refer("gemeente-wassenaar", again, &["question"]).await;
    assert_eq!(child.status, 201, "{}", child.text);
    assert_eq!(app.get("gemeente-wassenaar", &path).await.body["businessStatus"], "referred-on");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_ended_by_its_holder_alone_with_an_outcome() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    let resolve = |who: &'static str| app.post(who, format!("{path}/resolutions"), json!({ "outcome": "not-helped" }));
    assert_eq!(resolve("gemeente-wassenaar").await.status, 409, "it has not ended");
    reject(&app, &path).await;
    assert_eq!(resolve("kredietbank").await.status, 409, "the sender holds it");
    assert_eq!(resolve("smow").await.status, 404);
    let resolved = resolve("gemeente-wassenaar").await;
    assert_eq!(resolved.status, 201, "{}", resolved.text);
    assert_eq!((&resolved.body["operation"], &resolved.body["holder"]), (&json!("resolutions"), &Value::Null));
    assert_eq!(app.get("kredietbank", &path).await.body["status"], "rejected", "the status stays");
    assert_eq!(resolve("gemeente-wassenaar").await.status, 409);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_partner_steps_up_the_municipality_holds_without_seeing_what_it_is_about() {
    let app = TestApp::start().await;
    let consent = crate::app::consent(&app, KREDIETBANK, "debt-counselling", &["question", "contact"]);
    assert_eq!(app.post("smow", "/v1/consents", consent).await.status, 201);
    let created =
        app.refer("smow", crate::app::by_consent(KREDIETBANK, "debt-counselling"), &["question", "contact"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.headers["location"].clone();
    assert_eq!(app.get("gemeente-wassenaar", &path).await.status, 404);
    reject(&app, &path).await;
    let step_up = json!({ "businessStatus": "stepped-up" });
    assert_eq!(
        app.post("kredietbank", format!("{path}/step-ups"), step_up.clone()).await.status,
        409,
        "not its holder"
    );
    let stepped_up = app.post("smow", format!("{path}/step-ups"), step_up).await;
    assert_eq!(stepped_up.status, 201, "{}", stepped_up.text);
    assert_eq!(stepped_up.body["holder"], MUNICIPALITY);
    let seen = app.get("gemeente-wassenaar", &path).await;
    assert_eq!(seen.status, 200);
    for hidden in ["purpose", "phase", "legalBasis", "subject", "statusReason", "outcome", "decision"] {
        assert!(seen.body.get(hidden).is_none(), "{hidden}");
    }
    assert_eq!(app.get("gemeente-wassenaar", format!("{path}/sections")).await.status, 404);
    let told = events(&app, "gemeente-wassenaar").await;
    assert!(told.iter().any(|(_, data)| data["operation"] == "step-ups"), "{told:?}");
    let mut request = Request::post(format!("{path}/resolutions"), json!({ "outcome": "partly-helped" }));
    request.idempotency_key = Some(app.world().new_key().unwrap());
    let resolved = app.ask("gemeente-wassenaar", request.clone()).await;
    assert_eq!(resolved.status, 201, "{}", resolved.text);
    assert_eq!(app.get("gemeente-wassenaar", &path).await.status, 404, "it is no longer the municipality's");
    let repeated = app.ask("gemeente-wassenaar", request).await;
    assert_eq!((repeated.status, repeated.body), (201, resolved.body), "who repeats gets its own first answer");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_municipality_finds_what_it_holds_and_hears_when_it_no_longer_does() {
    let app = TestApp::start().await;
    let held = async |who: &'static str| {
        let page = app.get(who, "/v1/referrals?role=holder").await;
        assert_eq!(page.status, 200, "{}", page.text);
        page.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let consent = crate::app::consent(&app, KREDIETBANK, "debt-counselling", &["question", "contact"]);
    assert_eq!(app.post("smow", "/v1/consents", consent).await.status, 201);
    let created =
        app.refer("smow", crate::app::by_consent(KREDIETBANK, "debt-counselling"), &["question", "contact"]).await;
    let path = created.headers["location"].clone();
    let id = created.body["id"].as_str().unwrap().to_owned();
    let this = std::slice::from_ref(&id);
    assert_eq!(held("kredietbank").await, this);
    assert!(held("smow").await.is_empty() && held("gemeente-wassenaar").await.is_empty(), "others hold nothing");
    reject(&app, &path).await;
    assert_eq!(held("smow").await, this, "the ball is back");
    assert_eq!(
        app.post("smow", format!("{path}/step-ups"), json!({ "businessStatus": "stepped-up" })).await.status,
        201
    );
    assert_eq!(held("gemeente-wassenaar").await, this);
    let page = app.get("gemeente-wassenaar", "/v1/referrals?role=holder").await;
    for hidden in ["purpose", "phase", "legalBasis", "subject", "statusReason", "outcome", "decision"] {
        assert!(page.body["items"][0].get(hidden).is_none(), "{hidden}");
    }
    assert_eq!(
        app.get("gemeente-wassenaar", "/v1/referrals").await.body["items"],
        json!([]),
        "it neither sent nor got it"
    );
    let before = events(&app, "gemeente-wassenaar").await.len();
    let onward = json!({ "recipient": KWADRAAD, "purpose": "social-work" });
    let consent = crate::app::consent(&app, KWADRAAD, "social-work", &["question", "contact"]);
    assert_eq!(app.post("smow", "/v1/consents", consent).await.status, 201);
    let gone_on = app.post("smow", format!("{path}/re-referrals"), onward).await;
    assert_eq!(gone_on.status, 201, "{}", gone_on.text);
    assert!(held("gemeente-wassenaar").await.is_empty());
    let told = events(&app, "gemeente-wassenaar").await;
    let news: Vec<_> = told[before..].iter().filter(|(_, data)| data["operation"] == "re-referrals").collect();
    assert_eq!(news.len(), 1, "{told:?}");
    assert!(!format!("{:?}", &told[before..]).contains(KWADRAAD), "to whom is not its affair: {told:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_has_begun_is_called_off_only_with_the_recipients_consent() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    begin(&app, &path).await;
    let call_off = json!({ "status": "cancelled", "statusReason": "no-longer-needed" });
    assert_eq!(step(&app, "gemeente-wassenaar", &path, call_off.clone()).await.status, 409);
    assert_eq!(step(&app, "kredietbank", &path, call_off.clone()).await.status, 409, "nobody asked");
    let ask = || {
        app.post(
            "gemeente-wassenaar",
            format!("{path}/cancellation-requests"),
            json!({ "statusReason": "no-longer-needed" }),
        )
    };
    assert_eq!(ask().await.status, 201);
    assert_eq!(ask().await.status, 409, "asked already");
    let refusal = |reason: &str| {
        app.post("kredietbank", format!("{path}/cancellation-refusals"), json!({ "statusReason": reason }))
    };
    assert_eq!(refusal("duplicate").await.status, 400, "not a reason to go on");
    assert_eq!(refusal("nearly-done").await.status, 201);
    assert_eq!(refusal("nearly-done").await.status, 409, "answered already");
    assert_eq!(ask().await.status, 201, "asked again");
    let granted = step(&app, "kredietbank", &path, call_off).await;
    assert_eq!(granted.status, 201, "{}", granted.text);
    assert_eq!(granted.body["holder"], MUNICIPALITY, "the chain is not closed");
    let asked = app.get("kredietbank", format!("{path}/cancellation-requests")).await;
    assert_eq!(asked.body["items"].as_array().map(Vec::len), Some(2));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supplement_answers_a_question_and_is_decided_on_like_a_referral() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    let add = |category: &str| {
        let body = json!({ "sections": [{ "category": category, "content": { "text": category } }] });
        app.post("gemeente-wassenaar", format!("{path}/supplements"), body)
    };
    let early = add("housing").await;
    assert_eq!(early.status, 201, "{}", early.text);
    assert_eq!(early.body["status"], "requested", "nothing was asked: the status stays");
    let ask = json!({ "status": "on-hold", "statusReason": "information-requested" });
    assert_eq!(step(&app, "kredietbank", &path, json!({ "status": "received" })).await.status, 201);
    assert_eq!(step(&app, "kredietbank", &path, ask).await.status, 201);
    assert_eq!(add("mental-health").await.status, 403, "never to the credit bank");
    assert_eq!(app.get("kredietbank", &path).await.body["status"], "on-hold");
    let answered = add("contact").await;
    assert_eq!((answered.status, &answered.body["status"]), (201, &json!("received")), "{}", answered.text);
    let sections = format!("{}/sections", answered.headers["location"]);
    assert_eq!(app.get("kredietbank", &sections).await.body["sections"][0]["category"], "contact");
    assert_eq!(app.get("smow", sections).await.status, 404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_of_it_the_recipient_reads_first_is_the_pick_up() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    let supplement = with_sections(json!({}), &["housing"]);
    let added = app.post("gemeente-wassenaar", format!("{path}/supplements"), supplement).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let (supplement, own) = (format!("{}/sections", added.headers["location"]), format!("{path}/sections"));
    // Whoever added it reads its own words, and strangers nothing: neither picks anything up.
    assert_eq!(app.get("gemeente-wassenaar", &supplement).await.status, 200);
    assert_eq!(app.get("smow", &supplement).await.status, 404);
    let waiting = app.get("kredietbank", &path).await;
    assert_eq!((&waiting.body["status"], &waiting.body["version"]), (&json!("requested"), &json!(2)));
    let picked_up = async || {
        let steps = app.get("gemeente-wassenaar", format!("{path}/updates")).await;
        let received = steps.body["items"].as_array().unwrap().iter().filter(|step| step["status"] == "received");
        let by: Vec<Value> = received.map(|step| json!([step["by"], step["operation"], step["version"]])).collect();
        let events = events(&app, "gemeente-wassenaar").await;
        let told = events
            .iter()
            .filter(|(kind, data)| kind == "nl.sluis.referral.status-updated.v1" && data["status"] == "received");
        (by, told.count())
    };
    assert_eq!(picked_up().await, (vec![], 0));
    let due = waiting.body["dueAt"].clone();
    assert_eq!(app.get("kredietbank", &supplement).await.status, 200);
    let seen = app.get("kredietbank", &path).await;
    assert_eq!((&seen.body["status"], &seen.body["version"]), (&json!("received"), &json!(3)));
    assert_ne!(seen.body["dueAt"], due, "the clock of the decision runs");
    let once = (vec![json!([KREDIETBANK, "updates", 3])], 1);
    assert_eq!(picked_up().await, once);
    for again in [&own, &supplement] {
        assert_eq!(app.get("kredietbank", again).await.status, 200);
    }
    assert_eq!(picked_up().await, once, "there is one first time");
    let error = json!({ "status": "entered-in-error", "statusReason": "wrong-resident" });
    assert_eq!(step(&app, "gemeente-wassenaar", &path, error).await.status, 409, "it was handed over");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_with_the_end_is_read_and_what_was_called_off_is_not() {
    let app = TestApp::start().await;
    let calls_off = |reason: &str| json!({ "status": "cancelled", "statusReason": reason });
    let turns_down = json!({ "status": "rejected", "statusReason": "not-eligible" });
    for granted in [false, true] {
        let path = debts_at_the_bank(&app).await;
        let ends = if granted {
            begin(&app, &path).await;
            let asked = json!({ "statusReason": "no-longer-needed" });
            let asked = app.post("gemeente-wassenaar", format!("{path}/cancellation-requests"), asked).await;
            assert_eq!(asked.status, 201, "{}", asked.text);
            calls_off("no-longer-needed")
        } else {
            turns_down.clone()
        };
        let ended = step(&app, "kredietbank", &path, with_sections(ends, &["question"])).await;
        assert_eq!((ended.status, &ended.body["categories"]), (201, &json!(["question"])), "{}", ended.text);
        let note = format!("{}/sections", ended.headers["location"]);
        let read = app.get("gemeente-wassenaar", &note).await;
        assert_eq!((read.status, &read.body["sections"][0]["category"]), (200, &json!("question")), "{}", read.text);
        assert_eq!(app.get("smow", &note).await.status, 404);
        let refused = app.get("kredietbank", format!("{path}/sections")).await;
        assert_eq!((refused.status, refused.text_at("/code")), (403, Some("disclosure-refused")), "{}", refused.text);
    }
    // A sender says nothing more with calling off: nobody would get it.
    let path = debts_at_the_bank(&app).await;
    let refused =
        step(&app, "gemeente-wassenaar", &path, with_sections(calls_off("sent-in-error"), &["question"])).await;
    assert_eq!((refused.status, refused.text_at("/invalidParams/0/name")), (400, Some("sections")), "{}", refused.text);
    assert_eq!(app.get("kredietbank", &path).await.body["status"], "requested");
    assert_eq!(step(&app, "gemeente-wassenaar", &path, calls_off("sent-in-error")).await.status, 201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_to_decide_is_extended_once() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    let extend = |who: &'static str| {
        app.post(who, format!("{path}/extensions"), json!({ "businessStatus": "under-examination" }))
    };
    assert_eq!(extend("kredietbank").await.status, 409, "not received yet");
    assert_eq!(step(&app, "kredietbank", &path, json!({ "status": "received" })).await.status, 201);
    let before = app.get("kredietbank", &path).await.body["dueAt"].clone();
    assert_eq!(extend("gemeente-wassenaar").await.status, 409);
    let extended = extend("kredietbank").await;
    assert_eq!(extended.status, 201, "{}", extended.text);
    assert!(extended.body["dueAt"].as_str() > before.as_str());
    assert_eq!(extend("kredietbank").await.status, 409);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_suspended_is_replaced_and_takes_up_its_work_when_it_is_back() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    begin(&app, &path).await;
    watch::parties(app.app()).await.unwrap();
    let set = |status: &'static str| {
        let body = json!({ "status": status });
        let path = format!("/v1/organisations/{KREDIETBANK}");
        app.ask("administrator", Request { method: Method::PATCH, ..Request::post(path, body) })
    };
    let due = app.get("gemeente-wassenaar", &path).await.body["dueAt"].clone();
    assert_eq!(set("suspended").await.status, 200);
    watch::parties(app.app()).await.unwrap();
    assert_eq!(app.get("gemeente-wassenaar", &path).await.body["holder"], MUNICIPALITY, "the other party stands in");
    app.world().clock().advance(DAY);
    assert_eq!(set("active").await.status, 200);
    watch::parties(app.app()).await.unwrap();
    let back = app.get("gemeente-wassenaar", &path).await;
    assert_eq!(back.body["holder"], KREDIETBANK);
    assert!(back.body["dueAt"].as_str() > due.as_str(), "the time in which it could not work is added");
    assert_eq!(set("suspended").await.status, 200);
    watch::parties(app.app()).await.unwrap();
    let call_off = json!({ "status": "cancelled", "statusReason": "no-longer-needed" });
    let called_off = step(&app, "gemeente-wassenaar", &path, call_off).await;
    assert_eq!(called_off.status, 201, "who stands in may act: {}", called_off.text);
    app.finish().await;
}

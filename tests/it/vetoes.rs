//! The safety veto: to its holder it is a wall, and to everybody else it is not there. What must not be seen is looked for in two gateways whose clocks
//! stand at the same moment: one with a veto, one in which something ordinary was done instead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluis::args;
use sluis::clock::{Clock, Timestamp};
use sluis::demo::client::{Answer, Client, Request};
use sluis::ids::Oin;
use sluis::organisations::Role;
use sluis::storage::Query as _;
use sluis::subjects::Bsn;
use sluis::vetoes::{self, Withheld};

use crate::app::{BSN, KREDIETBANK, KWADRAAD, MEE, SMOW, TestApp, by_consent, consent, postgres, with_sections};
use crate::consistency::{Neighbour, finish, the_log_holds};
use crate::emergencies::{by, officer_of};
use crate::withdrawal::{items, put_on_record, read, referred};

pub const VETOES: &str = "/v1/vetoes";
const NO_ID: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7cffff";
pub const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

fn about(bsn: &str) -> Value {
    json!({ "subject": { "bsn": bsn } })
}

pub async fn set(app: &TestApp, who: &str) -> String {
    let answer = app.post(who, VETOES, about(BSN)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.text_at("/id").unwrap().to_owned()
}

/// MEE may give SMOW what it asks for, and asks it once.
pub async fn acquainted(app: &TestApp) -> String {
    put_on_record(app, "mee", consent(app, SMOW, "welfare-support", &["question", "social"])).await;
    referred(app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await
}

fn asking() -> Value {
    with_sections(by_consent(SMOW, "welfare-support"), &["question"])
}

pub async fn step(app: &TestApp, who: &str, path: &str, body: Value) {
    let taken = app.post(who, format!("{path}/updates"), body).await;
    assert_eq!(taken.status, 201, "{}", taken.text);
}

fn is_vetoed(answer: &Answer) {
    assert_eq!((answer.status, answer.text_at("/code")), (403, Some("safety-veto")), "{}", answer.text);
    assert!(answer.body.get("decision").is_none(), "{}", answer.text);
}

/// What an answer shows, without what differs between any two of them.
fn shown(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let varies = ["date", "traceresponse", "x-request-id"];
    let headers = answer.headers.iter().filter(|(name, _)| !varies.contains(&name.as_str()));
    (answer.status, answer.text.clone(), headers.map(|(name, value)| (name.clone(), value.clone())).collect())
}

// ---- comparing two gateways ----------------------------------------------------------------------------------------------------

/// Everybody but MEE's own system, and what each can ask.
const READERS: [&str; 8] =
    ["smow", "kwadraad", "jgz", "kredietbank", "gemeente-wassenaar", "monitor", "privacy-officer", "administrator"];
const LISTS: [&str; 15] = [
    "/v1/referrals",
    "/v1/referrals?role=holder",
    "/v1/cases",
    "/v1/consents",
    "/v1/consent-confirmations",
    "/v1/capacity-notices",
    "/v1/emergency-accesses",
    "/v1/reviews",
    "/v1/events?limit=1000",
    "/v1/subscriptions",
    "/v1/handoffs",
    "/v1/handoffs/summary",
    "/v1/handoffs/needs",
    VETOES,
    "/v1/audit/records?limit=1000",
];

/// The same without what is random: identifiers, pseudonyms, traces, and where the gateway listens.
fn plain(value: &Value, base: &str) -> Value {
    match value {
        Value::String(text) => without_ids(&text.replace(base, "")).into(),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(|one| plain(one, base)).collect();
            // Identifiers of one moment come in any order.
            list.sort_by_key(Value::to_string);
            list.into()
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                // Where somebody's system happens to listen in this test.
                let traced =
                    ["receipt", "sink", "traceId", "spanId", "parentSpanId", "traceparent"].contains(&name.as_str());
                (name.clone(), if traced { "<trace>".into() } else { plain(value, base) })
            })
            .collect(),
        other => other.clone(),
    }
}

fn without_ids(text: &str) -> String {
    if text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return "<pseudonym>".to_owned();
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let is_id = rest.get(..36).is_some_and(|start| start.parse::<uuid::Uuid>().is_ok());
        let taken = if is_id { 36 } else { first.len_utf8() };
        out.push_str(if is_id { "<id>" } else { &rest[..taken] });
        rest = &rest[taken..];
    }
    out
}

/// How many different values there are of what joins records: two steps of one request look otherwise than two requests.
fn joined(records: &[Value]) -> Value {
    let number = |name: &str| records.iter().map(|one| one[name].to_string()).collect::<BTreeSet<_>>().len();
    json!(["requestId", "traceId", "time", "referral"].map(number))
}

async fn look(
    app: &TestApp,
    who: &str,
    path: &str,
    ask: Option<&Client>,
    found: &mut BTreeMap<String, Vec<Value>>,
) -> Vec<Value> {
    let mut answer = match ask {
        Some(client) => by(client, Request::get(path)).await,
        None => app.get(who, path).await,
    };
    if let Some(items) = answer.body.get_mut("items").and_then(Value::as_array_mut) {
        // Certificates have numbers of their own.
        items.retain(|one| one["kind"] != "administration");
    }
    let base = app.app().config.gateway.public_url.as_str().trim_end_matches('/').to_owned();
    // That of a case is a keyed digest.
    let tag = answer.headers.get("etag").filter(|tag| tag.len() < 10);
    let seen = json!([answer.status, plain(&answer.body, &base), tag]);
    found.entry(format!("{who} {}", without_ids(path))).or_default().push(seen);
    answer.body["items"].as_array().cloned().unwrap_or_default()
}

/// Everything that everybody else sees: the other parties, the municipality in all its roles, privacy officers of other parties.
pub async fn seen(app: &TestApp, officers: &[(&'static str, Client)]) -> BTreeMap<String, Vec<Value>> {
    app.app().sequence().await.unwrap();
    let mut found = BTreeMap::new();
    let asking =
        READERS.iter().map(|who| (*who, None)).chain(officers.iter().map(|(who, client)| (*who, Some(client))));
    for (who, client) in asking {
        for list in LISTS {
            let items = look(app, who, list, client, &mut found).await;
            let id = |item: &Value| item["id"].as_str().unwrap_or_default().to_owned();
            for one in &items {
                let more: &[&str] = match list {
                    "/v1/referrals" => {
                        &["", "/updates", "/supplements", "/cancellation-requests", "/corrections", "/sections"]
                    }
                    "/v1/cases" => &["", "/coordinators", "/participants", "/step-ups"],
                    "/v1/audit/records?limit=1000" => &[""],
                    _ => &[],
                };
                for rest in more {
                    let place = format!("{}/{}{rest}", list.split('?').next().unwrap(), id(one));
                    look(app, who, &place, client, &mut found).await;
                }
            }
            if list.starts_with("/v1/audit") {
                found.entry(format!("{who} joins")).or_default().push(joined(&items));
            }
        }
    }
    for seen in found.values_mut() {
        seen.sort_by_key(Value::to_string);
    }
    found
}

pub fn are_the_same(one: &BTreeMap<String, Vec<Value>>, other: &BTreeMap<String, Vec<Value>>) {
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (place, seen) in one {
        assert_eq!(seen, &other[place], "{place}");
    }
    assert!(one.len() > 100, "{} places", one.len());
}

async fn tables(app: &TestApp) -> Vec<(String, Vec<String>)> {
    let sql = if postgres().is_some() {
        "SELECT table_name::text AS t, column_name::text AS c FROM information_schema.columns WHERE table_schema = current_schema() AND data_type <> 'bytea'"
    } else {
        "SELECT m.name AS t, c.name AS c FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.type <> 'BLOB'"
    };
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in app.app().db.reader().rows(sql, args![]).await.unwrap() {
        tables.entry(row.text("t").unwrap()).or_default().push(row.text("c").unwrap());
    }
    assert!(tables.len() > 30, "{tables:?}");
    tables.into_iter().collect()
}

async fn number(app: &TestApp, sql: String, needle: Option<&str>) -> i64 {
    let sql: &'static str = Box::leak(sql.into_boxed_str());
    let args = needle.map_or_else(Vec::new, |needle| args![format!("%{needle}%")]);
    app.app().db.reader().rows(sql, args).await.unwrap()[0].int("n").unwrap()
}

/// How many rows each table has.
async fn sizes(app: &TestApp) -> BTreeMap<String, i64> {
    app.app().sequence().await.unwrap();
    let mut sizes = BTreeMap::new();
    for (table, _) in tables(app).await {
        let rows = number(app, format!("SELECT COUNT(*) AS n FROM {table}"), None).await;
        sizes.insert(table, rows);
    }
    sizes
}

/// In which columns of all tables something stands.
async fn places_of(app: &TestApp, needle: &str) -> Vec<String> {
    let mut places = Vec::new();
    for (table, columns) in tables(app).await {
        for column in columns {
            let sql = format!("SELECT COUNT(*) AS n FROM {table} WHERE CAST({column} AS TEXT) LIKE $1");
            if number(app, sql, Some(needle)).await > 0 {
                places.push(format!("{table}.{column}"));
            }
        }
    }
    places
}

/// How many requests the operator counts, by route.
fn counters(app: &TestApp) -> Vec<String> {
    let text = app.app().metrics.to_text();
    assert!(!text.contains("veto"), "{text}");
    // Decisions that were taken again, and reminders of its holder among the deliveries to that, count as ever.
    let counts = |line: &&str| line.starts_with("sluis_requests_total{");
    let mut counted: Vec<String> = text.lines().filter(counts).map(str::to_owned).collect();
    counted.sort_unstable();
    counted
}

/// Two gateways at one moment.
pub async fn two_worlds() -> [TestApp; 2] {
    let at = Clock::movable().now();
    [TestApp::start_at(Clock::still(at), &[]).await, TestApp::start_at(Clock::still(at), &[]).await]
}

pub async fn officers(app: &TestApp) -> [(&'static str, Client); 2] {
    [
        ("officer of smow", officer_of(app, SMOW, Role::DataProtectionOfficer).await),
        ("officer of kwadraad", officer_of(app, KWADRAAD, Role::DataProtectionOfficer).await),
    ]
}

// ---- set beforehand ------------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_beforehand_nothing_ever_was_for_anybody_else() {
    let [with, without] = two_worlds().await;
    let mut found = Vec::new();
    for (app, vetoed) in [(&with, true), (&without, false)] {
        let officers = officers(app).await;
        let path = acquainted(app).await;
        app.app().clock.advance(MINUTE);
        if vetoed {
            let before = sizes(app).await;
            let id = set(app, "mee").await;
            let mut grown: Vec<(String, i64)> =
                sizes(app).await.into_iter().map(|(t, n)| (t.clone(), n - before[&t])).collect();
            // The tree and its checkpoints grow with every leaf.
            grown.retain(|(table, more)| *more != 0 && !["audit_tiles", "audit_checkpoints"].contains(&table.as_str()));
            let expected = ["audit_records", "idempotency", "vetoes"].map(|table| (table.to_owned(), 1));
            assert_eq!(grown, expected, "no row anywhere else");
            assert_eq!(places_of(app, &id).await, ["audit_records.resource", "vetoes.id"], "and nothing names it");
        } else {
            // What any organisation notes about a resident of its own.
            let data =
                json!({ "givenName": "Noor", "familyName": "Berg", "birthDate": "2010-03-01", "postalCode": "2242AB" });
            let body = json!({ "subject": { "match": data }, "reasonCode": "wrong-resident" });
            assert_eq!(app.post("mee", "/v1/subject-matches/_unlink", body).await.status, 204);
        }
        app.app().clock.advance(MINUTE);
        // Others go on, also about the same resident, and towards who has the veto.
        assert_eq!(read(app, "smow", &path).await, 200);
        step(app, "smow", &path, json!({ "status": "accepted" })).await;
        put_on_record(app, "smow", consent(app, MEE, "client-support", &["question"])).await;
        let other = app.refer("smow", by_consent(MEE, "client-support"), &["question"]).await;
        assert_eq!(other.status, 201, "{}", other.text);
        app.app().clock.advance(MINUTE);
        app.app().clock.advance(7 * DAY);
        app.house.look().await.unwrap();
        found.push((seen(app, &officers).await, other.status));
        counters(app);
    }
    assert_eq!(found[0].1, found[1].1);
    are_the_same(&found[0].0, &found[1].0);
    for app in [with, without] {
        the_log_holds(&app).await;
        finish(app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_then_on_its_holder_gives_nothing_and_leaves_no_trace_of_trying() {
    let app = TestApp::start().await;
    let open = acquainted(&app).await;
    let rejected = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    step(&app, "smow", &rejected, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    // SMOW asked it something about the same resident, by consent; it could answer with a note.
    put_on_record(&app, "smow", consent(&app, MEE, "client-support", &["question"])).await;
    put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question"])).await;
    let received = referred(&app, "smow", by_consent(MEE, "client-support"), &["question"]).await;
    let pseudonym = app.get("mee", &open).await.text_at("/subject/pseudonym").unwrap().to_owned();

    let id = set(&app, "mee").await;
    let before = sizes(&app).await;
    let sections = with_sections(json!({}), &["question"]);
    let mut by_pseudonym = asking();
    by_pseudonym["subject"] = json!({ "pseudonym": pseudonym, "ageGroup": "18-plus" });
    let mut based = asking();
    based["basedOn"] = json!(rejected.rsplit('/').next());
    let mut noted = sections.clone();
    noted["status"] = json!("accepted");
    let emergency = json!({
        "recipient": SMOW, "subject": { "bsn": BSN }, "role": "manager-on-duty", "reason": "danger-to-life",
        "categories": ["safety"],
    });
    let mut reporting = with_sections(by_consent("00000099000000013000", "safety-concern"), &["safety"]);
    reporting["legalBasis"] = json!("meldcode");
    is_vetoed(&app.ask("mee", Request::post("/v1/referrals/_check", asking())).await);
    for (path, body) in [
        ("/v1/referrals".to_owned(), asking()),
        ("/v1/referrals".to_owned(), by_pseudonym),
        ("/v1/referrals".to_owned(), based),
        ("/v1/referrals".to_owned(), reporting),
        (format!("{rejected}/re-referrals"), json!({ "recipient": KWADRAAD })),
        (format!("{open}/supplements"), sections.clone()),
        (format!("{received}/updates"), noted),
        ("/v1/emergency-accesses".to_owned(), emergency),
    ] {
        is_vetoed(&app.post("mee", path, body).await);
    }
    assert_eq!(sizes(&app).await, before, "nothing was stored: no record, no event, no key");
    // Set twice, it is there already.
    let again = app.post("mee", VETOES, about(BSN)).await;
    assert_eq!((again.status, again.text_at("/code")), (409, Some("already-exists")), "{}", again.text);

    // What gives nothing goes on; so does what is about others, and what others do.
    step(&app, "mee", &received, json!({ "status": "accepted" })).await;
    let resolved = app.post("mee", format!("{rejected}/resolutions"), json!({ "outcome": "not-helped" })).await;
    assert_eq!(resolved.status, 201, "{}", resolved.text);
    let mut another = asking();
    another["subject"]["bsn"] = json!("999990020");
    assert_ne!(app.post("mee", "/v1/referrals", another).await.text_at("/code"), Some("safety-veto"));
    assert_eq!(app.refer("smow", by_consent(MEE, "client-support"), &["question"]).await.status, 201);
    assert_eq!(
        read(&app, "smow", &open).await,
        200,
        "what was sent before is called off by its own veto or not at all"
    );

    // Until it ends it, also at another gateway; the same request is then taken.
    let neighbour = Neighbour::start(&app, &[]).await;
    let keyed = || Request { idempotency_key: Some("again".into()), ..Request::post("/v1/referrals", asking()) };
    is_vetoed(&neighbour.world.ask("mee", keyed()).await.unwrap());
    let safe = json!({ "conclusion": "channel-safe-again" });
    let ended = app.post("mee", format!("{VETOES}/{id}/conclusions"), safe.clone()).await;
    assert_eq!((ended.status, ended.text_at("/status")), (201, Some("ended")), "{}", ended.text);
    assert_eq!(neighbour.world.ask("mee", keyed()).await.unwrap().status, 201);
    assert_eq!(app.post("mee", format!("{VETOES}/{id}/conclusions"), safe).await.status, 409);
    // Set anew at one gateway, the other one, which has just decided, knows.
    set(&app, "mee").await;
    let fresh = Request { idempotency_key: Some("fresh".into()), ..Request::post("/v1/referrals", asking()) };
    is_vetoed(&neighbour.world.ask("mee", fresh).await.unwrap());
    neighbour.stop().await;
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_everybody_else_its_address_is_as_any_that_does_not_exist() {
    let app = TestApp::start().await;
    let path = acquainted(&app).await;
    let lists: Vec<_> =
        futures_util::future::join_all(["smow", "gemeente-wassenaar"].map(|who| app.get(who, VETOES))).await;
    let id = set(&app, "mee").await;
    let officer = officer_of(&app, SMOW, Role::DataProtectionOfficer).await;
    for (who, before) in ["smow", "gemeente-wassenaar"].into_iter().zip(&lists) {
        assert_eq!(shown(&app.get(who, VETOES).await), shown(before));
    }
    let body = || json!({ "conclusion": "channel-safe-again" });
    for who in ["smow", "kwadraad", "gemeente-wassenaar"] {
        let (there, nowhere) =
            (app.get(who, format!("{VETOES}/{id}")).await, app.get(who, format!("{VETOES}/{NO_ID}")).await);
        assert_eq!((there.status, shown(&there)), (404, shown(&nowhere)));
        let conclude = async |id: &str| app.post(who, format!("{VETOES}/{id}/conclusions"), body()).await;
        assert_eq!(shown(&conclude(&id).await), shown(&conclude(NO_ID).await));
    }
    for request in [
        |id: &str| Request::get(format!("{VETOES}/{id}")),
        |id: &str| Request {
            idempotency_key: Some(id.to_owned()),
            ..Request::post(format!("{VETOES}/{id}/weighings"), json!({ "weighing": "may-be-reported" }))
        },
    ] {
        let (there, nowhere) = (by(&officer, request(&id)).await, by(&officer, request(NO_ID)).await);
        assert_eq!((there.status, shown(&there)), (404, shown(&nowhere)));
    }
    // A referral of others is vetoed by nobody, and for who is no party there is none.
    let veto = async |who: &str, path: &str| app.post(who, format!("{path}/vetoes"), Value::Null).await;
    let nowhere = format!("/v1/referrals/{NO_ID}");
    for who in ["kwadraad", "gemeente-wassenaar"] {
        let (there, nowhere) = (veto(who, &path).await, veto(who, &nowhere).await);
        assert_eq!((there.status, shown(&there)), (404, shown(&nowhere)));
    }
    let recipient = veto("smow", &path).await;
    assert_eq!((recipient.status, recipient.text_at("/code")), (409, Some("step-not-allowed")), "{}", recipient.text);
    assert_eq!(app.get("smow", VETOES).await.body["items"], json!([]));
    finish(app).await;
}

// ---- on a referral -------------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_referral_it_is_called_off_as_any_other_for_everybody_else() {
    let [with, without] = two_worlds().await;
    let mut found = Vec::new();
    for (app, vetoed) in [(&with, true), (&without, false)] {
        let officers = officers(app).await;
        let mut paths = vec![acquainted(app).await];
        for _ in 0..3 {
            app.app().clock.advance(MINUTE);
            paths.push(referred(app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await);
        }
        // Waits; read; taken on; a question asked.
        for path in &paths[1..] {
            app.app().clock.advance(MINUTE);
            assert_eq!(read(app, "smow", path).await, 200);
        }
        step(app, "smow", &paths[2], json!({ "status": "accepted" })).await;
        step(app, "smow", &paths[3], json!({ "status": "on-hold", "statusReason": "information-requested" })).await;
        for path in &paths {
            app.app().clock.advance(MINUTE);
            if vetoed {
                let set = app.post("mee", format!("{path}/vetoes"), Value::Null).await;
                let referral = path.rsplit('/').next();
                assert_eq!((set.status, set.text_at("/referral")), (201, referral), "{}", set.text);
            } else {
                step(app, "mee", path, json!({ "status": "cancelled", "statusReason": "no-longer-needed" })).await;
            }
            assert_eq!(read(app, "smow", path).await, 403);
            app.app().clock.advance(MINUTE);
        }
        for path in &paths[1..] {
            // As its sender ordinarily ends what it has called off; with the first it is late, which is told as ever.
            let resolved = app.post("mee", format!("{path}/resolutions"), json!({ "outcome": "not-helped" })).await;
            assert_eq!(resolved.status, 201, "{}", resolved.text);
            app.app().clock.advance(MINUTE);
        }
        app.app().clock.advance(14 * DAY);
        app.house.look().await.unwrap();
        found.push((seen(app, &officers).await, sizes(app).await, counters(app)));
    }
    are_the_same(&found[0].0, &found[1].0);
    let mut of_the_veto = found[0].1.clone();
    assert_eq!(of_the_veto.remove("vetoes"), Some(4));
    let mut ordinary = found[1].1.clone();
    assert_eq!(ordinary.remove("vetoes"), Some(0));
    // The reminder of its holder is the only event more, and it is in the holder's own feed.
    for table in ["events", "feeds", "deliveries", "audit_tiles", "audit_checkpoints"] {
        let (reminded, plain) = (of_the_veto.remove(table), ordinary.remove(table));
        // How many checkpoints there are depends on how fast the machine is.
        assert!(table.starts_with("audit_") || reminded >= plain, "{table}: {reminded:?} {plain:?}");
    }
    assert_eq!(of_the_veto, ordinary, "as many rows in every table, leaves too");
    assert_eq!(found[0].2, found[1].2, "the operator counts the same");
    // Its holder's own record says what it was, where nobody else reads it.
    let own: Vec<_> = called_off(&with, "mee").await.into_iter().filter(|one| one.get("action").is_none()).collect();
    assert_eq!(own.len(), 4, "{own:?}");
    assert!(own.iter().all(|one| one["facts"][vetoes::MARK].is_string()), "{own:?}");
    assert!(called_off(&without, "mee").await.iter().all(|one| one["facts"].get(vetoes::MARK).is_none()));
    assert!(called_off(&with, "privacy-officer").await.iter().all(|one| one.get("facts").is_none()));
    for app in [with, without] {
        the_log_holds(&app).await;
        finish(app).await;
    }
}

/// MEE's records of what it called off, as `who` reads them.
async fn called_off(app: &TestApp, who: &str) -> Vec<Value> {
    let records = items(app, who, "/v1/audit/records?kind=status-update&limit=1000").await;
    records.into_iter().filter(|one| one["status"] == "cancelled" && one["organisation"] == MEE).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_possible_where_its_sender_can_call_off_and_nowhere_else() {
    let app = TestApp::start().await;
    acquainted(&app).await;
    let accepted: &[(&str, Value)] = &[("smow", json!({ "status": "accepted" }))];
    let at_work = [accepted, &[("smow", json!({ "status": "in-progress" }))]].concat();
    let more = |steps: &[(&'static str, Value)], who: &'static str, body: Value| [steps, &[(who, body)]].concat();
    let asked = json!({ "status": "on-hold", "statusReason": "information-requested" });
    let received = vec![("smow", json!({ "status": "received" }))];
    let cases = [
        (vec![], true),
        (received.clone(), true),
        (more(&received, "smow", asked), true),
        (accepted.to_vec(), true),
        (at_work.clone(), false),
        (more(&at_work, "smow", json!({ "status": "on-hold", "statusReason": "waiting-list" })), false),
        (more(&at_work, "smow", json!({ "status": "completed", "outcome": "helped" })), false),
        (more(&at_work, "smow", json!({ "status": "completed", "outcome": "partly-helped" })), false),
        (more(&at_work, "smow", json!({ "status": "failed", "statusReason": "other" })), false),
        (vec![("smow", json!({ "status": "rejected", "statusReason": "duplicate" }))], false),
        (vec![("mee", json!({ "status": "cancelled", "statusReason": "no-longer-needed" }))], false),
        (vec![("mee", json!({ "status": "entered-in-error", "statusReason": "wrong-recipient" }))], false),
    ];
    let mut paths = Vec::new();
    for (steps, possible) in cases {
        let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
        for (who, body) in steps {
            step(&app, who, &path, body).await;
        }
        paths.push((path, possible));
    }
    let mut set_on = 0;
    for (path, possible) in &paths {
        let key = Some(format!("veto:{path}"));
        let request =
            || Request { idempotency_key: key.clone(), ..Request::post(format!("{path}/vetoes"), Value::Null) };
        let status = app.get("mee", path).await.text_at("/status").unwrap().to_owned();
        let stale =
            Request { if_match: Some("\"77\"".into()), idempotency_key: Some(format!("stale:{path}")), ..request() };
        let stale = app.ask("mee", stale).await;
        assert_eq!(stale.status, if *possible { 412 } else { 409 }, "{status}: {}", stale.text);
        let answer = app.ask("mee", request()).await;
        if *possible {
            assert_eq!(answer.status, 201, "{status}: {}", answer.text);
            assert_eq!(app.ask("mee", request()).await.text, answer.text, "a repeat");
            let now = app.get("smow", path).await;
            assert_eq!(
                (now.text_at("/status"), now.text_at("/statusReason")),
                (Some("cancelled"), Some("no-longer-needed"))
            );
            set_on += 1;
        }
        // Not, or not once more: the answer is the one of any step that cannot be taken.
        let other = app.post("mee", format!("{path}/vetoes"), Value::Null).await;
        let body = json!({ "status": "cancelled", "statusReason": "no-longer-needed" });
        let ordinary = app.post("mee", format!("{path}/updates"), body).await;
        assert_eq!((other.status, &other.body["allowedSteps"]), (409, &ordinary.body["allowedSteps"]), "{status}");
        assert_eq!(other.text_at("/code"), Some("step-not-allowed"));
    }
    assert_eq!((set_on, items(&app, "mee", VETOES).await.len()), (4, 4));
    // Whatever it was set on, the resident is blocked.
    is_vetoed(&app.post("mee", "/v1/referrals", asking()).await);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_veto_and_a_pick_up_at_once_end_as_one_after_the_other() {
    let app = TestApp::start().await;
    acquainted(&app).await;
    let mut first = BTreeMap::from([("pick-up", 0), ("veto", 0)]);
    let mut paths = Vec::new();
    for _ in 0..8 {
        paths.push(referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await);
    }
    for path in &paths {
        let veto = async || app.post("mee", format!("{path}/vetoes"), Value::Null).await;
        // Whoever is asked for first has a chance to be first.
        let (veto, read_at_once) = if first.values().sum::<i32>() % 2 == 0 {
            tokio::join!(veto(), read(&app, "smow", path))
        } else {
            let (read, veto) = tokio::join!(read(&app, "smow", path), async {
                // As long as it takes the recipient's request to get somewhere.
                app.get("mee", path).await;
                veto().await
            });
            (veto, read)
        };
        assert_eq!(veto.status, 201, "{}", veto.text);
        let (now, steps) = (app.get("smow", path).await, items(&app, "smow", format!("{path}/updates")).await);
        let statuses: Vec<&str> = steps.iter().map(|one| one["status"].as_str().unwrap()).collect();
        match read_at_once {
            200 => assert_eq!((statuses, *first.get_mut("pick-up").unwrap() += 1), (vec!["received", "cancelled"], ())),
            403 => assert_eq!((statuses, *first.get_mut("veto").unwrap() += 1), (vec!["cancelled"], ())),
            other => panic!("{other}"),
        }
        assert_eq!(now.text_at("/status"), Some("cancelled"));
        assert_eq!(read(&app, "smow", path).await, 403);
    }
    println!("first came {first:?}");
    // A referral that is sent while the veto is set is there wholly or not at all; after the answer none is.
    for veto in items(&app, "mee", VETOES).await {
        let path = format!("{VETOES}/{}/conclusions", veto["id"].as_str().unwrap());
        assert_eq!(app.post("mee", path, json!({ "conclusion": "channel-safe-again" })).await.status, 201);
    }
    let sent = async || app.post("mee", "/v1/referrals", asking()).await;
    let (one, two, veto, three) = tokio::join!(sent(), sent(), app.post("mee", VETOES, about(BSN)), sent());
    assert_eq!(veto.status, 201, "{}", veto.text);
    for answer in [one, two, three] {
        if answer.status != 201 {
            is_vetoed(&answer);
        }
    }
    is_vetoed(&sent().await);
    // Of two at once one is set.
    let id = veto.text_at("/id").unwrap();
    let ended =
        app.post("mee", format!("{VETOES}/{id}/conclusions"), json!({ "conclusion": "channel-safe-again" })).await;
    assert_eq!(ended.status, 201);
    let (one, two) = tokio::join!(app.post("mee", VETOES, about(BSN)), app.post("mee", VETOES, about(BSN)));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    the_log_holds(&app).await;
    finish(app).await;
}

// ---- its holder ----------------------------------------------------------------------------------------------------------------

async fn reminders(app: &TestApp, who: &str) -> Vec<Value> {
    app.app().sequence().await.unwrap();
    let events = items(app, who, "/v1/events?limit=1000").await;
    events
        .into_iter()
        .filter(|event| event["type"] == "nl.sluis.veto.overdue.v1")
        .map(|event| event["data"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_clock_is_its_holders_alone() {
    let app = TestApp::start().await;
    let id = set(&app, "mee").await;
    let veto = async || app.get("mee", format!("{VETOES}/{id}")).await;
    let overdue = async || items(&app, "mee", format!("{VETOES}?status=overdue")).await.len();
    let conclude = async |code: &str| {
        let answer = app.post("mee", format!("{VETOES}/{id}/conclusions"), json!({ "conclusion": code })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    };
    let pass = async || {
        let due: Timestamp = veto().await.text_at("/dueAt").unwrap().parse().unwrap();
        let left = due.as_micros() - app.app().now().as_micros();
        app.app().clock.advance(Duration::from_micros(u64::try_from(left).unwrap()));
    };
    assert_eq!((overdue().await, veto().await.text_at("/status")), (0, Some("open")));
    vetoes::sweep(app.app()).await.unwrap();
    assert_eq!(reminders(&app, "mee").await, [Value::Null; 0]);
    let records = crate::consistency::count(&app, "SELECT COUNT(*) AS count FROM audit_records").await;
    pass().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let (here, there) = tokio::join!(vetoes::sweep(app.app()), vetoes::sweep(neighbour.app()));
    assert_eq!((here.unwrap(), there.unwrap()), (0, 0));
    vetoes::sweep(app.app()).await.unwrap();
    assert_eq!(reminders(&app, "mee").await, [json!({ "veto": id })], "once");
    assert_eq!((overdue().await, veto().await.body["missedDeadlines"].clone()), (1, json!(1)));
    for who in ["smow", "gemeente-wassenaar", "privacy-officer"] {
        assert_eq!(reminders(&app, who).await, [Value::Null; 0], "{who}");
    }
    // Nothing was done, so nothing is on record.
    assert_eq!(crate::consistency::count(&app, "SELECT COUNT(*) AS count FROM audit_records").await, records);
    conclude("continued").await;
    assert_eq!((overdue().await, veto().await.text_at("/status")), (0, Some("open")));
    pass().await;
    vetoes::sweep(app.app()).await.unwrap();
    assert_eq!((reminders(&app, "mee").await.len(), overdue().await), (2, 1));
    conclude("resolved-otherwise").await;
    assert_eq!((veto().await.text_at("/status"), veto().await.body["dueAt"].clone()), (Some("resolved"), Value::Null));
    is_vetoed(&app.post("mee", "/v1/referrals", asking()).await);
    app.app().clock.advance(300 * DAY);
    vetoes::sweep(app.app()).await.unwrap();
    assert_eq!(reminders(&app, "mee").await.len(), 2, "no clock runs");
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_access_report_shows_it_until_its_holders_privacy_officer_has_weighed_it() {
    let app = TestApp::start().await;
    let path = acquainted(&app).await;
    let set = app.post("mee", format!("{path}/vetoes"), Value::Null).await;
    let id = set.text_at("/id").unwrap().to_owned();
    let (own, other) = (
        officer_of(&app, MEE, Role::DataProtectionOfficer).await,
        officer_of(&app, SMOW, Role::DataProtectionOfficer).await,
    );
    let subject = app.app().pseudonyms.subject(&BSN.parse::<Bsn>().unwrap());
    let withheld = async || vetoes::withheld_from_reports(&mut app.app().db.reader(), &subject).await.unwrap();
    let referral = path.rsplit('/').next().unwrap().parse().unwrap();
    let expected = [Withheld { organisation: MEE.parse::<Oin>().unwrap(), referral: Some(referral) }];
    assert_eq!(withheld().await, expected, "nobody has weighed it");
    let weigh = |weighing: &str, key: &str| Request {
        idempotency_key: Some(key.to_owned()),
        ..Request::post(format!("{VETOES}/{id}/weighings"), json!({ "weighing": weighing }))
    };
    let professional = app.ask("mee", weigh("may-be-reported", "a")).await;
    assert_eq!((professional.status, professional.text_at("/code")), (403, Some("insufficient-scope")));
    assert_eq!(by(&other, weigh("may-be-reported", "b")).await.status, 404);
    assert_eq!(app.ask("privacy-officer", weigh("may-be-reported", "c")).await.status, 404);
    assert_eq!(withheld().await, expected);
    let listed = by(&own, Request::get(VETOES)).await;
    assert_eq!((listed.status, &listed.body["items"][0]), (200, &set.body), "{}", listed.text);
    assert!(!listed.text.contains(BSN));
    let weighed = by(&own, weigh("must-not-be-reported", "d")).await;
    assert_eq!((weighed.status, weighed.text_at("/weighing")), (201, Some("must-not-be-reported")), "{}", weighed.text);
    assert_eq!(withheld().await, expected);
    assert_eq!(by(&own, weigh("may-be-reported", "e")).await.status, 201, "things have become safer");
    assert_eq!(withheld().await, []);
    // It concludes nothing.
    let concluding = Request {
        idempotency_key: Some("f".into()),
        ..Request::post(format!("{VETOES}/{id}/conclusions"), json!({ "conclusion": "channel-safe-again" }))
    };
    assert_eq!(by(&own, concluding).await.status, 403);
    is_vetoed(&app.post("mee", "/v1/referrals", asking()).await);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_record_is_its_holders_and_to_others_looks_as_any_note_about_a_resident_of_ones_own() {
    let app = TestApp::start().await;
    let id = set(&app, "mee").await;
    app.app().clock.advance(MINUTE);
    let data = json!({ "givenName": "Noor", "familyName": "Berg", "birthDate": "2010-03-01", "postalCode": "2242AB" });
    let body = json!({ "subject": { "match": data }, "reasonCode": "wrong-resident" });
    assert_eq!(app.post("mee", "/v1/subject-matches/_unlink", body).await.status, 204);
    app.app().sequence().await.unwrap();
    let own = items(&app, "mee", "/v1/audit/records?kind=subject").await;
    let actions: Vec<_> = own.iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["match-unlinked", "veto-set"]);
    assert!(vetoes::is_of_veto(actions[1]) && !vetoes::is_of_veto(actions[0]));
    assert_eq!((&own[1]["resource"], &own[1]["clientId"]), (&json!(format!("{VETOES}/{id}")), &json!(MEE)));
    let others = items(&app, "privacy-officer", "/v1/audit/records?kind=subject").await;
    let fields = |one: &Value| one.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let known = ["id", "kind", "leafIndex", "organisation", "time"].map(str::to_owned);
    assert_eq!(fields(&others[0]), BTreeSet::from(known), "{others:?}");
    assert_eq!(fields(&others[0]), fields(&others[1]), "the one is as the other");
    let mut opened = Vec::new();
    for one in &others {
        let proof =
            app.get("privacy-officer", format!("/v1/audit/records/{}/proof", one["id"].as_str().unwrap())).await;
        let openings = proof.body["openings"].as_array().unwrap();
        opened.push(openings.iter().map(|one| one["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        let read = app.get("privacy-officer", format!("/v1/audit/records/{}", one["id"].as_str().unwrap())).await;
        assert_eq!(read.body, *one);
    }
    assert_eq!(
        (opened[0].as_slice(), &opened[0]),
        (["id", "kind", "time", "organisation"].map(str::to_owned).as_slice(), &opened[1])
    );
    for who in ["smow", "kredietbank", "gemeente-wassenaar"] {
        assert_eq!(items(&app, who, "/v1/audit/records?kind=subject").await, [Value::Null; 0], "{who}");
    }
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_names_a_resident_and_nothing_else() {
    let app = TestApp::start().await;
    for (body, wrong) in [
        (json!({}), "subject"),
        (json!({ "subject": {} }), "subject"),
        (json!({ "subject": { "bsn": BSN }, "reason": "somebody typed this" }), "reason"),
        (json!({ "subject": { "bsn": "123456789" } }), "subject.bsn"),
        (json!({ "subject": { "pseudonym": "A".repeat(43) } }), "subject.pseudonym"),
    ] {
        let answer = app.post("mee", VETOES, body).await;
        let named = answer.body["invalidParams"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
        assert!(answer.status == 400 && named.iter().any(|one| one["name"] == wrong), "{wrong}: {}", answer.text);
    }
    for (path, body) in
        [("conclusions", json!({ "conclusion": "fine" })), ("weighings", json!({ "weighing": "maybe" }))]
    {
        let who = if path == "conclusions" { "mee" } else { "privacy-officer" };
        assert_eq!(app.post(who, format!("{VETOES}/{NO_ID}/{path}"), body).await.status, 400, "{path}");
    }
    assert_eq!(items(&app, "mee", VETOES).await, [Value::Null; 0]);
    let request = |body: Value| Request { idempotency_key: Some("once".into()), ..Request::post(VETOES, body) };
    let first = app.ask("mee", request(about(BSN))).await;
    assert_eq!((first.status, app.ask("mee", request(about(BSN))).await.text), (201, first.text.clone()), "a repeat");
    assert_eq!(app.ask("mee", request(about("999990020"))).await.text_at("/code"), Some("idempotency-key-reused"));
    assert_eq!(items(&app, "mee", VETOES).await.len(), 1);
    // Each organisation has its own; none hears of the other's.
    assert_eq!(app.post("smow", VETOES, about(BSN)).await.status, 201);
    assert_eq!(items(&app, "smow", VETOES).await.len(), 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_answered_as_fast_with_a_veto_as_without() {
    let app = TestApp::start().await;
    put_on_record(&app, "kwadraad", consent(&app, KREDIETBANK, "debt-counselling", &["finance"])).await;
    let body = || with_sections(by_consent(KREDIETBANK, "debt-counselling"), &["finance"]);
    let measure = async || {
        let mut took = Vec::new();
        for _ in 0..30 {
            let begun = Instant::now();
            let answer = app.ask("kwadraad", Request::post("/v1/referrals/_check", body())).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        (took[took.len() / 2], took[took.len() * 9 / 10])
    };
    // What is asked of the database is the same: each party's own vetoes, whether there are any or not, and of no other party.
    measure().await;
    let without = measure().await;
    set(&app, "mee").await;
    let with = measure().await;
    println!("median and 90th percentile without {without:?}, with {with:?}");
    finish(app).await;
}

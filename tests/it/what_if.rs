//! Past decisions taken again: what a draft of the covenant would change in them, and why each was decided, for whoever may read its record.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use sluis::args;
use sluis::audit::{self, Field, SealedRecord};
use sluis::clock::Timestamp;
use sluis::ids::Oin;
use sluis::storage::Tx;
use uuid::Uuid;

use crate::app::{KREDIETBANK, MEE, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::chain::step;
use crate::consistency::finish;

const OFFICER: &str = "privacy-officer";
const IMPACT: &str = "/v1/covenants/_impact";

// ---- what if ----

/// The text in force under another version, from years ahead, changed in its covenant.
async fn draft(app: &TestApp, change: impl Fn(&str) -> String) -> Value {
    let page = app.get(OFFICER, "/v1/covenants").await;
    let in_force = page.body["items"][0]["version"].as_str().unwrap().to_owned();
    let mut files = app.get(OFFICER, format!("/v1/covenants/{in_force}")).await.body["files"].clone();
    let renewed = |line: &str| match line.split(" = ").next() {
        Some("version") => "version = \"2099.1\"\n".to_owned(),
        Some("effective-from") => "effective-from = \"2099-01-01T00:00:00Z\"\n".to_owned(),
        _ => format!("{line}\n"),
    };
    let text: String = files["covenant.toml"].as_str().unwrap().lines().map(renewed).collect();
    files["covenant.toml"] = change(&text).into();
    files
}

/// Debts without finance.
fn without_finance(covenant: &str) -> String {
    let row = covenant.find("[[rows]]\nid = \"debt-counselling\"").unwrap();
    let (before, row) = covenant.split_at(row);
    let changed = row.replacen("\"housing\", \"finance\"]", "\"housing\"]", 1);
    assert_ne!(changed, row);
    format!("{before}{changed}")
}

async fn ask(app: &TestApp, body: Value) -> Value {
    let found = app.post(OFFICER, IMPACT, body).await;
    assert_eq!(found.status, 200, "{}", found.text);
    found.body
}

/// The changes, without the records that are named.
fn changes(impact: &Value) -> Vec<Value> {
    let mut changes = impact["changes"].as_array().unwrap().clone();
    for change in &mut changes {
        change.as_object_mut().unwrap().remove("examples");
    }
    changes
}

/// Something handed over and disclosed, and something refused.
async fn some_decisions(app: &TestApp) {
    let created = app.refer("gemeente-wassenaar", debts(), &["finance", "housing", "mental-health"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let read = app.get("kredietbank", format!("{}/sections", created.headers["location"])).await;
    assert_eq!(read.status, 200, "{}", read.text);
    let refused = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["finance"]).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_held_against_what_was_decided() {
    let app = TestApp::start().await;
    some_decisions(&app).await;
    let files = draft(&app, without_finance).await;
    let found = ask(&app, json!({ "files": files })).await;
    let gone = json!({ "effect": "withhold", "code": "category-not-allowed", "rules": ["nothing-without-a-row"] });
    assert_eq!(
        changes(&found),
        [
            json!({
                "change": "now-refused", "sender": MUNICIPALITY, "recipient": KREDIETBANK, "purpose": "debt-counselling",
                "category": "finance", "before": { "effect": "permit", "code": null, "rules": ["debt-counselling-finance"] },
                "after": gone, "unknown": [], "count": 2, "kinds": { "decision": 1, "disclosure": 1 },
            }),
            json!({
                "change": "other-rules", "sender": SMOW, "recipient": KREDIETBANK, "purpose": "debt-counselling",
                "category": "finance",
                "before": { "effect": "withhold", "code": "consent-missing", "rules": ["consent-names-it"] },
                "after": gone, "unknown": [], "count": 1, "kinds": { "decision": 1 },
            }),
        ]
    );
    // Three sections were asked for and two of them disclosed; one was refused to somebody else.
    assert_eq!((&found["decisions"], &found["sections"], &found["unchanged"]), (&json!(3), &json!(6), &json!(3)));
    assert_eq!(
        (&found["leftOut"], &found["next"], &found["draft"]["version"]),
        (&json!([]), &json!(null), &json!("2099.1"))
    );
    let ending = &found["outcomes"][0];
    assert_eq!(
        (&ending["before"], &ending["after"], &ending["count"]),
        (&json!("permitted"), &json!("minimised"), &json!(1))
    );

    // The records that are named are those of who gave, and the privacy officer may read them.
    for example in found["changes"][0]["examples"].as_array().unwrap() {
        let record = app.get(OFFICER, format!("/v1/audit/records/{}", example.as_str().unwrap())).await;
        assert_eq!((record.status, &record.body["organisation"]), (200, &json!(MUNICIPALITY)), "{}", record.text);
        assert!(record.body["sections"].to_string().contains("debt-counselling-finance"), "{}", record.text);
    }

    // Who asked about which draft is on record, and nothing was published.
    app.app().sequence().await.unwrap();
    let records = app.get(OFFICER, "/v1/audit/records?kind=covenant").await;
    let noted = &records.body["items"][0];
    assert_eq!(
        (&noted["action"], &noted["clientId"]),
        (&json!("impact-asked"), &json!(format!("{MUNICIPALITY}-{OFFICER}")))
    );
    assert_eq!(noted["policyDigest"], found["draft"]["digest"], "{noted}");
    assert_eq!(app.get(OFFICER, "/v1/covenants").await.body["items"].as_array().unwrap().len(), 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_draft_changes_nothing_and_one_that_does_not_load_says_everything_that_is_wrong() {
    let app = TestApp::start().await;
    some_decisions(&app).await;
    let same = draft(&app, str::to_owned).await;
    let found = ask(&app, json!({ "files": same })).await;
    assert_eq!((&found["decisions"], &found["changes"], &found["outcomes"]), (&json!(3), &json!([]), &json!([])));

    let mut broken = same.clone();
    broken["covenant.toml"] = broken["covenant.toml"].as_str().unwrap().replacen("stat = 20", "stta = 20", 1).into();
    broken["never.cedar"] = broken["never.cedar"].as_str().unwrap().replacen("@rule(\"1\")", "@rule(\"0\")", 1).into();
    broken["notes.txt"] = json!("not signed");
    let refused = app.post(OFFICER, IMPACT, json!({ "files": broken })).await;
    assert_eq!(
        (refused.status, refused.text_at("/invalidParams/0/name")),
        (400, Some("files.notes.txt")),
        "{}",
        refused.text
    );
    broken.as_object_mut().unwrap().remove("notes.txt");
    let refused = app.post(OFFICER, IMPACT, json!({ "files": broken })).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    let named: Vec<_> =
        refused.body["invalidParams"].as_array().unwrap().iter().map(|one| one["name"].to_string()).collect();
    assert!(named.iter().any(|name| name.contains("covenant.toml")), "{named:?}");
    assert!(named.iter().any(|name| name.contains("never.cedar")), "{named:?}");
    let refused = app.post(OFFICER, IMPACT, json!({ "files": same, "cursor": "%%" })).await;
    assert_eq!((refused.status, refused.text_at("/invalidParams/0/name")), (400, Some("cursor")), "{}", refused.text);
    for who in ["gemeente-wassenaar", "kredietbank", "monitor", "administrator"] {
        let refused = app.post(who, IMPACT, json!({ "files": same })).await;
        assert_eq!((refused.status, refused.text_at("/code")), (403, Some("insufficient-scope")), "{who}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_looks_at_so_many_records_and_the_next_goes_on_where_it_ended() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        some_decisions(&app).await;
    }
    let files = draft(&app, without_finance).await;
    let whole = ask(&app, json!({ "files": files, "examples": 0 })).await;
    assert_eq!((&whole["decisions"], &whole["changes"][0]["examples"]), (&json!(9), &json!([])));
    let (mut decisions, mut sections, mut refused, mut pages) = (0, 0, 0, 0);
    let mut cursor = json!(null);
    loop {
        let mut body = json!({ "files": files, "records": 4, "examples": 20 });
        if cursor.is_string() {
            body["cursor"] = cursor;
        }
        let page = ask(&app, body).await;
        assert!(page["records"].as_u64().unwrap() <= 4, "{page}");
        decisions += page["decisions"].as_u64().unwrap();
        sections += page["sections"].as_u64().unwrap();
        let counts = changes(&page);
        refused += counts
            .iter()
            .filter(|one| one["change"] == "now-refused")
            .map(|one| one["count"].as_u64().unwrap())
            .sum::<u64>();
        pages += 1;
        cursor = page["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(pages > 3, "{pages}");
    assert_eq!(
        json!([decisions, sections, refused]),
        json!([whole["decisions"], whole["sections"], whole["changes"][0]["count"]])
    );

    // Thirty days back, unless something else is asked.
    app.app().clock.advance(Duration::from_hours(40 * 24));
    some_decisions(&app).await;
    assert_eq!(ask(&app, json!({ "files": files })).await["decisions"], 3);
    let before = app.app().now().minus(Duration::from_hours(41 * 24));
    assert_eq!(ask(&app, json!({ "files": files, "since": before })).await["decisions"], 12);
    assert_eq!(ask(&app, json!({ "files": files, "since": app.app().now() })).await["decisions"], 0);
    app.finish().await;
}

/// The newest record of this kind of this organisation.
async fn newest(app: &TestApp, who: &str, kind: &str) -> String {
    let page = app.get(who, format!("/v1/audit/records?kind={kind}")).await;
    page.text_at("/items/0/id").unwrap_or_else(|| panic!("{}", page.text)).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_taken_again_is_counted_with_its_reason() {
    let app = TestApp::start().await;
    // Called off before it was read: refused, whatever any rules say.
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let path = created.headers["location"].clone();
    let called_off = json!({ "status": "cancelled", "statusReason": "no-longer-needed" });
    assert_eq!(step(&app, "gemeente-wassenaar", &path, called_off).await.status, 201);
    assert_eq!(app.get("kredietbank", format!("{path}/sections")).await.status, 403);
    let refused_anyway = newest(&app, "gemeente-wassenaar", "disclosure").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        assert_eq!(app.refer("gemeente-wassenaar", debts(), &["finance", "mental-health"]).await.status, 201);
        ids.push(newest(&app, "gemeente-wassenaar", "decision").await);
    }
    app.app().sequence().await.unwrap();
    let (erased, altered) = (ids[0].clone(), ids[1].clone());
    let erase = {
        let erased = erased.clone();
        async move |tx: &mut Tx| audit::erase(tx, &erased, &[Field::Facts]).await
    };
    app.app().db.write("erasure", erase).await.unwrap();
    // By a hand in the database: it looks as if it had never been a decision.
    let alter = {
        let altered = altered.clone();
        async move |tx: &mut Tx| {
            let sql = "UPDATE audit_records SET covenant_version = NULL, facts = NULL WHERE id = $1";
            assert_eq!(tx.execute(sql, args![altered.as_str()]).await?, 1);
            Ok(())
        }
    };
    app.app().db.write("tampering", alter).await.unwrap();

    let found = ask(&app, json!({ "files": draft(&app, without_finance).await })).await;
    let left_out = |reason: &str, kind: &str, id: &str| json!({ "reason": reason, "count": 1, "kinds": { kind: 1 }, "examples": [id] });
    assert_eq!(
        found["leftOut"],
        json!([
            left_out("facts-erased", "decision", &erased),
            left_out("altered", "decision", &altered),
            left_out("refused-anyway", "disclosure", &refused_anyway),
        ])
    );
    assert_eq!(found["decisions"], 2, "that which was called off, and the last: {found}");

    // Of what was erased the record still says why, but no longer what would have been needed.
    let record = app.get("gemeente-wassenaar", format!("/v1/audit/records/{erased}")).await;
    let section = &record.body["explanation"]["sections"][0];
    assert_eq!(
        (&section["effect"], &section["rules"][0]["id"]),
        (&json!("permit"), &json!("debt-counselling-finance"))
    );
    let record = app.get("gemeente-wassenaar", format!("/v1/audit/records/{refused_anyway}")).await;
    let answer = record.text_at("/explanation/answer/en").unwrap();
    assert!(answer.starts_with("Nothing crosses, whatever the rules say"), "{answer}");
    app.finish().await;
}

/// Writes a record as the gateway would write one, on a decision that it never took; its identifier.
async fn write_record(app: &TestApp, like: &Value, change: impl FnOnce(&mut audit::Record)) -> String {
    let (gateway, text) = (app.app(), |name: &str| like[name].as_str().map(str::to_owned));
    let giver: Oin = MUNICIPALITY.parse().unwrap();
    let mut record = audit::Record::new(gateway.new_id().unwrap(), audit::Kind::Decision, gateway.now(), giver.clone());
    record.sender = Some(giver);
    record.recipient = Some(KREDIETBANK.parse().unwrap());
    (record.purpose, record.phase, record.legal_basis) = (text("purpose"), text("phase"), text("legalBasis"));
    (record.covenant_version, record.policy_digest) = (text("covenantVersion"), text("policyDigest"));
    record.outcome = Some(audit::Outcome::Permitted);
    record.sections = serde_json::from_value(like["sections"].clone()).unwrap();
    record.facts = Some(like["facts"].clone());
    change(&mut record);
    let record = SealedRecord::new(&record, &gateway.entropy, &gateway.sealer).unwrap();
    let id = record.id().to_string();
    let write = async move |tx: &mut Tx| {
        audit::write(tx, &record);
        Ok(())
    };
    gateway.db.write("a record", write).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_come_out_as_recorded_is_compared_with_nothing() {
    let app = TestApp::start().await;
    assert_eq!(app.refer("gemeente-wassenaar", debts(), &["finance"]).await.status, 201);
    let genuine = record(&app, "gemeente-wassenaar", "decision").await;
    // The same once more comes out as recorded; with any other fact, rule or outcome it does not.
    write_record(&app, &genuine, |_| {}).await;
    let unsigned =
        write_record(&app, &genuine, |record| record.facts.as_mut().unwrap()["giver"]["signed"] = json!(false));
    let wrong = [
        unsigned.await,
        write_record(&app, &genuine, |record| record.sections[0].rules = vec!["debt-counselling-housing".into()]).await,
        write_record(&app, &genuine, |record| record.sections[0].effect = audit::Effect::Withhold).await,
        write_record(&app, &genuine, |record| record.sections[0].category = "mental-health".into()).await,
        write_record(&app, &genuine, |record| record.outcome = Some(audit::Outcome::Minimised)).await,
        write_record(&app, &genuine, |record| record.outcome = Some(audit::Outcome::Refused)).await,
        write_record(&app, &genuine, |record| record.policy_digest = Some("sha-256:0".into())).await,
    ];
    let unreadable = write_record(&app, &genuine, |record| record.facts = Some(json!({ "action": "refer" }))).await;
    let without_facts = write_record(&app, &genuine, |record| record.facts = None).await;
    let of_no_version = write_record(&app, &genuine, |record| record.covenant_version = Some("0.1".into())).await;

    let found = ask(&app, json!({ "files": draft(&app, without_finance).await, "examples": 20 })).await;
    assert_eq!((&found["decisions"], &found["changes"][0]["count"]), (&json!(2), &json!(2)), "{found}");
    let newest_first = |ids: &[String]| ids.iter().rev().cloned().collect::<Vec<_>>();
    let left_out: Vec<_> =
        found["leftOut"].as_array().unwrap().iter().map(|line| (&line["reason"], &line["examples"])).collect();
    assert_eq!(
        left_out,
        [
            (&json!("unreadable"), &json!(newest_first(&[unreadable, without_facts]))),
            (&json!("version-unusable"), &json!([of_no_version])),
            (&json!("not-reproduced"), &json!(newest_first(&wrong))),
        ]
    );
    // What it says is told, and that its remedy is not known.
    let told = app.get("gemeente-wassenaar", format!("/v1/audit/records/{}", wrong[2])).await;
    let section = &told.body["explanation"]["sections"][0];
    assert_eq!((&section["effect"], &section["needed"]), (&json!("withhold"), &json!(null)), "{}", told.text);
    let output = sluis(&app, &["policy", "explain", &wrong[2]]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("does not come out as recorded"), "{}", text(&output.stderr));

    // A draft that looks at the case for a purpose for which nobody did cannot be held against what was recorded then.
    let mut files = draft(&app, str::to_owned).await;
    files["case.cedar"] = json!(
        "@id(\"debts-when-stepped-up\")@code(\"case-not-stepped-up\")@order(\"525\")@rule(\"10\")@nl(\"x\")@en(\"x\")\n\
         forbid (principal, action, resource) when { context.purpose == Purpose::\"debt-counselling\" && !context.steppedUp };"
    );
    let found = ask(&app, json!({ "files": files })).await;
    assert_eq!((&found["decisions"], &found["changes"]), (&json!(0), &json!([])), "{found}");
    let last = found["leftOut"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["reason"], &last["count"]), (&json!("case-not-recorded"), &json!(2)), "{found}");
    app.finish().await;
}

fn sluis(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
    command.args(arguments).arg("--config").arg(app.folder.join("sluis.toml")).env("SLUIS_STORAGE__URL", &app.storage);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_the_same_as_the_api() {
    let app = TestApp::start().await;
    some_decisions(&app).await;
    let files = draft(&app, without_finance).await;
    let folder = app.folder.join("draft");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |files: &Value| {
        for (name, text) in files.as_object().unwrap() {
            std::fs::write(folder.join(name), text.as_str().unwrap()).unwrap();
        }
    };
    write(&files);
    let command = ["policy", "impact", "--policies", folder.to_str().unwrap()];
    let since = app.app().now().minus(Duration::from_hours(1)).to_string();
    let output = sluis(&app, &[&command[..], &["--since", &since, "--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = ask(&app, json!({ "files": files, "since": since })).await;
    found.as_object_mut().unwrap().remove("next");
    // Asking over the API is itself on record.
    assert_eq!(found["records"].as_u64().unwrap(), told["records"].as_u64().unwrap() + 1);
    found["records"] = told["records"].clone();
    assert_eq!(told, found);

    let output = sluis(&app, &[&command[..], &["--since", "2020-01-01"]].concat());
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for said in [
        "draft 2099.1",
        "would be refused now: 2 sections",
        "gemeente-wassenaar -> kredietbank",
        "permit (debt-counselling-finance) -> withhold category-not-allowed (nothing-without-a-row)",
        "2 sections would be refused that were permitted, 0 permitted that were refused",
    ] {
        assert!(told.contains(said), "{said} not in\n{told}");
    }
    // Why one of them was decided, in both languages; the record of who received holds no decision of its own.
    let refused = newest(&app, "smow", "decision").await;
    let output = sluis(&app, &["policy", "explain", &refused]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for said in [
        "financiën: gaat niet door, want er is geen geldige toestemming die dit noemt.",
        "Nodig: leg een toestemming vast voor kredietbank",
        "Needed: record a consent for kredietbank",
        "Nothing crosses. (refused, ",
    ] {
        assert!(told.contains(said), "{said} not in\n{told}");
    }
    let received = newest(&app, "kredietbank", "decision").await;
    let output = sluis(&app, &["policy", "explain", &received]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    // Wrong usage, and a draft that does not load.
    for wrong in [&["policy", "impact"][..], &[&command[..], &["--since", "yesterday"]].concat()] {
        assert_eq!(sluis(&app, wrong).status.code(), Some(2), "{wrong:?}");
    }
    let mut broken = files.clone();
    broken["never.cedar"] = json!("forbid (");
    write(&broken);
    let output = sluis(&app, &command);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("never.cedar"), "{}", text(&output.stderr));
    app.finish().await;
}

// ---- why ----

/// The record of this kind that this organisation has, in full.
async fn record(app: &TestApp, who: &str, kind: &str) -> Value {
    let id = newest(app, who, kind).await;
    let record = app.get(who, format!("/v1/audit/records/{id}")).await;
    assert_eq!(record.status, 200, "{}", record.text);
    record.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_says_why_in_both_languages_to_whoever_may_read_it() {
    let app = TestApp::start().await;
    assert_eq!(app.refer("gemeente-wassenaar", debts(), &["finance", "mental-health"]).await.status, 201);
    let senders = record(&app, "gemeente-wassenaar", "decision").await;
    let explanation = &senders["explanation"];
    assert_eq!(
        explanation["answer"],
        json!({ "nl": "Een deel gaat door, de rest blijft bij de gever.", "en": "A part crosses, the rest stays with the giver." })
    );
    assert_eq!(
        explanation["question"]["en"],
        "Gemeente Wassenaar wants to give data to Kredietbank for debt counselling, on the basis of: Municipal Debt Counselling Act (Wgs)."
    );
    assert_eq!(
        explanation["sections"],
        json!([
            {
                "category": "finance", "effect": "permit", "code": null,
                "answer": { "nl": "financiën: gaat door.", "en": "finance: crosses." },
                "rules": [{
                    "id": "debt-counselling-finance",
                    "text": {
                        "nl": "een partij verwijst naar de kredietbank voor schuldhulpverlening: financiën",
                        "en": "a party refers to the credit bank for debt counselling: finance",
                    },
                }],
                "remedy": null, "remedies": [], "needed": null,
            },
            {
                "category": "mental-health", "effect": "withhold", "code": "category-never-for-recipient",
                "answer": {
                    "nl": "psychische gezondheid: gaat niet door, want deze ontvanger krijgt deze categorie nooit.",
                    "en": "mental health: is withheld, because this recipient never receives this category.",
                },
                "rules": [{
                    "id": "credit-bank-no-health",
                    "text": {
                        "nl": "De kredietbank krijgt nooit bijzondere gegevens, gegevens over veiligheid of over de ontwikkeling van een kind.",
                        "en": "The credit bank never receives special categories, safety or the development of a child.",
                    },
                }],
                "remedy": null, "remedies": [],
                "needed": { "nl": "Hier kan de gever niets aan doen.", "en": "There is nothing that the giver can do about it." },
            },
        ])
    );
    // The privacy officer reads the same of a record of another organisation, without its facts.
    assert_eq!(app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["finance"]).await.status, 403);
    let smows = record(&app, "smow", "decision").await;
    let needed = &smows["explanation"]["sections"][0]["needed"];
    assert_eq!(
        needed["nl"],
        "Nodig: leg een toestemming vast voor kredietbank, doel debt-counselling, categorie finance."
    );
    let officers = app.get(OFFICER, format!("/v1/audit/records/{}", smows["id"].as_str().unwrap())).await;
    assert_eq!((officers.status, &officers.body["explanation"]), (200, &smows["explanation"]), "{}", officers.text);
    assert!(officers.body.get("facts").is_none() && smows.get("facts").is_some());
    // Nobody else finds it.
    let path = format!("/v1/audit/records/{}", smows["id"].as_str().unwrap());
    assert_eq!(app.get("kredietbank", path.as_str()).await.status, 404);
    // What decides nothing is not explained.
    let consent = app.post("smow", "/v1/consents", consent(&app, KREDIETBANK, "debt-counselling", &["finance"])).await;
    assert_eq!(consent.status, 201, "{}", consent.text);
    assert!(record(&app, "smow", "consent").await.get("explanation").is_none());
    app.finish().await;
}

/// A text without what differs from one run to another: identifiers, moments, pseudonyms, places in the log.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let own = ["traceId", "spanId", "parentSpanId", "requestId", "subject", "leafIndex"];
            let plain = |(name, value): (&String, &Value)| {
                (name.clone(), if own.contains(&name.as_str()) { json!("*") } else { plain(value) })
            };
            members.iter().map(plain).collect()
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::String(text) if text.starts_with("sha-256:") => json!("*"),
        Value::String(text) if text.parse::<Uuid>().is_ok() || text.parse::<Timestamp>().is_ok() => json!("*"),
        Value::String(text) => text
            .split('/')
            .map(|part| if part.parse::<Uuid>().is_ok() { "*" } else { part })
            .collect::<Vec<_>>()
            .join("/")
            .into(),
        other => other.clone(),
    }
}

/// Everything that an organisation can read in the log: its records, each by itself with its explanation, and what their proofs open. Nothing of it
/// names one of these identifiers.
async fn everything_of(app: &TestApp, who: &str, hidden: &[String]) -> Vec<Value> {
    app.app().sequence().await.unwrap();
    let page = app.get(who, "/v1/audit/records?limit=1000").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let mut all = vec![plain(&page.body["items"])];
    let mut texts = vec![page.text];
    for record in page.body["items"].as_array().unwrap() {
        let path = format!("/v1/audit/records/{}", record["id"].as_str().unwrap());
        let read = app.get(who, path.as_str()).await;
        all.push(plain(&read.body));
        let proof = app.get(who, format!("{path}/proof")).await;
        assert_eq!(proof.status, 200, "{}", proof.text);
        let openings = proof.body["openings"].as_array().unwrap().iter();
        all.push(openings.map(|opening| json!([opening["field"], opened(&opening["value"])])).collect());
        texts.extend([read.text, proof.text]);
    }
    for id in hidden {
        assert!(texts.iter().all(|text| !text.contains(id)), "{who} reads {id}");
    }
    all
}

/// What a commitment was made to; JSON as such.
fn opened(value: &Value) -> Value {
    let parsed =
        value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(|value| !value.is_number());
    let hidden = |text: &str| text.len() >= 16 && !text.contains(['"', ' ', '/', ':']);
    match (parsed, value.as_str()) {
        (Some(parsed), _) => plain(&parsed),
        (None, Some(text)) if hidden(text) => json!("*"),
        _ => plain(value),
    }
}

/// A record about the resident that is valid now.
fn recorded(app: &TestApp, kind: &str, recipient: &str, purpose: &str, categories: &[&str]) -> Value {
    let mut record = consent(app, recipient, purpose, categories);
    record["kind"] = json!(kind);
    record["explicit"] = json!(kind == "consent");
    record
}

/// Records something; its identifier.
async fn put_on_record(app: &TestApp, who: &str, record: Value) -> String {
    let created = app.post(who, "/v1/consents", record).await;
    assert_eq!(created.status, 201, "{}", created.text);
    created.text_at("/id").unwrap().to_owned()
}

async fn withdraw(app: &TestApp, who: &str, id: &str) {
    let withdrawn =
        app.post(who, format!("/v1/consents/{id}/withdrawals"), json!({ "reasonCode": "resident-asked" })).await;
    assert_eq!(withdrawn.status, 201, "{}", withdrawn.text);
}

/// The municipality refers to the credit bank, which gives a note back and is asked for a part that it may not give.
async fn a_note_about_debts(app: &TestApp) {
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = &created.headers["location"];
    assert_eq!(app.get("kredietbank", format!("{path}/sections")).await.status, 200);
    let note = with_sections(json!({ "status": "accepted", "onWithheld": "minimise" }), &["finance", "social"]);
    let taken = step(app, "kredietbank", path, note).await;
    assert_eq!(taken.status, 201, "{}", taken.text);
    let update = taken.headers["location"].clone();
    assert_eq!(app.get("gemeente-wassenaar", format!("{update}/sections")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_organisation_recorded_shows_in_no_record_of_ones_own_decisions() {
    let (without, with) = (TestApp::start().await, TestApp::start().await);
    let mut hidden = Vec::new();
    // The municipality has all kinds of records about the resident, some of which were withdrawn, and so have others.
    for (who, kind, recipient, purpose, categories) in [
        ("gemeente-wassenaar", "care-agreement", KREDIETBANK, "debt-counselling", &[][..]),
        ("gemeente-wassenaar", "consent", KREDIETBANK, "debt-counselling", &["finance", "social"]),
        ("gemeente-wassenaar", "consent", MEE, "client-support", &["social", "physical-health"]),
        ("mee", "consent", KREDIETBANK, "debt-counselling", &["finance"]),
        ("mee", "consent", MUNICIPALITY, "debt-counselling", &["social"]),
    ] {
        let id = put_on_record(&with, who, recorded(&with, kind, recipient, purpose, categories)).await;
        if recipient == MEE {
            withdraw(&with, who, &id).await;
        }
        hidden.push(id);
    }
    for app in [&without, &with] {
        a_note_about_debts(app).await;
        let refused = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["finance"]).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
    }
    for who in ["kredietbank", "smow"] {
        let (first, second) = (everything_of(&without, who, &[]).await, everything_of(&with, who, &hidden).await);
        assert!(first.len() > 2, "{who}: {first:?}");
        assert_eq!(first, second, "{who}");
    }
    // Of that, the credit bank's decision on its note is explained, and of its facts nothing is opened.
    let note = record(&with, "kredietbank", "status-update").await;
    assert_eq!(note["explanation"]["sections"].as_array().unwrap().len(), 2, "{note}");
    assert_eq!(note["facts"]["records"], json!([]), "{note}");
    let proof = with.get("kredietbank", format!("/v1/audit/records/{}/proof", note["id"].as_str().unwrap())).await;
    assert!(
        proof.body["openings"].as_array().unwrap().iter().all(|opening| opening["field"] != "facts"),
        "{}",
        proof.text
    );
    finish(without).await;
    finish(with).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_the_agreement_under_a_note_is_another_one_now_does_not_show() {
    let (once, anew) = (TestApp::start().await, TestApp::start().await);
    let mut hidden = Vec::new();
    for (app, is_anew) in [(&once, false), (&anew, true)] {
        let agreement = || recorded(app, "care-agreement", MUNICIPALITY, "triage", &[]);
        hidden.push(put_on_record(app, "smow", agreement()).await);
        let mut triage = by_consent(MUNICIPALITY, "triage");
        (triage["phase"], triage["legalBasis"]) = (json!("triage"), json!("wmo-2015"));
        let created = app.refer("smow", triage, &["question", "finance"]).await;
        assert_eq!(created.status, 201, "{}", created.text);
        if is_anew {
            let former = hidden.last().cloned().unwrap();
            hidden.push(put_on_record(app, "smow", agreement()).await);
            withdraw(app, "smow", &former).await;
        }
        let note = with_sections(json!({ "status": "accepted", "onWithheld": "reject" }), &["question"]);
        let taken = step(app, "gemeente-wassenaar", &created.headers["location"], note).await;
        assert_eq!(taken.status, 201, "{}", taken.text);
        // The note rests on the agreement; which one it is, is not the municipality's to know.
        let own = record(app, "gemeente-wassenaar", "status-update").await;
        assert_eq!((&own["outcome"], own.get("consentIds")), (&json!("permitted"), None), "{own}");
        let with_agreement = record(app, "smow", "decision").await;
        assert_eq!(with_agreement["consentIds"].as_array().unwrap().len(), 1, "its own agreement: {with_agreement}");
    }
    let first = everything_of(&once, "gemeente-wassenaar", &hidden).await;
    let second = everything_of(&anew, "gemeente-wassenaar", &hidden).await;
    assert_eq!(first, second);
    finish(once).await;
    finish(anew).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_a_note_is_told_that_its_sender_records_the_agreement_and_that_works() {
    let app = TestApp::start().await;
    let agreement = || recorded(&app, "care-agreement", MUNICIPALITY, "triage", &[]);
    let first = put_on_record(&app, "smow", agreement()).await;
    let mut triage = by_consent(MUNICIPALITY, "triage");
    (triage["phase"], triage["legalBasis"]) = (json!("triage"), json!("wmo-2015"));
    let path = app.refer("smow", triage, &["question"]).await.headers["location"].clone();
    withdraw(&app, "smow", &first).await;
    let note = || with_sections(json!({ "status": "accepted", "onWithheld": "reject" }), &["question"]);
    let mut told = Vec::new();
    for own in [false, true] {
        if own {
            put_on_record(&app, "gemeente-wassenaar", agreement()).await;
        }
        let refused = step(&app, "gemeente-wassenaar", &path, note()).await;
        let section = refused.body["decision"]["sections"][0].clone();
        assert_eq!((refused.status, &section["code"]), (403, &json!("care-agreement-missing")), "{}", refused.text);
        assert_eq!(section["remedies"].as_array().unwrap().len(), 1, "{section}");
        assert_eq!(section["remedy"]["code"], "ask-sender-for-care-agreement");
        let record = record(&app, "gemeente-wassenaar", "status-update").await;
        let needed = &record["explanation"]["sections"][0]["needed"]["en"];
        assert_eq!(
            needed,
            "Needed: have smow, the sender of the referral, record a care agreement for gemeente-wassenaar, purpose triage."
        );
        assert!(!refused.text.contains(&first) && !record.to_string().contains(&first), "nor which was withdrawn");
        told.push(section);
    }
    assert_eq!(told[0], told[1], "its own changes nothing, and it is not told to record one");
    put_on_record(&app, "smow", agreement()).await;
    assert_eq!(step(&app, "gemeente-wassenaar", &path, note()).await.status, 201);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_is_told_why_as_if_nothing_else_had_ever_been_sent() {
    let (alone, more) = (TestApp::start().await, TestApp::start().await);
    for (app, categories) in [(&alone, &["finance"][..]), (&more, &["mental-health", "finance", "safety"])] {
        let created = app.refer("gemeente-wassenaar", debts(), categories).await;
        assert_eq!(created.status, 201, "{}", created.text);
        assert_eq!(app.get("kredietbank", format!("{}/sections", created.headers["location"])).await.status, 200);
        let called_off = json!({ "status": "cancelled", "statusReason": "no-longer-needed" });
        assert_eq!(step(app, "gemeente-wassenaar", &created.headers["location"], called_off).await.status, 201);
        assert_eq!(app.get("kredietbank", format!("{}/sections", created.headers["location"])).await.status, 403);
    }
    let (first, second) =
        (everything_of(&alone, "kredietbank", &[]).await, everything_of(&more, "kredietbank", &[]).await);
    assert_eq!(first, second);
    let received = record(&more, "kredietbank", "decision").await;
    assert_eq!(received["explanation"]["answer"]["en"], "What is named here crosses.");
    assert_eq!(received["explanation"]["sections"].as_array().unwrap().len(), 1, "{received}");
    // What it was refused it is told without a reason.
    let refused = record(&more, "kredietbank", "disclosure").await;
    assert_eq!(refused["explanation"]["answer"]["en"], "Nothing is handed over; ask who gave it.");
    assert_eq!(refused["explanation"]["sections"], json!([]));
    finish(alone).await;
    finish(more).await;
}

//! The monitor against whoever wants to know more than it tells: by comparing totals with parts, filters with no filters, weeks with
//! quarters, one day with the next, and by subtracting what one knows oneself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use sluis::args;
use sluis::clock::Timestamp;
use sluis::demo::client::Request;
use sluis::handoffs;
use sluis::handoffs::period::Period;
use sluis::referrals::watch;
use sluis::storage::Tx;

use crate::app::{KREDIETBANK, MEE, MUNICIPALITY, SMOW, TestApp, debts};
use crate::wire::Wire;

const KWADRAAD: &str = "00000099000000003000";
const JGZ: &str = "00000099000000005000";
const DAY: Duration = Duration::from_hours(24);

/// Referrals that were handed over at a moment, and what became of them.
#[derive(Clone)]
struct Lot {
    number: usize,
    route: (&'static str, &'static str),
    purpose: &'static str,
    priority: &'static str,
    at: Timestamp,
    /// Steps: the status afterwards, and `/` the operation where it is not an update; after how many days.
    steps: Vec<(&'static str, u32)>,
    /// Whether it is open, and since when it is late.
    open: bool,
    late_since: Option<Timestamp>,
    missed: i64,
}

fn lot(number: usize, sender: &'static str, recipient: &'static str, at: Timestamp) -> Lot {
    Lot {
        number,
        route: (sender, recipient),
        purpose: "information-and-advice",
        priority: "routine",
        at,
        steps: vec![],
        open: false,
        late_since: None,
        missed: 0,
    }
}

/// Stores referrals as they would be after a life in the gateway.
async fn store(app: &TestApp, lot: Lot) {
    let entropy = app.app().entropy.clone();
    // Nobody's deadline passes while a test looks.
    let due = app.app().now().plus(DAY * 300);
    let write = async move |tx: &mut Tx| {
        for _ in 0..lot.number {
            let id = entropy.uuid(lot.at).unwrap();
            let parts = |step: &'static str| step.split_once('/').unwrap_or((step, "updates"));
            let last = lot.steps.last().map_or("requested", |(step, _)| parts(step).0);
            let open = lot.open.then_some(due);
            tx.execute(
                "INSERT INTO referrals (id, sender, recipient, purpose, phase, legal_basis, subject, priority, status, created_at, updated_at, \
                 version, decision, receipt, holder, due_at, late_since, missed) \
                 VALUES ($1, $2, $3, $4, 'triage', 'consent', 'nobody', $5, $6, $7, $7, 9, '{}', '', $8, $9, $10, $11)",
                args![id, lot.route.0, lot.route.1, lot.purpose, lot.priority, last, lot.at, lot.open.then_some(lot.route.1), open, lot.late_since, lot.missed],
            )
            .await?;
            for (version, (step, days)) in (2_i64..).zip(&lot.steps) {
                let (status, operation) = parts(step);
                let taken = lot.at.plus(DAY * *days);
                tx.execute(
                    "INSERT INTO referral_updates (id, referral, version, organisation, status, taken_at, categories, holder, due_at, \
                     operation) VALUES ($1, $2, $3, $4, $5, $6, '[]', $7, $8, $9)",
                    args![entropy.uuid(taken).unwrap(), id, version, lot.route.1, status, taken, lot.open.then_some(lot.route.1), open, operation],
                )
                .await?;
            }
        }
        Ok(())
    };
    app.app().db.write("store referrals", write).await.unwrap();
}

/// The last quarter that has closed, and a moment in its middle. Everybody has taken part from its beginning on.
async fn last_quarter(app: &TestApp) -> (Period, Timestamp) {
    let quarter = Period::quarter_of(app.app().now().minus(Duration::from_hours(1))).before().unwrap();
    let from = quarter.bounds().unwrap().0;
    change(app, "UPDATE organisations SET created_at = $1", from).await;
    change(app, "UPDATE covenant_signatures SET signed_at = $1", from).await;
    (quarter, from.plus(DAY * 40))
}

async fn change(app: &TestApp, sql: &'static str, at: Timestamp) {
    let write = async move |tx: &mut Tx| Ok(tx.execute(sql, args![at]).await.map(drop)?);
    app.app().db.write("change", write).await.unwrap();
}

async fn summary(app: &TestApp, query: &str) -> Value {
    let answer = app.get("monitor", format!("/v1/handoffs/summary{query}")).await;
    assert_eq!(answer.status, 200, "{query} {}", answer.text);
    answer.body
}

/// The lines of a summary about others, by what they are about.
fn others(body: &Value, list: &str) -> BTreeMap<String, Value> {
    let about = |line: &Value| {
        let names = ["dimension", "period", "sender", "recipient", "purpose", "priority"];
        let mut about = names.map(|name| line[name].as_str().unwrap_or("-").to_owned()).to_vec();
        about.extend(line["stepUpReason"].as_str().map(str::to_owned));
        about.join(" ")
    };
    let lines = body[list].as_array().unwrap().iter().filter(|line| line["flows"] == "others");
    lines.map(|line| (about(line), line["figures"].clone())).collect()
}

fn opened(figures: &Value) -> u64 {
    figures["opened"]["count"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_monitor_reads_it() {
    let app = TestApp::start().await;
    for path in ["/v1/handoffs", "/v1/handoffs/summary", "/v1/handoffs/needs"] {
        for who in ["gemeente-wassenaar", "smow", "kredietbank", "privacy-officer", "administrator"] {
            let answer = app.get(who, path).await;
            assert_eq!((answer.status, answer.text_at("/code")), (403, Some("insufficient-scope")), "{who} {path}");
        }
    }
    assert_eq!(app.get("monitor", "/v1/handoffs").await.body, json!({ "items": [], "next": null }));
    assert_eq!(app.get("monitor", "/v1/handoffs/summary").await.status, 404, "nothing has closed yet");
    for wrong in ["period=2026-W60", "period=2026-Q5", "period=x", "purpose=nothing", "sender=1", "priority=late"] {
        assert_eq!(app.get("monitor", format!("/v1/handoffs/summary?{wrong}")).await.status, 400, "{wrong}");
    }
    assert_eq!(app.get("monitor", "/v1/handoffs/summary?period=2099-W01").await.status, 404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_once_is_never_counted_again() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    store(&app, lot(25, SMOW, MEE, at)).await;
    handoffs::make(app.app()).await.unwrap();
    let first = summary(&app, "").await;
    assert_eq!(first["period"], quarter.to_string());
    assert_eq!(opened(&others(&first, "items")[&format!("route - {SMOW} {MEE} - -")]), 20);
    // One more would show that there were nine.
    for (sender, number) in [(SMOW, 1), (KWADRAAD, 40)] {
        store(&app, lot(number, sender, MEE, at)).await;
        app.app().clock.advance(DAY);
        handoffs::make(app.app()).await.unwrap();
        assert_eq!(summary(&app, &format!("?period={quarter}")).await["items"], first["items"]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_counted_yet_begins_with_the_first_quarter_that_is_missing() {
    let app = TestApp::start().await;
    let (quarter, _) = last_quarter(&app).await;
    let (from, until) = quarter.bounds().unwrap();
    assert_eq!(handoffs::uncounted_from(app.app()).await.unwrap(), from, "it has closed and nobody has counted it");
    handoffs::make(app.app()).await.unwrap();
    assert_eq!(handoffs::uncounted_from(app.app()).await.unwrap(), until, "the quarter that goes on");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incidental_partner_has_no_line_and_is_counted_in_nothing() {
    const SAD: &str = "00000099000000007000";
    let app = TestApp::start().await;
    let body = json!({ "id": SAD, "name": "Schooladviesdienst" });
    assert_eq!(app.post("administrator", "/v1/organisations", body).await.status, 201);
    let (_, at) = last_quarter(&app).await;
    let signed = "INSERT INTO covenant_purpose_signatures (version, organisation, purpose, jws, thumbprint, signed_at) \
                  VALUES ('2026.1', '00000099000000007000', 'youth-support', '', '', $1)";
    change(&app, signed, at).await;
    store(&app, lot(25, SMOW, MEE, at)).await;
    for (sender, recipient) in [(SMOW, SAD), (SAD, MEE)] {
        store(&app, lot(45, sender, recipient, at)).await;
    }
    handoffs::make(app.app()).await.unwrap();
    let seen = summary(&app, "").await;
    assert!(!seen.to_string().contains(SAD), "{seen}");
    let lines = others(&seen, "items");
    assert_eq!(opened(&lines[&format!("route - {SMOW} {MEE} - -")]), 20);
    assert!(lines.values().all(|figures| opened(figures) <= 20), "{lines:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_count_at_the_same_time_keep_one_result() {
    let app = TestApp::start().await;
    let (_, at) = last_quarter(&app).await;
    store(&app, lot(25, SMOW, MEE, at)).await;
    let made = futures_util::future::join_all((0..4).map(|_| handoffs::make(app.app()))).await;
    assert!(made.iter().all(Result::is_ok));
    let body = summary(&app, "").await;
    let periods = body["periods"].as_array().unwrap();
    assert_eq!(periods.len(), periods.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_and_none_look_alike_and_ones_own_flows_subtract_to_nothing() {
    let app = TestApp::start().await;
    let (_, at) = last_quarter(&app).await;
    // The credit bank: nine of others beside 31 that the municipality knows. MEE: none of others.
    store(&app, lot(9, SMOW, KREDIETBANK, at)).await;
    store(&app, lot(31, MUNICIPALITY, KREDIETBANK, at)).await;
    store(&app, lot(31, MUNICIPALITY, MEE, at)).await;
    handoffs::make(app.app()).await.unwrap();
    let body = summary(&app, "").await;
    let lines = others(&body, "items");
    assert_eq!(lines[&format!("recipient - - {KREDIETBANK} - -")], lines[&format!("recipient - - {MEE} - -")]);
    assert_eq!(
        lines[&format!("recipient - - {MEE} - -")]["opened"],
        json!({ "count": null, "code": "fewer-than-threshold" })
    );
    assert!(lines.values().all(|figures| opened(figures) == 0), "{lines:?}");
    // Its own are the same for both; nothing is shown that forty or forty less 31 could be read from.
    let own = |recipient: &str| {
        let own = body["items"].as_array().unwrap().iter().filter(|line| line["flows"] == "own");
        own.filter(|line| line["dimension"] == "recipient" && line["recipient"] == recipient)
            .map(|line| line["figures"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(own(KREDIETBANK), own(MEE));
    assert_eq!(own(MEE)[0]["opened"]["count"], 30);
    app.finish().await;
}

/// Nine on every route, nineteen on those of the first, and nineteen in every week: just below a multiple of the threshold everywhere. How many
/// there are on each route.
async fn store_tightly<'a>(
    app: &TestApp,
    parties: &[&'static str],
    weeks: &[Timestamp],
) -> BTreeMap<(&'a str, &'a str), u64> {
    let (mut truth, mut stored) = (BTreeMap::new(), 0);
    for (turn, sender) in parties.iter().enumerate() {
        for recipient in parties.iter().filter(|recipient| *recipient != sender) {
            let number = if turn == 0 { 19 } else { 9 };
            truth.insert((*sender, *recipient), number);
            for place in 0..number {
                let mut one = lot(1, sender, recipient, weeks[stored / 19]);
                one.priority = ["routine", "urgent", "asap", "stat"][usize::try_from(place).unwrap() % 4];
                store(app, one).await;
                stored += 1;
            }
        }
    }
    truth
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_puts_all_tables_filters_and_weeks_together_pins_nothing() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    let parties = [SMOW, KWADRAAD, MEE, JGZ, KREDIETBANK];
    let weeks: Vec<Timestamp> = quarter.weeks().iter().map(|week| week.bounds().unwrap().0.plus(DAY)).collect();
    let truth = store_tightly(&app, &parties, &weeks).await;
    store(&app, lot(57, MUNICIPALITY, MEE, at)).await;
    handoffs::make(app.app()).await.unwrap();
    let body = summary(&app, "").await;
    let lines = others(&body, "items");
    let shown = |line: &str| lines.get(line).map_or(0, opened);
    let of = |dimension: &str| -> Vec<u64> {
        lines.iter().filter(|(about, _)| about.starts_with(dimension)).map(|(_, figures)| opened(figures)).collect()
    };
    for recipient in parties {
        let whole = shown(&format!("recipient - - {recipient} - -"));
        let senders = parties.iter().filter(|sender| **sender != recipient);
        let routes: Vec<u64> =
            senders.clone().map(|sender| shown(&format!("route - {sender} {recipient} - -"))).collect();
        let parts: u64 = routes.iter().sum();
        assert!(parts <= whole && whole <= parts + 3 * 9, "{recipient}: {whole} of {routes:?}");
        let real: u64 = senders.clone().map(|sender| truth[&(*sender, recipient)]).sum();
        assert!(whole <= real && whole > 0);
        for (sender, part) in senders.zip(routes) {
            let real = truth[&(*sender, recipient)];
            assert!(part <= real && part % 10 == 0 && part + 10 > real, "{sender} {recipient} {part}");
        }
    }
    // All tables are of the same hand-overs, whose number is nowhere shown: none adds up to more than each of the others can when any one of
    // its cells has nothing beyond what is shown of it. Seven purposes lead from one partner to another.
    let trend: Vec<u64> = others(&body, "trend").values().map(opened).collect();
    assert_eq!((of("priority ").len(), of("recipient ").len(), trend.len()), (4, 6, weeks.len()));
    let tables = [(of("recipient "), 5), (of("priority "), 4), (of("purpose "), 7), (trend.clone(), weeks.len())];
    let sums = tables.clone().map(|(cells, _)| cells.iter().sum::<u64>());
    for one in sums {
        assert!(one > 100, "{tables:?}");
        for (other, possible) in sums.iter().zip(tables.clone().map(|(_, possible)| possible)) {
            assert!(one <= other + (possible as u64 - 1) * 9, "{tables:?}");
        }
    }
    // Everything is the largest of these sums; nothing new. Two filters that no table has give nothing.
    assert_eq!(shown("all - - - - -"), sums.into_iter().max().unwrap());
    for combination in [
        format!("?sender={SMOW}&priority=stat"),
        format!("?recipient={SMOW}&priority=stat"),
        format!("?recipient={SMOW}&purpose=information-and-advice"),
        format!("?sender={SMOW}&purpose=information-and-advice"),
        "?purpose=information-and-advice&priority=stat".into(),
    ] {
        assert_eq!(summary(&app, &combination).await["items"], json!([]), "{combination}");
    }
    let one = summary(&app, &format!("?sender={SMOW}&recipient={MEE}")).await;
    assert_eq!(opened(&others(&one, "items")[&format!("route - {SMOW} {MEE} - -")]), 10);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_period_that_is_counted_late_is_counted_as_it_was() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    let end = quarter.bounds().unwrap().1;
    let mut waiting = lot(33, SMOW, MEE, at);
    waiting.open = true;
    store(&app, waiting.clone()).await;
    // Late before the end, stuck before the end, and late only after it.
    store(&app, Lot { late_since: Some(end.minus(DAY)), missed: 1, ..waiting.clone() }).await;
    store(&app, Lot { late_since: Some(end.minus(DAY * 9)), missed: 2, ..waiting }).await;
    // Picked up after two days, completed after the period has closed; meanwhile it was open.
    let days = u32::try_from(
        end.minus(Duration::from_micros(u64::try_from(at.as_micros()).unwrap())).as_micros() / 86_400_000_000,
    )
    .unwrap()
        + 3;
    let completed = Lot { steps: vec![("received", 2), ("completed", days)], ..lot(44, KWADRAAD, KREDIETBANK, at) };
    store(&app, completed).await;
    handoffs::make(app.app()).await.unwrap();
    let body = summary(&app, &format!("?period={quarter}")).await;
    let lines = others(&body, "items");
    let mee = &lines[&format!("recipient - - {MEE} - -")];
    assert_eq!(
        (&mee["open"]["count"], &mee["overdue"]["count"], &mee["stuck"]["count"]),
        (&json!(90), &json!(60), &json!(30))
    );
    let bank = &lines[&format!("recipient - - {KREDIETBANK} - -")];
    assert_eq!((&bank["received"]["count"], &bank["completed"]["code"]), (&json!(40), &json!("fewer-than-threshold")));
    let line = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["recipient"] == KREDIETBANK && line["flows"] == "others")
        .unwrap();
    assert_eq!(
        line["times"]["received"],
        json!({ "medianDays": 2, "medianCode": null, "p90Days": null, "p90Code": "fewer-than-threshold" })
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_come_as_a_table_that_no_spreadsheet_runs() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    store(&app, lot(25, SMOW, MEE, at)).await;
    handoffs::make(app.app()).await.unwrap();
    let token = app.world().client("monitor").unwrap().token(None).await.unwrap();
    let wire = Wire::of(&app, "monitor");
    for path in ["/v1/handoffs", "/v1/handoffs/summary", "/v1/handoffs/needs"] {
        let request = wire.request("GET", path).bearer_auth(&token).header("accept", "text/csv");
        let reply = wire.send(request).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "text/csv"), "{path} {}", reply.text);
        let columns = reply.text.lines().next().unwrap().split(',').count();
        for line in reply.text.lines() {
            assert_eq!(line.split(',').count(), columns, "{line}");
            assert!(line.split(',').all(|field| field.starts_with('"') && !field.starts_with("\"=")), "{line}");
        }
    }
    let request = wire.request("GET", "/v1/handoffs/summary").bearer_auth(&token).header("accept", "text/csv");
    let text = wire.send(request).await.text;
    assert!(
        text.contains(&format!(
            "\"{quarter}\",\"route\",\"others\",\"{SMOW}\",\"{MEE}\",\"\",\"\",\"\",\"20\",\"fewer-than-threshold\""
        )),
        "{text}"
    );
    let request = wire.request("GET", "/v1/handoffs").bearer_auth(&token).header("accept", "text/html");
    assert_eq!(wire.send(request).await.status, 406);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_are_counted_by_life_domain_and_purpose() {
    let app = TestApp::start().await;
    let (_, at) = last_quarter(&app).await;
    store(&app, Lot { purpose: "social-work", ..lot(40, SMOW, KWADRAAD, at) }).await;
    let sections = async move |tx: &mut Tx| {
        let sql = "INSERT INTO referral_sections (referral, part, category, place, sealed) SELECT id, 'referral', $1, 0, $2 FROM referrals";
        for category in ["housing", "question"] {
            tx.execute(sql, args![category, vec![0_u8]]).await?;
        }
        Ok(())
    };
    app.app().db.write("sections", sections).await.unwrap();
    handoffs::make(app.app()).await.unwrap();
    let body = app.get("monitor", "/v1/handoffs/needs?purpose=social-work").await.body;
    let shown: Vec<&Value> =
        body["items"].as_array().unwrap().iter().filter(|need| !need["referrals"]["count"].is_null()).collect();
    assert_eq!(shown.len(), 1, "{body}");
    assert_eq!((&shown[0]["category"], &shown[0]["referrals"]["count"]), (&json!("housing"), &json!(40)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overdue_handover_is_a_line_without_purpose_resident_time_or_a_way_back() {
    let app = TestApp::start().await;
    let sent = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let (id, due) =
        (sent.text_at("/id").unwrap().to_owned(), sent.text_at("/dueAt").unwrap().parse::<Timestamp>().unwrap());
    let until = |moment: Timestamp| {
        Duration::from_micros(u64::try_from(moment.as_micros() - app.app().now().as_micros()).unwrap())
    };
    app.app().clock.advance(until(due) + Duration::from_mins(5));
    watch::deadlines(app.app()).await.unwrap();
    let lines = async || app.get("monitor", "/v1/handoffs").await.body["items"].clone();
    assert_eq!(lines().await, json!([]), "the day on which the term has passed is not told");
    app.app().clock.advance(DAY * 7);
    watch::deadlines(app.app()).await.unwrap();
    let shown = lines().await;
    let line = shown[0].as_object().unwrap();
    assert_eq!(
        line.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        ["id", "recipient", "sender", "workingDaysLate"].into()
    );
    assert!((4..=5).contains(&line["workingDaysLate"].as_u64().unwrap()), "{line:?}");
    let alias = line["id"].as_str().unwrap();
    assert_ne!(alias, id);
    let elsewhere = app.app().pseudonyms.alias("handoff", id.parse().unwrap(), &SMOW.parse().unwrap());
    assert_ne!(alias, elsewhere.to_string(), "another reader has another id");
    assert_eq!(app.get("gemeente-wassenaar", format!("/v1/referrals/{alias}")).await.status, 404);
    assert_eq!(lines().await, shown, "the id stays");
    app.app().sequence().await.unwrap();
    let told = app.get("gemeente-wassenaar", "/v1/events?limit=1000").await.text;
    assert!(told.contains("handoff.overdue") && !told.contains(alias), "an event has a time, and another id");
    assert_eq!(app.get("monitor", format!("/v1/handoffs?recipient={MEE}")).await.body["items"], json!([]));
    let accepted =
        app.post("kredietbank", format!("/v1/referrals/{id}/updates"), json!({ "status": "accepted" })).await;
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    assert_eq!(lines().await, json!([]), "somebody has acted");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_overdue_handovers_tell_no_order_within_a_day() {
    let app = TestApp::start().await;
    let now = app.app().now();
    let late = |days: u32| Lot {
        open: true,
        missed: 1,
        late_since: Some(now.minus(DAY * days)),
        ..lot(7, SMOW, MEE, now.minus(DAY * 40))
    };
    store(&app, late(20)).await;
    store(&app, late(30)).await;
    let (mut seen, mut next) = (Vec::new(), "/v1/handoffs?limit=4".to_owned());
    loop {
        let page = app.get("monitor", &next).await.body;
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(address) => address.clone_into(&mut next),
            None => break,
        }
        assert!(seen.len() < 20);
    }
    assert_eq!(seen.len(), 14);
    let key =
        |line: &Value| (std::cmp::Reverse(line["workingDaysLate"].as_u64()), line["id"].as_str().unwrap().to_owned());
    assert!(seen.is_sorted_by_key(key), "{seen:?}");
    // As a table the same lines, each page leading to the next in a header.
    let token = app.world().client("monitor").unwrap().token(None).await.unwrap();
    let (wire, mut next) = (Wire::of(&app, "monitor"), Some(format!("/v1/handoffs?limit=4&sender={SMOW}")));
    let mut rows = Vec::new();
    while let Some(address) = next {
        let reply = wire.send(wire.request("GET", &address).bearer_auth(&token).header("accept", "text/csv")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        rows.extend(reply.text.lines().skip(1).map(|line| line.split('"').nth(1).unwrap().to_owned()));
        let link = reply.header("link").strip_prefix('<').and_then(|link| link.split_once('>'));
        next = link.map(|(address, relation)| {
            assert_eq!(relation, "; rel=\"next\"");
            assert!(address.contains(SMOW), "what was asked for goes on: {address}");
            address.to_owned()
        });
        assert!(rows.len() < 20);
    }
    assert_eq!(rows, seen.iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_municipality_reads_it_whoever_was_given_the_scope() {
    let app = TestApp::start().await;
    let (_, at) = last_quarter(&app).await;
    store(&app, lot(25, SMOW, MEE, at)).await;
    let write = async move |tx: &mut Tx| {
        let sql = "UPDATE clients SET scopes = scopes || ' handoffs:read' WHERE client_id = $1";
        assert_eq!(tx.execute(sql, args![SMOW]).await?, 1);
        Ok(())
    };
    app.app().db.write("give the scope", write).await.unwrap();
    handoffs::make(app.app()).await.unwrap();
    for path in ["/v1/handoffs", "/v1/handoffs/summary", "/v1/handoffs/needs"] {
        let smow = app.world().client("smow").unwrap();
        let token = smow.token(Some("handoffs:read")).await.unwrap();
        let answer = smow.send(&Request { token: Some(token), ..Request::get(path) }).await.unwrap();
        assert_eq!((answer.status, answer.text_at("/code")), (403, Some("forbidden")), "{path}");
        assert_eq!(app.get("monitor", path).await.status, 200, "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_and_the_figures_together_tell_no_purpose_of_what_is_late() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    let end = quarter.bounds().unwrap().1;
    let late = |number, purpose, missed| Lot {
        purpose,
        open: true,
        missed,
        late_since: Some(end.minus(DAY * 3)),
        ..lot(number, SMOW, KREDIETBANK, at)
    };
    // Twelve lines: ten for debts, one each for two others. With ten shown by purpose the two would be all that is left.
    for missed in [1, 2] {
        store(&app, late(10, "debt-counselling", missed)).await;
        store(&app, late(1, "information-and-advice", missed)).await;
        store(&app, late(1, "case-coordination", missed)).await;
    }
    handoffs::make(app.app()).await.unwrap();
    let lines = app.get("monitor", "/v1/handoffs").await.body["items"].as_array().unwrap().len();
    assert_eq!(lines, 24);
    let body = summary(&app, &format!("?period={quarter}")).await;
    let lines = others(&body, "items");
    let bank = &lines[&format!("route - {SMOW} {KREDIETBANK} - -")];
    assert_eq!((&bank["overdue"]["count"], &bank["stuck"]["count"]), (&json!(20), &json!(10)));
    let hidden = json!({ "count": null, "code": "not-published" });
    for (about, figures) in
        lines.iter().filter(|(about, _)| about.starts_with("purpose ") || about.starts_with("priority "))
    {
        for name in ["overdue", "stuck", "steppedUp", "rejectedSteppedUp", "rejectedResolved", "rejectedReferredOn"] {
            assert_eq!(figures[name], hidden, "{about} {name}");
        }
        assert_eq!(figures["open"]["count"], Value::Null, "{about}: only what is in time is counted by it");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_just_below_the_threshold_are_not_given_away_by_week_and_quarter() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    // Eight stuck at each of five recipients: a week of forty, beside recipients of whom nothing is shown, would mean four at least to each.
    let parties = [SMOW, KWADRAAD, MEE, JGZ, KREDIETBANK];
    for (turn, recipient) in parties.into_iter().enumerate() {
        for sender in [parties[(turn + 1) % 5], parties[(turn + 2) % 5]] {
            let late_since = Some(quarter.bounds().unwrap().1.minus(DAY * 9));
            store(&app, Lot { open: true, missed: 2, late_since, ..lot(4, sender, recipient, at) }).await;
        }
    }
    handoffs::make(app.app()).await.unwrap();
    let last = quarter.weeks().pop().unwrap();
    let count = |body: &Value| others(body, "items")["all - - - - -"]["stuck"]["count"].clone();
    assert_eq!(count(&summary(&app, &format!("?period={last}")).await), 30);
    let body = summary(&app, &format!("?period={quarter}")).await;
    assert_eq!(count(&body), 30, "nothing is left out of the quarter");
    for recipient in parties {
        let line = &others(&body, "items")[&format!("recipient - - {recipient} - -")];
        assert_eq!(line["stuck"], json!({ "count": null, "code": "fewer-than-threshold" }));
    }
    assert!(!body.to_string().contains("withheld"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_of_the_chain_count_when_they_were_taken_whatever_came_later() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    let chain = |steps: &[(&'static str, u32)]| Lot { steps: steps.to_vec(), ..lot(33, KWADRAAD, MEE, at) };
    // Stepped up and then resolved; referred on; stepped up after another end; and one chain that goes on only after the quarter.
    store(&app, chain(&[("rejected", 1), ("rejected/step-ups", 2), ("rejected/resolutions", 3)])).await;
    store(&app, chain(&[("rejected", 1), ("rejected/re-referrals", 2)])).await;
    store(&app, chain(&[("failed", 1), ("failed/step-ups", 2)])).await;
    store(&app, chain(&[("rejected", 1), ("rejected/step-ups", 70)])).await;
    handoffs::make(app.app()).await.unwrap();
    let body = summary(&app, &format!("?period={quarter}")).await;
    let line = &others(&body, "items")[&format!("route - {KWADRAAD} {MEE} - -")];
    let counts: Vec<u64> = ["rejected", "rejectedSteppedUp", "rejectedResolved", "rejectedReferredOn", "steppedUp"]
        .iter()
        .map(|name| line[*name]["count"].as_u64().unwrap_or(0))
        .collect();
    assert_eq!(counts, [90, 30, 30, 30, 60]);
    app.finish().await;
}

/// Cases that were stepped up at a moment, and what happened in them before and after.
#[derive(Clone)]
struct Household {
    number: usize,
    /// Who coordinates it now.
    coordinator: &'static str,
    /// What happened, when, and what it names: the reason of a step-up, or from whom the coordination passed.
    history: Vec<(&'static str, Timestamp, &'static str)>,
    /// A party that sent a referral of it, and when.
    sent_by: Option<(&'static str, Timestamp)>,
}

async fn store_cases(app: &TestApp, households: Household) {
    let entropy = app.app().entropy.clone();
    let write = async move |tx: &mut Tx| {
        for _ in 0..households.number {
            let Household { coordinator, history, sent_by, .. } = &households;
            let first = history.first().unwrap().1;
            let id = entropy.uuid(first).unwrap();
            let case = "INSERT INTO cases (id, coordinator, opened_at, version) VALUES ($1, $2, $3, 9)";
            tx.execute(case, args![id, *coordinator, first]).await?;
            for (version, (happened, at, what)) in (2_i64..).zip(history) {
                let (from, reason) = if *happened == "coordinator" { (Some(*what), None) } else { (None, Some(*what)) };
                tx.execute(
                    "INSERT INTO case_history (case_id, version, place, happened, organisation, reason, taken_at) VALUES ($1, $2, 0, $3, $4, $5, $6)",
                    args![id, version, *happened, from.map(str::to_owned), reason.map(str::to_owned), *at],
                )
                .await?;
            }
            if let Some((sender, at)) = sent_by {
                tx.execute(
                    "INSERT INTO referrals (id, sender, recipient, purpose, phase, legal_basis, subject, priority, status, created_at, updated_at, \
                     version, decision, receipt, case_id) VALUES ($1, $2, $3, 'social-work', 'case', 'consent', 'nobody', 'routine', 'completed', \
                     $4, $4, 9, '{}', '', $5)",
                    args![entropy.uuid(*at).unwrap(), *sender, KWADRAAD, *at, id],
                )
                .await?;
            }
        }
        Ok(())
    };
    app.app().db.write("store cases", write).await.unwrap();
}

fn stepped_up(number: usize, coordinator: &'static str, reason: &'static str, at: Timestamp) -> Household {
    Household { number, coordinator, history: vec![("stepped-up", at, reason)], sent_by: None }
}

/// What is shown of step-ups of cases, of others or of the reader's own: everything together, then by reason.
fn cases_stepped_up(body: &Value, flows: &str) -> Vec<Option<u64>> {
    let lines = body["items"].as_array().unwrap().iter().filter(|line| line["flows"] == flows);
    let of_cases = lines.filter(|line| ["all", "step-up-reason"].contains(&line["dimension"].as_str().unwrap()));
    of_cases.map(|line| line["figures"]["casesSteppedUp"]["count"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn step_ups_of_cases_count_once_by_reason_and_apart_where_the_municipality_had_to_do_with_the_case() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    let (before, after) = (at.minus(DAY), at.plus(DAY));
    // Of others: gone on with, ended and stepped up again; coordinated by the municipality only later, and a party only later.
    let renewed = vec![("stepped-up", before, "overdue"), ("stepped-up", at, "overdue")];
    store_cases(&app, Household { history: renewed, ..stepped_up(12, SMOW, "", at) }).await;
    let again = vec![
        ("stepped-up", before, "overdue"),
        ("stepped-down", at, "overdue"),
        ("stepped-up", after, "nobody-takes-it"),
    ];
    store_cases(&app, Household { history: again, ..stepped_up(11, MEE, "", at) }).await;
    let later = vec![("stepped-up", at, "overdue"), ("coordinator", after, SMOW)];
    let later =
        Household { history: later, sent_by: Some((MUNICIPALITY, after)), ..stepped_up(9, MUNICIPALITY, "", at) };
    store_cases(&app, later).await;
    // Its own: coordinated until after it, or a party before it.
    let own = vec![("stepped-up", at, "other"), ("coordinator", after, MUNICIPALITY)];
    store_cases(&app, Household { history: own, ..stepped_up(6, SMOW, "", at) }).await;
    store_cases(&app, Household { sent_by: Some((MUNICIPALITY, before)), ..stepped_up(8, SMOW, "other", at) }).await;
    // In another quarter.
    store_cases(&app, stepped_up(40, SMOW, "other", quarter.bounds().unwrap().0.minus(DAY))).await;
    handoffs::make(app.app()).await.unwrap();
    let body = summary(&app, &format!("?period={quarter}")).await;
    // Forty-three of others, thirty-two overdue and eleven that nobody takes.
    assert_eq!(cases_stepped_up(&body, "others"), [Some(40), Some(30), None, Some(10), None, None]);
    assert_eq!(cases_stepped_up(&body, "own"), [Some(10), None, None, None, None, Some(10)]);
    let lines = others(&body, "items");
    let figure = |about: &str, name: &str| lines[about][name]["code"].clone();
    assert_eq!(figure("step-up-reason - - - - - disagreement", "casesSteppedUp"), "fewer-than-threshold");
    assert_eq!(figure("step-up-reason - - - - - overdue", "opened"), "not-published");
    for dimension in ["recipient ", "sender ", "purpose ", "priority "] {
        let mut of_dimension = lines.iter().filter(|(about, _)| about.starts_with(dimension)).peekable();
        assert!(of_dimension.peek().is_some());
        for (about, figures) in of_dimension {
            assert_eq!(figures["casesSteppedUp"], json!({ "count": null, "code": "not-published" }), "{about}");
        }
    }
    // No filter narrows them to anybody: what is left is the line of everything, which has none then.
    for filter in [format!("sender={SMOW}"), format!("recipient={SMOW}"), "purpose=social-work".into()] {
        let narrowed = summary(&app, &format!("?period={quarter}&{filter}")).await;
        assert_eq!(cases_stepped_up(&narrowed, "others"), [None], "{filter}");
    }
    // Counted once: what is stepped up afterwards, also within the period, changes nothing.
    store_cases(&app, stepped_up(50, SMOW, "disagreement", at)).await;
    handoffs::make(app.app()).await.unwrap();
    assert_eq!(summary(&app, &format!("?period={quarter}")).await["items"], body["items"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_cases_stepped_up_and_none_look_alike_also_when_weeks_reasons_and_own_ones_are_laid_side_by_side() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    store_cases(&app, stepped_up(9, SMOW, "disagreement", at)).await;
    store_cases(&app, stepped_up(25, MUNICIPALITY, "disagreement", at)).await;
    // Nine for each other reason, each in another week: the weeks show nothing, nor may their quarter add up to what they are.
    for (turn, reason) in (1_u32..).zip(["overdue", "nobody-takes-it", "lack-of-coordination", "other"]) {
        store_cases(&app, stepped_up(9, MEE, reason, at.minus(DAY * 7 * turn))).await;
    }
    handoffs::make(app.app()).await.unwrap();
    let body = summary(&app, &format!("?period={quarter}")).await;
    assert_eq!(cases_stepped_up(&body, "others"), [None; 6]);
    assert_eq!(cases_stepped_up(&body, "own"), [Some(20), None, Some(20), None, None, None]);
    for (about, figures) in others(&body, "trend") {
        assert_eq!(figures["casesSteppedUp"], json!({ "count": null, "code": "fewer-than-threshold" }), "{about}");
    }
    app.finish().await;
}

/// The times of what others sent, by recipient and sender, as far as there are any: the median and the ninetieth percentile of pick-ups.
fn times(body: &Value) -> BTreeMap<(String, String), (Option<u64>, Option<u64>)> {
    let lines = body["items"].as_array().unwrap().iter().filter(|line| line["flows"] == "others");
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
    let days = |line: &Value, name: &str| line["times"]["received"][name].as_u64();
    let of = |line: &Value| {
        let shown = (days(line, "medianDays"), days(line, "p90Days"));
        ((text(line, "recipient"), text(line, "sender")), shown)
    };
    lines.map(of).filter(|(_, shown)| *shown != (None, None)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_has_times_of_its_own_only_where_the_rest_of_its_recipient_is_not_told_by_them() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    let picked_up =
        |number, sender, recipient, days| Lot { steps: vec![("received", days)], ..lot(number, sender, recipient, at) };
    // To MEE: thirty quick ones, and nine slow ones that a median of the route beside that of the recipient would tell of.
    store(&app, picked_up(30, SMOW, MEE, 2)).await;
    store(&app, picked_up(9, KWADRAAD, MEE, 8)).await;
    // To JGZ: the municipality's own forty are not what others can hide among.
    store(&app, picked_up(30, SMOW, JGZ, 2)).await;
    store(&app, picked_up(40, MUNICIPALITY, JGZ, 8)).await;
    // To the credit bank: enough of others, which have too few each.
    store(&app, picked_up(31, SMOW, KREDIETBANK, 3)).await;
    store(&app, picked_up(14, KWADRAAD, KREDIETBANK, 5)).await;
    store(&app, picked_up(15, MEE, KREDIETBANK, 9)).await;
    handoffs::make(app.app()).await.unwrap();
    let body = summary(&app, &format!("?period={quarter}")).await;
    let key = |recipient: &str, sender: &str| (recipient.to_owned(), sender.to_owned());
    let shown = BTreeMap::from([
        (key(MEE, "-"), (Some(2), None)),
        (key(JGZ, "-"), (Some(2), None)),
        (key(KREDIETBANK, "-"), (Some(3), None)),
        (key(KREDIETBANK, SMOW), (Some(3), None)),
    ]);
    assert_eq!(times(&body), shown);
    // The route's code does not tell which of the two it was: too few, or too little left.
    let routes = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["dimension"] == "route" && line["flows"] == "others");
    for line in routes.filter(|line| line["recipient"] != KREDIETBANK || line["sender"] != SMOW) {
        assert_eq!(line["times"]["received"]["medianCode"], "fewer-than-threshold", "{line}");
    }
    // A filter shows the same, and a table of the same lines as well.
    let filtered = summary(&app, &format!("?period={quarter}&sender={SMOW}&recipient={KREDIETBANK}")).await;
    assert_eq!(times(&filtered).into_iter().collect::<Vec<_>>(), [(key(KREDIETBANK, SMOW), (Some(3), None))]);
    let senders = summary(&app, &format!("?period={quarter}&sender={SMOW}")).await;
    assert!(
        times(&senders).keys().all(|(recipient, _)| recipient != "-"),
        "a sender has no times: its routes overlap with recipients"
    );
    let week = summary(&app, &format!("?period={}", Period::week_of(at))).await;
    assert!(times(&week).keys().all(|(recipient, sender)| recipient == "-" && sender == "-"));
    let token = app.world().client("monitor").unwrap().token(None).await.unwrap();
    let wire = Wire::of(&app, "monitor");
    let request = wire.request("GET", &format!("/v1/handoffs/summary?period={quarter}")).bearer_auth(&token);
    let text = wire.send(request.header("accept", "text/csv")).await.text;
    let route = format!("\"route\",\"others\",\"{SMOW}\",\"{KREDIETBANK}\"");
    let line = text.lines().find(|line| line.contains(&route)).unwrap();
    assert!(line.contains("\"3\",\"fewer-than-threshold\""), "{line}");
    assert_eq!(text.lines().next().unwrap().matches("stepUpReason").count(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joined_after_a_period_has_no_line_in_it() {
    let app = TestApp::start().await;
    let (quarter, at) = last_quarter(&app).await;
    change(&app, "UPDATE organisations SET created_at = $1 WHERE slug = 'mee'", app.app().now()).await;
    store(&app, lot(25, SMOW, JGZ, at)).await;
    handoffs::make(app.app()).await.unwrap();
    change(&app, "UPDATE organisations SET updated_at = $1, status = 'suspended' WHERE slug = 'jgz'", app.app().now())
        .await;
    handoffs::make(app.app()).await.unwrap();
    let lines = others(&summary(&app, &format!("?period={quarter}")).await, "items");
    assert!(!lines.keys().any(|about| about.contains(MEE)), "{lines:?}");
    assert_eq!(opened(&lines[&format!("recipient - - {JGZ} - -")]), 20);
    app.finish().await;
}

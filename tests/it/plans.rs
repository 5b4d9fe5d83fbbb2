//! Nothing that the gateway does gets slower because more is stored: the plan of every statement, on both databases.
//!
//! The statements are those in the sources (`source`), the databases hold rows in every table that grows (`ground`), and each plan is judged by how
//! it enters these tables (`judge`). What may be small, few or a backlog is named here with its reason; everything else is refused.

mod ground;
mod judge;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use judge::Knowledge;
use sluis::storage::{Db, Query as _};
use source::Statement;

use crate::app::{fresh_storage, postgres};

/// Tables that do not grow with what is handed over.
const SMALL: &[(&str, &str)] = &[
    ("capacity_notices", "one for each organisation and purpose"),
    ("clients", "a few for each organisation"),
    ("covenant_purpose_signatures", "a few for each organisation and version"),
    ("covenant_signatures", "one for each organisation and version"),
    ("covenants", "a few each year"),
    ("feeds", "one for each organisation, and a few for roles in it"),
    ("gateway_keys", "a few each year"),
    ("gateway_marks", "fixed names"),
    ("handoff_snapshots", "some seventy each year for each reader, who are few"),
    ("key_store_marks", "fixed names, in the key store"),
    ("organisations", "the parties to the covenant, some hundreds"),
    ("revocation_lists", "the last ten are kept"),
    ("schema_migrations", "one for each file"),
    ("subscription_types", "a few for each subscription"),
    ("subscriptions", "a few for each organisation"),
];

/// Keys that are not unique and under which there are only a few rows all the same.
const FEW: &[(&str, &[&str], &str)] = &[
    ("audit_records", &["referral"], "two for each step of one referral"),
    ("audit_records", &["subject"], "what became of sections about one resident, in the words of one organisation"),
    ("consent_confirmations", &["subject"], "what is confirmed about one resident"),
    ("emergency_accesses", &["subject"], "what was declared about one resident"),
    ("case_history", &["case_id"], "what happened in one case"),
    ("case_invitations", &["case_id"], "the organisations that are invited to one case"),
    ("case_aliases", &["case_id"], "one for each organisation in one case"),
    ("certificates", &["client_id"], "one for each renewal"),
    ("covenant_case_signatures", &["case_id"], "those of the organisations that were invited to one case"),
    ("consents", &["subject", "organisation"], "one resident's, of one organisation"),
    ("consents", &["subject"], "one resident's"),
    ("consent_confirmations", &["consent"], "one for each organisation that received something under one consent"),
    ("consent_uses", &["consent"], "the sections that were given under one record, which holds for a year at most"),
    ("vetoes", &["subject", "organisation"], "one resident's, of one organisation"),
    ("vetoes", &["subject"], "one resident's"),
    ("emergency_notifications", &["access"], "what was recorded of informing one resident"),
    ("emergency_readers", &["access"], "the two parties and the municipality"),
    ("incident_assessments", &["incident", "organisation"], "what one party found of one incident"),
    ("incident_duties", &["incident"], "the two parties"),
    ("informing_duties", &["referral"], "the two parties"),
    ("incidents", &["referral"], "one of a kind"),
    ("incidents", &["subject"], "one resident's"),
    ("informing_notifications", &["duty"], "what was recorded of informing one resident"),
    ("objections", &["subject"], "what one resident objected to"),
    ("referrals", &["subject"], "one resident's"),
    ("restriction_notices", &["restriction"], "the referrals of one resident and one organisation"),
    ("restrictions", &["subject"], "one resident's"),
    ("restrictions", &["subject", "organisation"], "one resident's, of one organisation"),
    ("referrals", &["emergency_access"], "what was sent within a day under one declaration"),
    ("referrals", &["subject"], "one resident's"),
    ("referral_sections", &["key_share"], "one section has a share"),
    ("key_destructions", &["erasure"], "the sections that one organisation gave about one resident"),
    ("deliveries", &["event"], "one for each subscription that wants it"),
    ("deliveries", &["subscription", "subject"], "the events of one resource"),
    ("subject_links", &["match_key"], "what organisations said of one name, birth date and postcode"),
    ("referral_sections", &["referral"], "the categories of one referral and its notes"),
    ("referral_sections", &["origin"], "the copies of one section, which are counted before there is another"),
    ("referral_corrections", &["referral"], "what was found to be wrong in one referral"),
    ("referral_updates", &["referral"], "the steps of one referral"),
];

/// Indexes that hold what is still to be done. They are walked from the longest waiting on, with a limit.
const BACKLOGS: &[(&str, &str)] = &[
    ("audit_records_unsequenced", "records of the last moment"),
    ("cases_due", "open cases that wait for an answer, or in which nothing is open"),
    ("consent_confirmations_open", "what organisations have not confirmed"),
    ("consent_confirmations_to_note", "what organisations have not confirmed and may still be in time"),
    ("consents_to_settle", "withdrawals of the last moment"),
    ("emergency_accesses_due", "deadlines of reviews and of informing that passed and were not told"),
    ("emergency_informing_open", "residents who are still to be informed"),
    ("emergency_reviews_open", "reviews that wait for their conclusion"),
    ("incident_assessments_open", "incidents that wait for an assessment"),
    ("incident_deletions_open", "what is still to be deleted after incidents"),
    ("incident_duties_due", "deadlines of incidents that passed and were not told"),
    ("erasures_pending", "erasures of the last moment"),
    ("events_without_position", "events of the last moment"),
    ("informing_duties_due", "residents who were not informed in time, of which nobody was told yet"),
    ("informing_duties_open", "residents who are still to be informed of what was received"),
    ("objections_due", "objections that were not weighed in time, of which nobody was told yet"),
    ("objections_open", "objections that wait for their weighing"),
    ("key_destructions_pending", "keys of what was taken away a moment ago"),
    ("referrals_due", "what is open"),
    ("vetoes_due", "vetoes that wait for their holder"),
    ("referrals_ended", "what has ended within the days that content is kept for"),
    (
        "referrals_without_content",
        "from the longest ended on: what is over goes, and the first that is not ends the walk",
    ),
    ("cases_closed", "from the longest closed on, likewise"),
    ("consents_ended", "from the longest ended on, likewise"),
    ("retention_removals_places", "the last of them alone is read"),
];

/// Indexes that serve PostgreSQL alone: SQLite finds the same rows, in the same order, in another one.
const POSTGRES_ONLY: &[&str] = &["audit_records_unsequenced"];

/// Statements that walk on purpose, by their beginning or a part of them.
const ON_PURPOSE: &[(&str, &str)] = &[
    ("DELETE FROM subscriptions WHERE id", "what refers to it has been taken away in steps before"),
    ("FROM audit_tiles", "sluis audit verify counts the whole tree"),
    (
        "SELECT COUNT(*) AS waiting, MIN(created_at) AS since FROM (SELECT created_at FROM deliveries",
        "the operator's count of what is owed stops at a hundred thousand",
    ),
    (
        "WHERE leaf_index >= $1 AND (leaf_index > $1 OR entry > $2)",
        "sluis audit verify, page by page: two rows cannot have the same place",
    ),
    (
        "FROM case_aliases a JOIN referrals r ON r.sender = a.organisation AND r.case_id = a.case_id",
        "whether a closed case has a referral: it stops at the first",
    ),
    (
        "ended_at IS NOT NULL AND content_removed_at IS NOT NULL AND ended_at <= $1 AND updated_at < $2",
        "what is over and waits: cases that were closed that long ago go with their last referral, and open duties are a backlog",
    ),
    (
        "SELECT id FROM audit_records WHERE kind = $1 AND leaf_index",
        "sluis audit verify looks for every removal that a record tells of",
    ),
    (
        "COUNT(*) AS revocations FROM certificates",
        "as long as the revocation list, which is made anew when there are more",
    ),
    ("SELECT serial, revoked_at, revocation_reason FROM certificates", "the revocation list names each"),
];

/// Statements that must be refused: the ways in which one easily writes one that gets slower.
const SLOW: &[(&str, &str)] = &[
    (
        "a state without a window",
        "SELECT id FROM referrals WHERE sender = $1 AND status = $2 ORDER BY id DESC LIMIT $3",
    ),
    ("a state alone", "SELECT id FROM referrals WHERE status = $1"),
    ("an order without an index", "SELECT id FROM referrals ORDER BY updated_at DESC LIMIT 10"),
    ("an order within an organisation", "SELECT id FROM referrals WHERE sender = $1 ORDER BY updated_at DESC LIMIT 10"),
    ("all of an organisation", "SELECT id FROM referrals WHERE sender = $1"),
    ("a count", "SELECT COUNT(*) AS number FROM events"),
    ("a count in an index", "SELECT COUNT(*) AS number FROM referrals WHERE recipient = $1"),
    ("a sum", "SELECT SUM(width) AS hashes FROM audit_tiles"),
    ("whatever is old", "DELETE FROM idempotency WHERE expires_at <= $1"),
    ("a part of a key", "SELECT jti FROM used_assertions WHERE jti = $1"),
    ("something in a text", "SELECT id FROM audit_records WHERE facts LIKE $1 LIMIT 10"),
    ("an open end", "SELECT id FROM events WHERE organisation = $1 AND position > $2"),
    ("a condition that no plain column is in", "SELECT id FROM referrals WHERE LOWER(id) = $1"),
    (
        "a join by what has no index",
        "SELECT r.id FROM consents c JOIN referrals r ON r.purpose = c.kind WHERE c.id = $1",
    ),
    (
        "everything that is absent",
        "DELETE FROM events WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event = events.id)",
    ),
];

fn program() -> source::Found {
    source::read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// SQLite takes no row locks and has none of PostgreSQL's functions.
fn is_for_postgres(statement: &str) -> bool {
    let marks =
        ["FOR SHARE", "FOR UPDATE", "FOR NO KEY UPDATE", "pg_", "json_array_elements_text", "json_to_recordset"];
    marks.iter().any(|mark| statement.contains(mark))
}

fn is_for_sqlite(statement: &str) -> bool {
    statement.contains("json_each")
}

fn knowledge(
    unique: &BTreeMap<String, (String, BTreeSet<String>)>,
    columns: BTreeMap<String, Vec<String>>,
) -> Knowledge {
    let few = FEW
        .iter()
        .map(|(table, key, _)| (table.to_string(), key.iter().map(ToString::to_string).collect::<BTreeSet<_>>()));
    // Rows have a number of their own.
    let entries = ["events", "audit_records"].map(|table| (table.to_owned(), BTreeSet::from(["entry".to_owned()])));
    Knowledge {
        small: SMALL.iter().map(|(table, _)| table.to_string()).collect(),
        few: few.chain(entries).chain(unique.values().cloned()).collect(),
        backlogs: BACKLOGS.iter().map(|(index, _)| index.to_string()).collect(),
        columns,
    }
}

/// A database of SQLite in a folder of its own.
struct Ground {
    db: Db,
    folder: std::path::PathBuf,
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Ground {
    async fn sqlite(name: &str, organisations: usize) -> Self {
        let folder = format!("sluis-plans-{name}-{organisations}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let db = ground::filled_database(format!("sqlite:{}", folder.join("sluis.db").display()), organisations).await;
        Self { db, folder }
    }

    async fn column(&self, sql: &'static str, column: &'static str) -> Vec<String> {
        let rows = self.db.reader().rows(sql, vec![]).await.unwrap();
        rows.iter().map(|row| row.text(column).unwrap()).collect()
    }

    async fn knowledge(&self) -> Knowledge {
        knowledge(&self.unique().await, BTreeMap::new())
    }

    /// Judges SQLite's plan of every statement.
    async fn judge(&self, wrong: &mut Vec<String>, excused: &mut BTreeSet<&'static str>, used: &mut BTreeSet<String>) {
        let knowledge = self.knowledge().await;
        for statement in program().statements.iter().filter(|statement| !is_for_postgres(&statement.text)) {
            match ground::sqlite_plan(&self.db, &statement.text).await {
                Ok(plan) => {
                    used.extend(plan.iter().filter_map(judge::sqlite_index).map(str::to_owned));
                    judged(statement, &judge::sqlite(&knowledge, &statement.text, &plan), wrong, excused);
                }
                Err(error) => wrong.push(format!("{}: {}\n    {error}", statement.place, statement.text)),
            }
        }
    }

    /// The unique indexes: name, table, columns.
    async fn unique(&self) -> BTreeMap<String, (String, BTreeSet<String>)> {
        let sql = "SELECT m.name AS owner, l.name AS name, i.name AS part FROM sqlite_schema m, pragma_index_list(m.name) l, \
                   pragma_index_info(l.name) i WHERE m.type = 'table' AND l.\"unique\" = 1 AND l.partial = 0";
        let mut indexes: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
        for row in self.db.reader().rows(sql, vec![]).await.unwrap() {
            let entry = indexes.entry(row.text("name").unwrap()).or_default();
            entry.0 = row.text("owner").unwrap();
            entry.1.insert(row.text("part").unwrap());
        }
        indexes
    }
}

/// Whether a statement may walk, and that it does: one that no longer does is no exception any more.
fn judged(statement: &Statement, faults: &[String], wrong: &mut Vec<String>, excused: &mut BTreeSet<&'static str>) {
    let excuse = ON_PURPOSE.iter().find(|(part, _)| statement.text.contains(part));
    match excuse {
        Some((part, _)) if !faults.is_empty() => drop(excused.insert(part)),
        _ => wrong.extend(faults.iter().map(|fault| format!("{}: {}\n    {fault}", statement.place, statement.text))),
    }
}

#[test]
fn every_statement_is_found_and_read_as_a_whole() {
    let found = program();
    assert!(found.faults.is_empty(), "{}", found.faults.join("\n"));
    assert!(found.statements.len() > 90, "{} statements", found.statements.len());
}

#[test]
fn statements_are_read_as_the_compiler_reads_them() {
    let source = r#"
        // "SELECT nothing FROM comments"
        const ONE: &str = "SELECT a \
                           FROM b";
        macro_rules! all { ($rest:literal) => { concat!("SELECT c FROM d ", $rest) }; }
        fn f() { let two = all!("WHERE e = '\"' AND c = $1"); let three = concat!("WITH (", all!("x"), ")"); let c = '"'; }
        fn g<'a>(x: &'a str) { h(r@"DELETE FROM "i""@); format!("UPDATE {x}"); "plain $ text"; }
        const ROWS: Insert = Insert { rank: 1, table: "o", columns: &["p", "q"], conflict: "ON CONFLICT DO NOTHING", otherwise: Fine };
        fn j() { let part = "WHERE k = $1"; let made = String::new().leak(); }
        mod tests { fn l() { "SELECT m FROM n"; } }
    "#
    .replace('@', "#");
    let mut found = source::Found::default();
    source::read("here", &source, &mut found);
    let texts: Vec<&str> = found.statements.iter().map(|statement| statement.text.as_str()).collect();
    let expected = [
        "SELECT a FROM b",
        "SELECT c FROM d WHERE e = '\"' AND c = $1",
        "WITH (SELECT c FROM d x)",
        "DELETE FROM \"i\"",
        "UPDATE {x}",
        "INSERT INTO o (p, q) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    ];
    assert_eq!(texts, expected);
    assert_eq!(found.statements[0].place, "here:3");
    assert_eq!(found.faults.len(), 2, "{:?}", found.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_no_statement_gets_slower() {
    let ground = Ground::sqlite("statements", ground::MANY).await;
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    // As the gateway has it, which never counts its rows, and as a database is whose operator had them counted.
    for counted in [false, true] {
        if counted {
            ground::analyse(&ground.db).await;
        }
        ground.judge(&mut wrong, &mut BTreeSet::new(), &mut used).await;
        let knowledge = ground.knowledge().await;
        for (what, statement) in SLOW {
            let plan = ground::sqlite_plan(&ground.db, statement).await.unwrap();
            // A condition that passes over rows is not in SQLite's plans.
            if *what != "a state without a window" && judge::sqlite(&knowledge, statement, &plan).is_empty() {
                wrong.push(format!("{what} is not refused: {statement}\n    {plan:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let made = ground.column("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL", "name").await;
    let serves = |index: &String| used.contains(index) || POSTGRES_ONLY.contains(&index.as_str());
    let idle: Vec<&String> = made.iter().filter(|index| !serves(index)).collect();
    assert!(idle.is_empty(), "each index costs every change, and these serve no statement: {idle:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_no_statement_gets_slower() {
    if postgres().is_none() {
        println!("NOT CHECKED: name a PostgreSQL server in SLUIS_TEST_POSTGRES to have its plans judged");
        return;
    }
    let (mut wrong, mut excused, mut used) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for organisations in ground::ORGANISATIONS {
        on_postgres(organisations, &mut wrong, &mut excused, &mut used).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let needless: Vec<_> = ON_PURPOSE.iter().filter(|(part, _)| !excused.contains(part)).collect();
    assert_eq!(used.len(), POSTGRES_ONLY.len(), "each of these serves here: {POSTGRES_ONLY:?}");
    assert!(needless.is_empty(), "these walk no longer and need no exception: {needless:?}");
}

/// With what so many organisations hand over.
async fn on_postgres(
    organisations: usize,
    wrong: &mut Vec<String>,
    excused: &mut BTreeSet<&'static str>,
    used: &mut BTreeSet<&'static str>,
) {
    let sqlite = Ground::sqlite("keys", organisations).await;
    let storage = fresh_storage(&sqlite.folder, &format!("sluis-plans-{organisations}-{}", std::process::id())).await;
    let db = ground::filled_database(storage, organisations).await;
    ground::analyse(&db).await;
    ground::prepare_for_plans(&db).await;
    let knowledge = knowledge(&sqlite.unique().await, ground::postgres_columns(&db).await);
    // What refers to a row is in SQLite's plans only.
    sqlite.judge(wrong, excused, &mut BTreeSet::new()).await;
    for (number, statement) in program().statements.iter().filter(|found| !is_for_sqlite(&found.text)).enumerate() {
        match ground::postgres_plan(&db, number, &statement.text).await {
            Ok(plan) => {
                let text = plan.to_string();
                used.extend(POSTGRES_ONLY.iter().filter(|index| text.contains(**index)));
                judged(statement, &judge::postgres(&knowledge, &plan), wrong, excused);
            }
            Err(error) => wrong.push(format!("{}: {}\n    {error}", statement.place, statement.text)),
        }
    }
    for (number, (what, statement)) in SLOW.iter().enumerate() {
        let plan = ground::postgres_plan(&db, 1_000 + number, statement).await.unwrap();
        if judge::postgres(&knowledge, &plan).is_empty() {
            wrong.push(format!("{what} is not refused: {statement}\n    {plan}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_is_known_and_what_refers_to_another_is_indexed() {
    let ground = Ground::sqlite("tables", 2).await;
    let named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let tables: BTreeSet<String> = ground.column(named, "name").await.into_iter().collect();
    let small: BTreeSet<String> = SMALL.iter().map(|(table, _)| table.to_string()).collect();
    let known: BTreeSet<String> = small.iter().cloned().chain(ground::filled().map(str::to_owned)).collect();
    assert_eq!(tables, known, "a new table is small, with a reason, or it is filled in tests/it/plans/ground.rs");

    // Removing a row looks for those that refer to it.
    let bare = "SELECT m.name || '.' || k.\"from\" AS reference FROM sqlite_schema m, pragma_foreign_key_list(m.name) k WHERE m.type = 'table' \
                AND NOT EXISTS (SELECT 1 FROM pragma_index_list(m.name) l, pragma_index_info(l.name) i \
                WHERE l.partial = 0 AND i.seqno = 0 AND i.name = k.\"from\")";
    assert_eq!(ground.column(bare, "reference").await, [""; 0], "no index begins with the column that refers");
}

//! A database with rows in every table that grows, on which plans are made as on one that has been in use.

use std::collections::BTreeMap;

use sluis::storage::{Args, Db, Query as _, StorageSettings, Tx, Value};

use super::judge::Line;

/// Rows in each table that grows: a fiftieth of a million.
const ROWS: usize = 20_000;
/// Rows in each table that has one for each organisation.
const FEW_ROWS: usize = 600;
/// Among how many organisations the rows of the other tables are divided: many, and two. With few of them the walk along all rows that
/// passes over those of others looks cheap to PostgreSQL, which counts them; it is not for who has hardly any.
pub const ORGANISATIONS: [usize; 2] = [MANY, 2];
/// See [`ORGANISATIONS`].
pub const MANY: usize = FEW_ROWS;

/// A table, its columns, and the values of row `n`. `$1` is some bytes.
struct Filling {
    table: &'static str,
    rows: usize,
    columns: &'static str,
    values: &'static str,
}

const fn many(table: &'static str, columns: &'static str, values: &'static str) -> Filling {
    Filling { table, rows: ROWS, columns, values }
}

const fn some(table: &'static str, columns: &'static str, values: &'static str) -> Filling {
    Filling { table, rows: FEW_ROWS, columns, values }
}

/// `key(n)` and `org(n)` are texts that grow with `n`, as identifiers do; `ORGS` stands for how many organisations there are.
const FILLINGS: &[Filling] = &[
    some(
        "organisations",
        "oin, slug, name, status, created_at, updated_at, version, keys, keys_version",
        "org(n), org(n), org(n), 'active', n, n, 1, '{}', 1",
    ),
    some(
        "capacity_notices",
        "organisation, purpose, id, kind, until, announced_at",
        "org(n), 'debts', key(n), 'no-intake', '2026-11-30', n",
    ),
    many(
        "capacity_history",
        "id, organisation, purpose, kind, until, announced_at, ending, ended_at",
        "key(n), org(n % ORGS + 1), 'debts', 'no-intake', '2026-11-30', n, 'replaced', n",
    ),
    some("clients", "client_id, organisation, scopes, status, created_at", "org(n), org(n), '', 'active', n"),
    some("feeds", "organisation, head", "org(n), 32"),
    some(
        "subscriptions",
        "id, organisation, sink, use_client_certificate, status, confirmed, secret, window_started_at, window_sent, handshakes, \
         handshake_next_at, created_at, updated_at, version",
        "key(n), org(n), '', 0, 'active', 1, $1, 0, 0, 0, 0, n, n, 1",
    ),
    some("subscription_types", "subscription, type", "key(n), 'type-1'"),
    some("gateway_keys", "kid, purpose, jwk, private_key, created_at, active_from", "key(n), 'token', '{}', $1, n, n"),
    many(
        "certificates",
        "thumbprint, serial, issued_by, client_id, certificate, server_names, not_before, not_after, issued_at, revoked_at",
        "key(n), key(n), 'gateway', org(n % ORGS + 1), $1, '', n, n, n, CASE WHEN n % 100 = 0 THEN n END",
    ),
    many(
        "referrals",
        "id, sender, recipient, purpose, phase, legal_basis, subject, priority, status, created_at, updated_at, version, decision, receipt, \
         case_id, taken_on, emergency_access, ended_at, content_removed_at",
        "key(n), org(n % ORGS + 1), org(n % (ORGS - 1) + 1), 'debts', 'case', 'wgs', key(n % 5000), 'routine', \
         CASE WHEN n % 499 = 0 THEN 'on-hold' ELSE 'completed' END, n, n, 1, '{\"outcome\":\"permitted\"}', 'receipt', key(n / 3 + 1), n % 2, CASE WHEN n % 50 = 0 THEN key(n / 2) END, n, CASE WHEN n % 97 > 0 THEN n END",
    ),
    many(
        "cases",
        "id, coordinator, opened_at, closed_at, due_at, version",
        "key(n), org(n % ORGS + 1), n, CASE WHEN n % 3 > 0 THEN n END, CASE WHEN n % 99 = 0 THEN n END, 1",
    ),
    many("case_invitations", "case_id, organisation, invited_at", "key(n / 2 + 1), org(n % ORGS + 1), n"),
    Filling {
        table: "covenants",
        rows: 4,
        columns: "version, digest, effective_from, published_at, files",
        values: "key(n), key(n), n, n, '{}'",
    },
    many(
        "covenant_case_signatures",
        "id, case_id, organisation, invitation, version, alias, jws, thumbprint, signed_at",
        "key(n), key(n / 2 + 1), org(n % ORGS + 1), '', key(n % 4 + 1), key(n), 'jws', 'thumbprint', n",
    ),
    many("case_aliases", "alias, case_id, organisation", "key(n), key((n * 7919) % 20000 + 1), org(n % ORGS + 1)"),
    many(
        "case_history",
        "case_id, version, place, happened, taken_at",
        "key(n / 3 + 1), n, 0, CASE WHEN n % 5 = 0 THEN 'stepped-up' ELSE 'stepped-down' END, n",
    ),
    many(
        "referral_updates",
        "id, referral, version, organisation, status, taken_at, categories",
        "key(n), key(n / 4 + 1), n % 4 + 2, org(n % ORGS + 1), 'received', n, '[]'",
    ),
    many(
        "referral_sections",
        "referral, part, category, place, sealed, origin, key_share",
        "key(n / 3 + 1), 'referral', key(n % 3), n % 3, $1, CASE WHEN n % 9 = 0 THEN key(n / 30) END, key(n)",
    ),
    many(
        "key_destructions",
        "share, erasure, requested_at, destroyed_at",
        "key(n), CASE WHEN n % 3 = 0 THEN key(n / 9) END, n, CASE WHEN n % 997 > 0 THEN n END",
    ),
    many(
        "erasures",
        "id, organisation, ground, requested_at, referrals, sections, told, destroyed_at",
        "key(n), org(n % ORGS + 1), 'legal-obligation', n, 1, 2, 0, CASE WHEN n % 997 > 0 THEN n END",
    ),
    many(
        "retention_removals",
        "id, kind, removed_at, covenant_version, days, number, oldest, newest, digest, last_place, record",
        "key(n), 'content', n, '2026.1', 30, 100, n, n, 'sha-256:', CASE WHEN n % 9 = 0 THEN n * 100 END, key(n)",
    ),
    many("key_shares", "id, sealed, made_at", "key(n), $1, n"),
    many(
        "referral_corrections",
        "id, referral, version, organisation, reason, corrected_at, sections",
        "key(n), key(n / 4 + 1), n % 4 + 2, org(n % ORGS + 1), 'inaccurate', n, '[]'",
    ),
    many(
        "audit_records",
        "id, kind, time, organisation, purpose, trace_id, referral, salts, commitments, seal, leaf_index",
        "key(n), CASE WHEN n % 7 = 0 THEN 'check' ELSE 'decision' END, n, org(n % ORGS + 1), 'debts', key(n / 2), key(n / 2), $1, $1, $1, \
         CASE WHEN n <= 19900 THEN n - 1 END",
    ),
    many(
        "emergency_accesses",
        "id, organisation, recipient, subject, role, reason, categories, covenant_version, declared_at, valid_until, reviewer, review_due_at, \
         review_told, concluded_at, inform_due_at, inform_told, inform_days, alarm_at, version",
        "key(n), org(n % ORGS + 1), org(n % (ORGS - 1) + 1), key(n % 5000), 'manager', 'danger-to-life', '[]', '2026.1', n, n, org(1), n, 1, \
         CASE WHEN n % 199 > 0 THEN n END, CASE WHEN n % 197 = 0 THEN n END, 1, 5, CASE WHEN n % 193 = 0 THEN n END, 1",
    ),
    many(
        "vetoes",
        "id, organisation, subject, referral, set_at, days, due_at, missed, alarm_at, ended_at, version",
        "key(n), org(n % ORGS + 1), key(n % 5000), key(n), n, 5, n, 0, CASE WHEN n % 193 = 0 THEN n END, CASE WHEN n % 3 > 0 THEN n END, 1",
    ),
    many("emergency_readers", "organisation, access", "org(n % ORGS + 1), key(n)"),
    many("emergency_notifications", "id, access, version, outcome, recorded_at", "key(n), key(n), 2, 'informed', n"),
    many(
        "incidents",
        "id, referral, kind, sender, recipient, subject, opened_at",
        "key(n), key(n), 'wrong-recipient', org(n % ORGS + 1), org(n % (ORGS - 1) + 1), key(n % 5000), n",
    ),
    many(
        "incident_duties",
        "organisation, incident, aware_at, assess_due_at, assess_told, assessment, delete_due_at, delete_told, deleted_at, alarm_at, version",
        "org(n % ORGS + 1), key(n), n, n, 1, CASE WHEN n % 199 > 0 THEN 'no-breach' END, n, 1, CASE WHEN n % 197 > 0 THEN n END, \
         CASE WHEN n % 193 = 0 THEN n END, 1",
    ),
    many(
        "incident_assessments",
        "id, organisation, incident, version, outcome, recorded_at",
        "key(n), org(n % ORGS + 1), key(n), 2, 'no-breach', n",
    ),
    many(
        "objections",
        "id, organisation, subject, obtained_at, recorded_at, due_at, overdue_at, outcome, weighed_at, stands, version",
        "key(n), org(n % ORGS + 1), key(n % 5000), n, n, n, CASE WHEN n % 199 > 0 THEN n END, CASE WHEN n % 199 > 0 THEN 'overridden' END, \
         CASE WHEN n % 199 > 0 THEN n END, CASE WHEN n % 199 > 0 THEN 0 ELSE 1 END, 1",
    ),
    many(
        "restrictions",
        "id, organisation, subject, ground, recorded_at, ended_at, version",
        "key(n), org(n % ORGS + 1), key(n % 5000), 'objection-pending', n, CASE WHEN n % 97 > 0 THEN n END, 1",
    ),
    many("restriction_notices", "restriction, referral, organisation", "key(n / 3 + 1), key(n), org(n % ORGS + 1)"),
    many(
        "informing_duties",
        "id, referral, organisation, subject, given_at, opened_at, due_at, overdue_at, outcome, version",
        "key(n), key(n), org(n % ORGS + 1), key(n % 5000), n, n, n, CASE WHEN n % 199 > 0 THEN n END, \
         CASE WHEN n % 199 > 0 THEN 'informed' END, 1",
    ),
    many("informing_notifications", "id, duty, version, outcome, recorded_at", "key(n), key(n), 2, 'informed', n"),
    many("audit_tiles", "level, tile, width, hashes", "0, n, 256, $1"),
    many("audit_checkpoints", "tree_size, root, created_at, previous, note, link", "n, $1, n, $1, 'note', $1"),
    many(
        "consents",
        "id, organisation, subject, kind, given_by, explicit, recipients, purposes, categories, valid_from, valid_until, obtained_at, \
         method, recorded_at, version, to_settle",
        "key(n), org(n % ORGS + 1), key(n % 5000), 'consent', 'resident', 1, '[]', '[]', '[]', n, n + 1000, n, 'signed-form', n, 1, \
         CASE WHEN n % 4999 = 0 THEN n END",
    ),
    many(
        "consent_uses",
        "consent, referral, part, category, handed_over",
        "key(n / 4 + 1), key(n), 'referral', 'finance', n % 2",
    ),
    many(
        "consent_confirmations",
        "id, consent, recorder, organisation, subject, received, asked_at, due_at, overdue_at, outcome, confirmed_at",
        "key(n), key(n / 2), org(n % ORGS + 1), org(n % (ORGS - 1) + 1), key(n % 5000), '[]', n, n + 1000, CASE WHEN n % 199 = 0 THEN n END, \
         CASE WHEN n % 99 > 0 THEN 'deleted' END, CASE WHEN n % 99 > 0 THEN n END",
    ),
    many(
        "idempotency",
        "scope, key, body_digest, status, answer, expires_at",
        "org(n % ORGS + 1), key((n * 7919) % 20011), $1, 201, $1, n",
    ),
    many(
        "subject_pseudonyms",
        "organisation, pseudonym, subject",
        "org(n % ORGS + 1), key((n * 7919) % 20011), key(n)",
    ),
    many(
        "subject_links",
        "match_key, organisation, subject, vouched, linked_at",
        "key((n * 7919) % 20011), org(n % ORGS + 1), key(n), 0, n",
    ),
    many("subject_ages", "subject, age_group, stated_at", "key((n * 7919) % 20011), '18-plus', n"),
    many("revisions", "key, revision", "key((n * 7919) % 20011), 1"),
    many("revoked_tokens", "jti, expires_at", "key((n * 7919) % 20011), n"),
    many("used_assertions", "client_id, jti, expires_at", "org(n % ORGS + 1), key((n * 7919) % 20011), n"),
    many(
        "events",
        "id, organisation, position, type, subject, data, path, time",
        "key(n), org(n % ORGS + 1), CASE WHEN n <= 19900 THEN n / ORGS + 1 END, 'type-1', key(n / 4), '{}', '/v1/referrals', n",
    ),
    many(
        "deliveries",
        "subscription, position, event, subject, status, attempts, next_attempt_at, created_at",
        "key(n % 40 + 1), n / 40 + 1, key(n), key(n / 160), CASE WHEN n % 401 = 0 THEN 'dead' WHEN n % 7 = 0 THEN 'pending' ELSE 'delivered' END, \
         1, n, n",
    ),
];

/// The tables that have rows as after long use.
pub fn filled() -> impl Iterator<Item = &'static str> {
    FILLINGS.iter().map(|filling| filling.table)
}

fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Replaces `name(argument)` by `before`, the argument and `after`.
fn replace_call(text: &str, name: &str, before: &str, after: &str) -> String {
    let call = format!("{name}(");
    let mut pieces = text.split(&call);
    let mut result = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let mut depth = 1;
        let close = piece.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let (argument, rest) = piece.split_at(close.unwrap());
        result.extend([before, argument, after, &rest[1..]]);
    }
    result
}

impl Filling {
    fn statement(&self, organisations: usize) -> String {
        let values = self.values.replace("ORGS", &organisations.to_string());
        let values = replace_call(&values, "key", "CAST(1000000000 + (", ") AS TEXT)");
        let values = replace_call(&values, "org", "CAST(1000000000000000000 + (", ") AS TEXT)");
        let Self { table, rows, columns, .. } = self;
        format!(
            "INSERT INTO {table} ({columns}) WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {rows}) \
             SELECT {values} FROM series"
        )
    }
}

/// The tables of the key store, which is a database of its own: its statements are judged among the others.
async fn add_key_store(db: &Db) {
    let is_postgres = async |tx: &mut Tx| Ok(tx.is_postgres());
    let bytes = if db.write("which", is_postgres).await.unwrap() { "BYTEA" } else { "BLOB" };
    let script = include_str!("../../../src/storage/key_migrations/0001_key_shares.sql").replace("BYTES", bytes);
    let lines: String = script.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    for statement in lines.split(';').filter(|statement| !statement.trim().is_empty()) {
        let sql = kept(statement.to_owned());
        db.write("key store", async move |tx: &mut Tx| Ok(tx.execute(sql, vec![]).await?)).await.unwrap();
    }
}

/// Opens the database and fills it with what so many organisations hand over.
pub async fn filled_database(url: String, organisations: usize) -> Db {
    let db = Db::open(&StorageSettings { url, readers: 1, writers: 1 }).await.unwrap();
    add_key_store(&db).await;
    for filling in FILLINGS {
        let sql = kept(filling.statement(organisations));
        let args: Args = if sql.contains("$1") { vec![Value::Bytes(Some(vec![7; 32]))] } else { vec![] };
        let fill = async move |tx: &mut Tx| Ok(tx.execute(sql, args.clone()).await?);
        db.write("fill", fill).await.unwrap_or_else(|problem| panic!("{}: {problem:?}", filling.table));
    }
    db
}

/// Lets the planner count what there is, in these tables alone: on a server there are those of others too.
pub async fn analyse(db: &Db) {
    for table in filled() {
        let sql = kept(format!("ANALYZE {table}"));
        db.write("analyse", async move |tx: &mut Tx| Ok(tx.execute(sql, vec![]).await?)).await.unwrap();
    }
}

/// SQLite's plan.
pub async fn sqlite_plan(db: &Db, statement: &str) -> Result<Vec<Line>, String> {
    let rows = db.reader().rows(kept(format!("EXPLAIN QUERY PLAN {statement}")), vec![]).await;
    let line =
        |row: &sluis::storage::Row| Line { parent: row.int("parent").unwrap(), detail: row.text("detail").unwrap() };
    Ok(rows.map_err(|error| error.to_string())?.iter().map(line).collect())
}

/// Makes plans on PostgreSQL: of prepared statements, without knowing the values.
pub async fn prepare_for_plans(db: &Db) {
    let function = "CREATE FUNCTION plan_of(name TEXT, statement TEXT, arguments TEXT) RETURNS TEXT LANGUAGE plpgsql AS $$ \
        DECLARE plan JSON; BEGIN \
        EXECUTE 'PREPARE ' || name || ' AS ' || statement; \
        EXECUTE 'EXPLAIN (FORMAT JSON) EXECUTE ' || name || arguments INTO plan; \
        EXECUTE 'DEALLOCATE ' || name; \
        RETURN plan::text; END $$";
    db.write("plans", async move |tx: &mut Tx| Ok(tx.execute(function, vec![]).await?)).await.unwrap();
}

/// The columns of PostgreSQL's indexes, in order.
pub async fn postgres_columns(db: &Db) -> BTreeMap<String, Vec<String>> {
    let sql = "SELECT i.relname::TEXT AS name, a.attname::TEXT AS part FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
               JOIN pg_attribute a ON a.attrelid = i.oid WHERE i.relnamespace = current_schema()::regnamespace ORDER BY i.relname, a.attnum";
    let mut indexes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in db.reader().rows(sql, vec![]).await.unwrap() {
        indexes.entry(row.text("name").unwrap()).or_default().push(row.text("part").unwrap());
    }
    indexes
}

/// PostgreSQL's plan of a statement that is prepared, on a connection of the gateway's own making: no value is known, limits neither.
pub async fn postgres_plan(db: &Db, number: usize, statement: &str) -> Result<serde_json::Value, String> {
    let parameters = parameters(statement);
    let arguments = if parameters == 0 { String::new() } else { format!("({})", vec!["NULL"; parameters].join(", ")) };
    let args = vec![Value::from(format!("judged_{number}")), Value::from(statement), Value::from(arguments)];
    let rows = db.reader().rows("SELECT plan_of($1, $2, $3) AS plan", args).await.map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&rows[0].text("plan").unwrap()).unwrap())
}

/// How many parameters a statement has.
fn parameters(statement: &str) -> usize {
    let numbers = statement.split('$').skip(1).filter_map(|piece| {
        let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        piece[..digits].parse().ok()
    });
    numbers.max().unwrap_or(0)
}

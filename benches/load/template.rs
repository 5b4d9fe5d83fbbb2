//! The rows of one real referral, as the gateway wrote them: what the references on bare databases write again and again, with
//! other keys and everything else the same, so that sizes are the real ones.

use sqlx::{Column as _, Connection as _, PgConnection, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _};

use crate::Outcome;
use crate::database;

/// A value in a row of the template.
#[derive(Debug, Clone)]
pub enum Cell {
    /// No value.
    Null,
    /// A number.
    Integer(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A text that stays as it is.
    Text(String),
    /// A text that is another one in every transaction.
    Key(Key),
}

/// What is new in every transaction. The number tells several of one kind apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The referral; the record or the event about it; the key for repeats. 36 characters.
    Fresh(u8),
    /// The resident. 64 characters.
    Resident,
    /// An organisation's pseudonym of the resident. 43 characters.
    Pseudonym,
}

impl Key {
    /// How long the text is.
    pub const fn length(self) -> usize {
        match self {
            Self::Fresh(_) => 36,
            Self::Resident => 64,
            Self::Pseudonym => 43,
        }
    }
}

/// The referral's own.
pub const REFERRAL: Key = Key::Fresh(1);
/// That of the case which it opens.
pub const CASE: Key = Key::Fresh(2);

/// One statement that inserts rows.
#[derive(Debug, Clone)]
pub struct Insert {
    /// Into which table.
    pub table: &'static str,
    /// Which columns.
    pub columns: Vec<String>,
    /// Their values, row by row.
    pub rows: Vec<Vec<Cell>>,
    /// What to do with a row that is there.
    pub conflict: &'static str,
}

impl Insert {
    /// The statement, with its values as `value` writes them.
    pub fn sql(&self, mut value: impl FnMut(&Cell) -> String) -> String {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| format!("({})", row.iter().map(&mut value).collect::<Vec<_>>().join(", ")))
            .collect();
        format!("INSERT INTO {} ({}) VALUES {}{}", self.table, self.columns.join(", "), rows.join(", "), self.conflict)
    }
}

/// A connection to the gateway's database of either kind.
enum Source {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Columns and values of rows.
type Rows = (Vec<String>, Vec<Vec<Cell>>);

macro_rules! read_rows {
    ($connection:expr, $sql:expr, $key:expr) => {{
        let found = sqlx::query($sql).bind($key).fetch_all($connection).await?;
        let columns = found.first().map(|row| row.columns().iter().map(|column| column.name().to_owned()).collect());
        let mut rows = Vec::new();
        for row in &found {
            let mut cells = Vec::new();
            for place in 0..row.len() {
                let raw = row.try_get_raw(place)?;
                let kind = raw.type_info().name().to_owned();
                cells.push(match (raw.is_null(), kind.as_str()) {
                    (true, _) => Cell::Null,
                    (false, "INTEGER" | "INT8") => Cell::Integer(row.try_get(place)?),
                    (false, "BLOB" | "BYTEA") => Cell::Bytes(row.try_get(place)?),
                    (false, _) => Cell::Text(row.try_get(place)?),
                });
            }
            rows.push(cells);
        }
        (columns.unwrap_or_default(), rows)
    }};
}

impl Source {
    async fn open(url: &str) -> Outcome<Self> {
        Ok(match url.strip_prefix("sqlite:") {
            Some(path) => Self::Sqlite(SqliteConnection::connect_with(&database::sqlite(path.as_ref())).await?),
            None => Self::Postgres(PgConnection::connect(url).await?),
        })
    }

    async fn rows(&mut self, sql: &'static str, key: &str) -> Outcome<Rows> {
        Ok(match self {
            Self::Sqlite(connection) => read_rows!(connection, sql, key),
            Self::Postgres(connection) => read_rows!(connection, sql, key),
        })
    }

    /// The rows of a table about the referral, as one statement that writes them again.
    async fn insert(
        &mut self,
        table: &'static str,
        sql: &'static str,
        key: &str,
        place: &mut Place,
    ) -> Outcome<Insert> {
        let (columns, rows) = self.rows(sql, key).await?;
        if rows.is_empty() {
            return Err(format!("the gateway wrote no {table} to take as an example").into());
        }
        // Given by the database itself, or by the sequencer later.
        let left_out =
            |column: &str| column == "entry" || column == "leaf_index" || (table == "events" && column == "position");
        let is_empty = |place: usize| rows.iter().all(|row| matches!(row.get(place), Some(Cell::Null)));
        let kept = |(place, column): &(usize, &String)| !left_out(column) && !is_empty(*place);
        let kept: Vec<usize> = columns.iter().enumerate().filter(kept).map(|(place, _)| place).collect();
        let mut values = Vec::new();
        for row in &rows {
            let own = place.next();
            let mut of = |at: &usize| {
                let (column, cell) = (columns.get(*at)?, row.get(*at)?);
                Some(place.key(table, column, cell, own).map_or_else(|| cell.clone(), Cell::Key))
            };
            values.push(kept.iter().filter_map(&mut of).collect());
        }
        let columns = kept.iter().filter_map(|at| columns.get(*at).cloned()).collect();
        Ok(Insert { table, columns, rows: values, conflict: "" })
    }
}

/// The example: what was read, and the texts that are keys in it.
pub struct Example {
    /// The id of the referral.
    pub referral: String,
    /// The key under which its answer is kept for repeats.
    pub repeat: String,
    /// Its rows.
    pub inserts: Vec<Insert>,
}

/// Which texts of the example are keys.
struct Place {
    referral: String,
    case: String,
    subject: String,
    used: u8,
    repeat: String,
}

impl Place {
    /// The key of the next row that has one of its own.
    fn next(&mut self) -> Key {
        self.used += 1;
        Key::Fresh(self.used)
    }

    fn key(&mut self, table: &str, column: &str, cell: &Cell, own: Key) -> Option<Key> {
        let Cell::Text(text) = cell else { return None };
        if (table, column) == ("idempotency", "key") {
            self.repeat.clone_from(text);
        }
        match (table, column) {
            _ if *text == self.referral => Some(REFERRAL),
            _ if *text == self.case => Some(CASE),
            _ if *text == self.subject => Some(Key::Resident),
            ("subject_pseudonyms", "pseudonym") => Some(Key::Pseudonym),
            ("audit_records" | "events", "id") | ("idempotency", "key") | ("case_aliases", "alias") => Some(own),
            _ => None,
        }
    }
}

/// What one accepted referral writes in one transaction, with the rows of each table in one statement: the way in which somebody
/// would write it by hand.
pub async fn of_referral(url: &str) -> Outcome<Example> {
    let mut source = Source::open(url).await?;
    let newest = "SELECT id, case_id, subject FROM referrals WHERE id <= $1 ORDER BY id DESC LIMIT 1";
    let (_, rows) = source.rows(newest, "~").await?;
    let Some([Cell::Text(referral), Cell::Text(case), Cell::Text(subject)]) = rows.first().map(Vec::as_slice) else {
        return Err("the gateway accepted no referral that opened a case, to take as an example".into());
    };
    // The first two are the referral's and the case's.
    let mut place = Place {
        referral: referral.clone(),
        case: case.clone(),
        subject: subject.clone(),
        used: 2,
        repeat: String::new(),
    };
    let mut inserts = Vec::new();
    for (table, sql, key) in [
        ("audit_records", "SELECT * FROM audit_records WHERE referral = $1 AND kind = 'decision'", referral),
        (
            "subject_pseudonyms",
            "SELECT * FROM subject_pseudonyms WHERE subject = $1 ORDER BY organisation LIMIT 2",
            subject,
        ),
        ("subject_ages", "SELECT * FROM subject_ages WHERE subject = $1", subject),
        ("cases", "SELECT * FROM cases WHERE id = $1", case),
        ("case_aliases", "SELECT * FROM case_aliases WHERE case_id = $1", case),
        ("referrals", "SELECT * FROM referrals WHERE id = $1", referral),
        ("referral_sections", "SELECT * FROM referral_sections WHERE referral = $1 AND part = 'referral'", referral),
        ("events", "SELECT * FROM events WHERE subject = $1", referral),
        (
            "idempotency",
            "SELECT * FROM idempotency WHERE scope LIKE '%/v1/referrals' AND key <> $1 ORDER BY expires_at DESC LIMIT 1",
            referral,
        ),
    ] {
        let mut insert = source.insert(table, sql, key, &mut place).await?;
        insert.conflict = match table {
            "subject_pseudonyms" => " ON CONFLICT (organisation, pseudonym) DO NOTHING",
            "subject_ages" => {
                " ON CONFLICT (subject) DO UPDATE SET age_group = excluded.age_group, stated_at = excluded.stated_at"
            }
            _ => "",
        };
        inserts.push(insert);
    }
    Ok(Example { referral: place.referral, repeat: place.repeat, inserts })
}

/// How many rows that is, and how many bytes of values.
pub fn size(inserts: &[Insert]) -> (usize, usize) {
    let rows = || inserts.iter().flat_map(|insert| &insert.rows);
    let bytes = |cell: &Cell| match cell {
        Cell::Null => 0,
        Cell::Integer(_) => 8,
        Cell::Bytes(bytes) => bytes.len(),
        Cell::Text(text) => text.len(),
        Cell::Key(key) => key.length(),
    };
    (rows().count(), rows().flatten().map(bytes).sum())
}

//! Rows that changes add to the growing tables: kept until the shared transaction needs them, then written many at a time.
//!
//! A transaction that carries fifty requests would otherwise send the database hundreds of statements. Invariant: what was
//! appended is written before the next statement of the same transaction runs and before it commits, so nobody can tell when.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Args, Value};

/// A table to which changes add rows.
#[derive(Debug)]
pub struct Insert {
    /// Rows of a lower rank are written first. 0 is for revisions: who raises one waits for those who rest on it, and only then do
    /// its other rows get their numbers. 2 is for rows that refer to those of rank 1.
    pub rank: u8,
    /// The table.
    pub table: &'static str,
    /// The columns, in the order of the values.
    pub columns: &'static [&'static str],
    /// What to do about a row that is there already (`ON CONFLICT …`), or nothing: then it is an error.
    pub conflict: &'static str,
    /// What a row that is not written means.
    pub otherwise: Otherwise,
}

/// What it means when the database leaves out a row because of [`Insert::conflict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing: it was there before.
    Fine,
    /// Somebody else was faster, and the change must not happen.
    Lost,
}

/// Rows that wait, by table, in the order in which tables are written.
#[derive(Default)]
pub(super) struct Pending(BTreeMap<(u8, &'static str), (&'static Insert, Vec<Args>)>);

impl Pending {
    pub(super) fn add(&mut self, insert: &'static Insert, row: Args) {
        let (_, rows) = self.0.entry((insert.rank, insert.table)).or_insert_with(|| (insert, Vec::new()));
        rows.push(row);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn append(&mut self, other: Self) {
        for (place, (insert, rows)) in other.0 {
            self.0.entry(place).or_insert_with(|| (insert, Vec::new())).1.extend(rows);
        }
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = (&'static Insert, Vec<Args>)> {
        std::mem::take(&mut self.0).into_values()
    }
}

/// The most rows in one statement on `SQLite`: 64 rows of the widest table stay far below its limit of parameters.
pub(super) const MOST_ROWS: usize = 64;

/// The most bytes of values in one statement on `PostgreSQL`, so that it fits one TLS record. sqlx 0.9.0 leaves Nagle's algorithm on
/// (transact-rs/sqlx#4335, mended there but not released): what goes out in two pieces waits 40 ms for the second.
const MOST_BYTES: usize = 14 * 1024;

/// Shares rows out over statements that stay small; one row that is larger goes alone (`PostgreSQL`).
pub(super) fn portions(rows: Vec<Args>) -> Vec<Vec<Args>> {
    let size = |row: &Args| row.iter().map(size_of_value).sum::<usize>();
    let (mut portions, mut bytes): (Vec<Vec<Args>>, usize) = (Vec::new(), 0);
    for row in rows {
        bytes += size(&row);
        match portions.last_mut() {
            Some(portion) if bytes <= MOST_BYTES => portion.push(row),
            _ => {
                bytes = size(&row);
                portions.push(vec![row]);
            }
        }
    }
    portions
}

/// On the wire: a length and the value.
fn size_of_value(value: &Value) -> usize {
    4 + match value {
        Value::Text(text) => text.as_ref().map_or(0, String::len),
        Value::Integer(_) => 8,
        Value::Bytes(bytes) => bytes.as_ref().map_or(0, Vec::len),
    }
}

/// How many of `left` rows the next statement takes on `SQLite`: a power of two, so that few different statements are prepared.
pub(super) fn share(left: usize) -> usize {
    let power = usize::BITS - left.min(MOST_ROWS).leading_zeros();
    1 << power.saturating_sub(1)
}

/// Adds `rows` rows: one list of placeholders for each (`SQLite`). They have no numbers: `SQLite` would look for the name of each
/// among all of them, and there are two thousand in the largest statement.
pub(super) fn of_rows(insert: &Insert, rows: usize) -> Arc<str> {
    let row = format!("({})", vec!["?"; insert.columns.len()].join(", "));
    let rows = vec![row.as_str(); rows].join(", ");
    finish(format!("INSERT INTO {} ({}) VALUES {rows}", insert.table, insert.columns.join(", ")), insert)
}

/// Adds any number of rows: one array of values for each column (`PostgreSQL`).
pub(super) fn of_columns(insert: &Insert, row: &[Value]) -> Arc<str> {
    let mut sql = format!("INSERT INTO {} ({}) SELECT * FROM UNNEST(", insert.table, insert.columns.join(", "));
    for (place, value) in row.iter().enumerate() {
        let kind = match value {
            Value::Text(_) => "text",
            Value::Integer(_) => "int8",
            Value::Bytes(_) => "bytea",
        };
        let _ = write!(sql, "{}${}::{kind}[]", if place == 0 { "" } else { ", " }, place + 1);
    }
    sql.push(')');
    finish(sql, insert)
}

fn finish(mut sql: String, insert: &Insert) -> Arc<str> {
    if !insert.conflict.is_empty() {
        sql.push(' ');
        sql.push_str(insert.conflict);
    }
    sql.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    const PAIRS: Insert = Insert {
        rank: 0,
        table: "pairs",
        columns: &["name", "number"],
        conflict: "ON CONFLICT (name) DO NOTHING",
        otherwise: Otherwise::Fine,
    };

    #[test]
    fn both_databases_get_the_same_rows_in_their_own_words() {
        assert_eq!(
            &*of_rows(&PAIRS, 2),
            "INSERT INTO pairs (name, number) VALUES (?, ?), (?, ?) ON CONFLICT (name) DO NOTHING"
        );
        assert_eq!(
            &*of_columns(&PAIRS, &[Value::from("a"), Value::from(1_i64)]),
            "INSERT INTO pairs (name, number) SELECT * FROM UNNEST($1::text[], $2::int8[]) ON CONFLICT (name) DO NOTHING"
        );
    }

    #[test]
    fn any_number_of_rows_is_shared_out_in_powers_of_two() {
        for rows in 1..300 {
            let (mut left, mut statements) = (rows, 0);
            while left > 0 {
                let taken = share(left);
                assert!(taken.is_power_of_two() && taken <= left.min(MOST_ROWS), "{taken} of {left}");
                left -= taken;
                statements += 1;
            }
            assert!(statements <= rows / MOST_ROWS + 6, "{rows} rows in {statements} statements");
        }
    }

    #[test]
    fn statements_stay_small_and_no_row_is_lost() {
        let row = |number: i64, bytes: usize| args!["x".repeat(bytes), number];
        let rows: Vec<Args> =
            (0_i64..).zip([10, 12_000, 3_000, 200_000, 5, 5, 10_000, 10_000]).map(|(n, b)| row(n, b)).collect();
        let portions = portions(rows.clone());
        let lengths: Vec<_> = portions.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 1, 3, 1]);
        let number = |row: &Args| format!("{:?}", row.last());
        assert!(portions.iter().flatten().map(number).eq(rows.iter().map(number)), "in their order");
        assert!(super::portions(Vec::new()).is_empty());
    }

    #[test]
    fn tables_that_others_refer_to_are_written_first() {
        const CHILD: Insert =
            Insert { rank: 1, table: "children", columns: &["name"], conflict: "", otherwise: Otherwise::Fine };
        let mut pending = Pending::default();
        pending.add(&CHILD, args!["c"]);
        pending.add(&PAIRS, args!["p", 1_i64]);
        let mut more = Pending::default();
        more.add(&CHILD, args!["d"]);
        pending.append(more);
        let order: Vec<_> = pending.take().map(|(insert, rows)| (insert.table, rows.len())).collect();
        assert_eq!(order, [("pairs", 1), ("children", 2)]);
        assert!(pending.is_empty());
    }
}

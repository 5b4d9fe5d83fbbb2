//! Pages of what a condition selects, bounded in what they read and not only in what they answer.
//!
//! A page of "the newest that are on hold" would walk along everything that is stored when few are. So a page with such a condition
//! looks at a window: the [`WINDOW`] rows behind the place where it starts, along the index that gives the order. Invariant: the end of the
//! window is looked up first and stands in the statement, so that no plan can read beyond it. A page that ends with its window before it is
//! full says where the next one goes on.

use super::{Args, Error, Query};
use crate::args;
use crate::clock::Timestamp;

/// At most this many rows are looked at for one page.
pub const WINDOW: i64 = 5_000;

/// At most this many rows are thrown away, or given up, in one transaction: so few that nobody waits for it.
pub const STEP: i64 = 500;

/// Comes after every identifier (a UUID in lower case), in every collation.
pub const AFTER_ALL: &str = "g";

/// What a page found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// In the order of the collection, at most as many as were asked for.
    pub items: Vec<T>,
    /// The key behind which the next page goes on, when this one ended with its window instead of with its limit.
    pub resume: Option<String>,
}

impl<T> Found<T> {
    /// The items of a page of at most `limit`, which looked no further than at the row with the key `end`; nothing when it looked to the end.
    #[must_use]
    pub fn new(items: Vec<T>, limit: i64, end: Option<String>) -> Self {
        let full = i64::try_from(items.len()).is_ok_and(|found| found >= limit);
        Self { items, resume: end.filter(|_| !full) }
    }
}

/// The key of the last row of a window, in the column `id`; none when the walk ends before.
///
/// # Errors
/// When the database fails.
pub async fn end(query: &mut impl Query, sql: &'static str, args: Args) -> Result<Option<String>, Error> {
    query.row(sql, args).await?.map(|row| row.text("id")).transpose()
}

/// How far to go in one step of throwing away what is old: up to which moment, and whether there is more behind it. The statement gives the `moment` of
/// the row that is `$2` rows behind the oldest, among those up to `$1`.
///
/// # Errors
/// When the database fails.
pub async fn oldest(query: &mut impl Query, sql: &'static str, until: Timestamp) -> Result<(Timestamp, bool), Error> {
    let row = query.row(sql, args![until, STEP - 1]).await?;
    Ok(row.map(|row| row.time("moment")).transpose()?.map_or((until, false), |moment| (moment, true)))
}

//! The SQL of matches: to whom those of an organisation lead.

use super::lead::Link;
use super::{MatchKey, Subject};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::storage::{Error, Insert, Otherwise, Query, Tx};

/// To whom these data lead, by organisation.
pub(super) async fn of_key(query: &mut impl Query, key: &MatchKey) -> Result<Vec<Link>, Error> {
    let sql = "SELECT organisation, subject, vouched FROM subject_links WHERE match_key = $1";
    let rows = query.rows(sql, args![key.as_str()]).await?;
    let read = |row: &crate::storage::Row| {
        Ok(Link {
            organisation: row.parsed("organisation")?,
            subject: row.opt_text("subject")?.map(Subject::from_stored),
            vouched: row.flag("vouched")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Keeps to whom these data lead. Where the organisation has said so before, the change is lost: it was decided on something else.
pub(super) fn add(tx: &mut Tx, key: &MatchKey, link: &Link, now: Timestamp) {
    static LINKS: Insert = Insert {
        rank: 1,
        table: "subject_links",
        columns: &["match_key", "organisation", "subject", "vouched", "linked_at"],
        conflict: "ON CONFLICT (match_key, organisation) DO NOTHING",
        otherwise: Otherwise::Lost,
    };
    let subject = link.subject.as_ref().map(Subject::as_str);
    tx.append(&LINKS, args![key.as_str(), &link.organisation, subject, link.vouched, now]);
}

/// Forgets to whom these data lead for an organisation.
pub(super) async fn remove(tx: &mut Tx, key: &MatchKey, organisation: &Oin) -> Result<(), Error> {
    let sql = "DELETE FROM subject_links WHERE match_key = $1 AND organisation = $2";
    tx.execute(sql, args![key.as_str(), organisation]).await.map(drop)
}

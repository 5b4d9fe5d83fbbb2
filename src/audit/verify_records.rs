//! The part of verification that goes through the records: each is compared with its commitments, its seal and the
//! leaf hash that the tree has at its place.
//!
//! Invariant: when records were inserted or removed and the rest moved along, one finding is made for each harm, not
//! one for every record behind it.

use super::merkle::Hash;
use super::record::{Examined, Seals, StoredRecord};
use super::report::{Finding, FindingKind, Report};
use super::store::{self, as_i64};
use super::tiles::{TILE_WIDTH, TileId};
use super::types::Field;
use super::verify::{Tree, stored_hashes};
use crate::storage::{Error, Query};

/// Records read at a time.
const PAGE: i64 = 256;

/// The leaf hashes of the stored tree, with the two tiles used last kept at hand.
#[derive(Default)]
struct Leaves(Vec<(u64, Vec<Hash>)>);

impl Leaves {
    async fn at(&mut self, query: &mut impl Query, place: i64, tree: Tree) -> Result<Option<Hash>, Error> {
        let Some(place) = u64::try_from(place).ok().filter(|place| *place < tree.size) else { return Ok(None) };
        let index = place / TILE_WIDTH;
        if !self.0.iter().any(|(held, _)| *held == index) {
            if self.0.len() > 1 {
                self.0.remove(0);
            }
            self.0.push((index, stored_hashes(query, TileId { level: 0, index }).await?));
        }
        let tile = self.0.iter().find(|(held, _)| *held == index);
        Ok(tile.and_then(|(_, hashes)| hashes.get((place % TILE_WIDTH) as usize).copied()))
    }
}

/// A record that was read and examined, waiting until the one behind it is known.
struct Candidate {
    index: i64,
    stored: StoredRecord,
    examined: Examined,
}

/// The walk along the places of the log.
struct Places<'a> {
    tree: Tree,
    report: &'a mut Report,
    leaves: Leaves,
    /// The place that the next record must have.
    next: i64,
    /// What to add to a record's own place, after records before it were inserted or removed.
    shift: i64,
}

/// Goes through the records that have a place in the log.
pub(super) async fn sequenced(
    query: &mut impl Query,
    seals: &impl Seals,
    tree: Tree,
    report: &mut Report,
) -> Result<(), Error> {
    let mut places = Places { tree, report, leaves: Leaves::default(), next: 0, shift: 0 };
    let mut held: Option<Candidate> = None;
    let mut position = (i64::MIN, i64::MIN);
    loop {
        let page = store::sequenced_records(query, position.0, position.1, PAGE).await?;
        let Some(last) = page.last() else { break };
        let reached = (last.leaf_index.unwrap_or(i64::MAX), last.entry);
        for stored in page {
            places.report.records += 1;
            let index = stored.leaf_index.unwrap_or(i64::MAX);
            let next = Candidate { index, examined: stored.examine(seals), stored };
            if let Some(record) = held.replace(next) {
                places.pass(query, &record, held.as_ref()).await?;
            }
        }
        // A place that is no number sorts behind all numbers; there is nothing to page on.
        if reached <= position || reached.0 == i64::MAX {
            break;
        }
        position = reached;
    }
    if let Some(record) = held {
        places.pass(query, &record, None).await?;
    }
    places.missing_until(as_i64(tree.size));
    Ok(())
}

impl Places<'_> {
    fn missing_until(&mut self, place: i64) {
        if place > self.next {
            let count = place - self.next;
            let leaf_index = u64::try_from(self.next).ok();
            let detail = if count == 1 {
                "the log has a leaf here, but the record is gone".to_owned()
            } else {
                format!("the log has {count} leaves from here on whose records are gone")
            };
            self.report.add(Finding { leaf_index, ..Finding::new(FindingKind::RecordRemoved, detail) });
            self.next = place;
        }
    }

    fn found(&mut self, record: &Candidate, kind: FindingKind, detail: impl Into<String>) {
        self.report.add(Finding {
            leaf_index: u64::try_from(record.index).ok(),
            record: record.stored.value(Field::Id).map(str::to_owned),
            entry: Some(record.stored.entry),
            ..Finding::new(kind, detail)
        });
    }

    async fn pass(
        &mut self,
        query: &mut impl Query,
        record: &Candidate,
        behind: Option<&Candidate>,
    ) -> Result<(), Error> {
        self.report.erased_values += record.examined.erased.len() as u64;
        let place = record.index.saturating_add(self.shift);
        if place >= as_i64(self.tree.size) {
            self.beyond_the_end(record);
            return Ok(());
        }
        if place < self.next {
            self.found(record, FindingKind::RecordInserted, "its place in the log belongs to another record");
            return Ok(());
        }
        self.missing_until(place);
        let expected = self.leaves.at(query, place, self.tree).await?;
        if expected.is_some() && expected == record.examined.leaf_hash {
            self.next = place + 1;
            if !record.examined.is_authentic() {
                self.found(record, FindingKind::RecordChanged, what_changed(&record.examined));
            }
            return Ok(());
        }
        let following = self.leaves.at(query, place + 1, self.tree).await?;
        self.judge(record, behind, place, (expected, following));
        Ok(())
    }

    /// Says what happened to a record whose leaf hash is not the one that the tree has at its place.
    fn judge(
        &mut self,
        record: &Candidate,
        behind: Option<&Candidate>,
        place: i64,
        (expected, following): (Option<Hash>, Option<Hash>),
    ) {
        let fits_behind = expected.is_some() && behind.and_then(|behind| behind.examined.leaf_hash) == expected;
        let fits_following = following.is_some() && record.examined.leaf_hash == following;
        self.next = place + 1;
        if fits_following && !fits_behind {
            self.next = place;
            self.missing_until(place + 1);
            self.shift += 1;
            self.next = place + 2;
            if !record.examined.is_authentic() {
                self.found(record, FindingKind::RecordChanged, what_changed(&record.examined));
            }
        } else if record.examined.is_authentic() {
            let certain = u64::try_from(place).is_ok_and(|place| place < self.tree.certain);
            if certain || fits_following {
                self.found(
                    record,
                    FindingKind::RecordMoved,
                    "the gateway wrote it, but the log has another record here",
                );
            } else {
                self.found(
                    record,
                    FindingKind::TileAltered,
                    "the gateway wrote it, but the stored tree has another hash",
                );
            }
        } else if fits_behind {
            self.found(record, FindingKind::RecordInserted, "the log has no such leaf");
            self.next = place;
            // Where the records behind were moved along, they are one place too far; where not, they share the place.
            self.shift -= i64::from(behind.is_some_and(|behind| behind.index > record.index));
        } else {
            self.found(record, FindingKind::RecordChanged, what_changed(&record.examined));
        }
    }

    fn beyond_the_end(&mut self, record: &Candidate) {
        if record.examined.is_authentic() {
            let detail =
                "the gateway wrote it, and it has a place behind the last checkpoint: a checkpoint was removed";
            self.found(record, FindingKind::LogTruncated, detail);
        } else {
            self.found(record, FindingKind::RecordInserted, "its place is behind the end of the log");
        }
    }
}

fn what_changed(examined: &Examined) -> String {
    let fields: Vec<&str> = examined.altered.iter().map(|field| field.code()).collect();
    match (fields.is_empty(), examined.sealed) {
        (false, true) => format!("not what was committed to: {}", fields.join(", ")),
        (false, false) => format!("seal and values do not fit: {}", fields.join(", ")),
        (true, _) => "its commitments or its seal were rewritten".to_owned(),
    }
}

/// Goes through the records that have no place in the log yet.
pub(super) async fn waiting(query: &mut impl Query, seals: &impl Seals, report: &mut Report) -> Result<(), Error> {
    let mut entry = i64::MIN;
    loop {
        let page = store::unsequenced_records(query, entry, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        entry = last.entry;
        for record in &page {
            let examined = record.examine(seals);
            let kind_and_detail = if !examined.sealed {
                Some((FindingKind::RecordInserted, "the gateway did not write it: its seal does not fit".to_owned()))
            } else if !examined.altered.is_empty() {
                Some((FindingKind::RecordChanged, what_changed(&examined)))
            } else if record.refused {
                Some((
                    FindingKind::RecordHeldBack,
                    "it is genuine, but marked so that it is never sequenced".to_owned(),
                ))
            } else {
                report.unsequenced += 1;
                None
            };
            if let Some((kind, detail)) = kind_and_detail {
                let id = record.value(Field::Id).map(str::to_owned);
                report.add(Finding { record: id, entry: Some(record.entry), ..Finding::new(kind, detail) });
            }
        }
    }
}

//! The part of verification that goes through the records: each is compared with its commitments, its seal and the
//! leaf hash that the tree has at its place.
//!
//! Invariant: when records were inserted or removed and the rest moved along, one finding is made for each harm, not
//! one for every record behind it.

use super::merkle::{Hash, leaf_hash};
use super::record::{Examined, Seals, StoredRecord, leaf_of};
use super::report::{Finding, FindingKind, Report};
use super::store::{self, as_i64};
use super::tiles::{TILE_WIDTH, TileId};
use super::types::Field;
use super::verify::{Tree, stored_hashes};
use crate::storage::{Error, Query};

/// Records read at a time, and how far it is searched for a leaf or a record that is not where it belongs.
const PAGE: i64 = 256;
/// How often it is searched ahead in one verification.
const SEARCHES: u32 = 1_000;

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

/// A record that was read and examined.
struct Read {
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
    /// How often it may still be searched ahead, so that a wholly ruined log does not take for ever.
    searches: u32,
}

/// Goes through the records that have a place in the log, from place `from` on.
pub(super) async fn sequenced(
    query: &mut impl Query,
    seals: &impl Seals,
    from: u64,
    tree: Tree,
    report: &mut Report,
) -> Result<(), Error> {
    let next = as_i64(from);
    let mut places = Places { tree, report, leaves: Leaves::default(), next, shift: 0, searches: SEARCHES };
    // A place before the first is no place: it is met where the whole log is verified.
    let mut position = (if from == 0 { i64::MIN } else { next }, i64::MIN);
    loop {
        let page = store::sequenced_records(query, position.0, position.1, PAGE).await?;
        let Some(last) = page.last() else { break };
        position = (last.leaf_index.unwrap_or(i64::MAX), last.entry);
        for stored in page {
            let index = stored.leaf_index.unwrap_or(i64::MAX);
            places.pass(query, &Read { index, examined: stored.examine(seals), stored }).await?;
        }
        // A place that is no number sorts behind all numbers; there is nothing to page on.
        if position.0 == i64::MAX {
            break;
        }
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

    fn found(&mut self, record: &Read, kind: FindingKind, detail: impl Into<String>) {
        self.report.add(Finding {
            leaf_index: u64::try_from(record.index).ok(),
            record: record.stored.value(Field::Id).map(str::to_owned),
            entry: Some(record.stored.entry),
            ..Finding::new(kind, detail)
        });
    }

    async fn pass(&mut self, query: &mut impl Query, record: &Read) -> Result<(), Error> {
        self.report.records += 1;
        self.report.erased_values += record.examined.erased.len() as u64;
        self.report.erased_records += u64::from(!record.examined.erased.is_empty());
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
        self.next = place + 1;
        let expected = self.leaves.at(query, place, self.tree).await?;
        if expected.is_none() || expected != record.examined.leaf_hash {
            let around = self.look_ahead(query, record, place, expected).await?;
            self.judge(record, place, around);
        } else if !record.examined.is_authentic() {
            self.found(record, FindingKind::RecordChanged, what_changed(&record.examined));
        }
        Ok(())
    }

    /// Looks behind a record that does not fit its place: for its own leaf, and for the record that belongs here.
    async fn look_ahead(
        &mut self,
        query: &mut impl Query,
        record: &Read,
        place: i64,
        expected: Option<Hash>,
    ) -> Result<Ahead, Error> {
        let mut ahead = Ahead::default();
        self.searches = self.searches.saturating_sub(1);
        if self.searches == 0 {
            return Ok(ahead);
        }
        let behind = store::sequenced_records(query, record.index, record.stored.entry, PAGE).await?;
        let leaf_hashes = behind.iter().map(|stored| leaf_of(&stored.commitments).as_deref().map(leaf_hash));
        ahead.rightful_exists = expected.is_some() && leaf_hashes.into_iter().any(|hash| hash == expected);
        ahead.moved_along = behind.first().is_some_and(|next| next.leaf_index > Some(record.index));
        for distance in 1..=PAGE {
            let leaf = self.leaves.at(query, place + distance, self.tree).await?;
            if leaf.is_none() {
                break;
            }
            if leaf == record.examined.leaf_hash {
                ahead.own_distance = Some(distance);
                break;
            }
        }
        Ok(ahead)
    }

    /// Says what happened to a record whose leaf hash is not the one that the tree has at its place.
    fn judge(&mut self, record: &Read, place: i64, ahead: Ahead) {
        let authentic = record.examined.is_authentic();
        if let (Some(distance), false) = (ahead.own_distance, ahead.rightful_exists) {
            self.next = place;
            self.missing_until(place + distance);
            self.next = place + distance + 1;
            self.shift += distance;
            if !authentic {
                self.found(record, FindingKind::RecordChanged, what_changed(&record.examined));
            }
        } else if authentic && u64::try_from(place).is_ok_and(|place| place < self.tree.certain) {
            self.found(record, FindingKind::RecordMoved, "the gateway wrote it, but the log has another record here");
        } else if authentic {
            self.found(record, FindingKind::TileAltered, "the gateway wrote it, but the stored tree has another hash");
        } else if ahead.rightful_exists {
            self.found(record, FindingKind::RecordInserted, "the log has no such leaf");
            self.next = place;
            // Where the records behind it were moved along they are one place too far; else they share the place.
            self.shift -= i64::from(ahead.moved_along);
        } else {
            self.found(record, FindingKind::RecordChanged, what_changed(&record.examined));
        }
    }

    fn beyond_the_end(&mut self, record: &Read) {
        if record.examined.is_authentic() {
            let detail =
                "the gateway wrote it, and it has a place behind the last checkpoint: a checkpoint was removed";
            self.found(record, FindingKind::LogTruncated, detail);
        } else {
            self.found(record, FindingKind::RecordInserted, "its place is behind the end of the log");
        }
    }
}

/// What is found behind a record that does not fit its place.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    /// Whether the record that belongs at the place is further on.
    rightful_exists: bool,
    /// Whether the next record has a later place than this one.
    moved_along: bool,
    /// How far on the leaf of this record is.
    own_distance: Option<i64>,
}

fn what_changed(examined: &Examined) -> String {
    let fields: Vec<&str> = examined.altered.iter().map(|field| field.as_str()).collect();
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
            report.erased_records += u64::from(!examined.erased.is_empty());
            let kind_and_detail = if !examined.sealed {
                Some((FindingKind::RecordInserted, "the gateway did not write it: its seal does not fit".to_owned()))
            } else if examined.altered.contains(&Field::Id) {
                Some((
                    FindingKind::RecordInserted,
                    "it is a copy of another record under an identifier of its own".to_owned(),
                ))
            } else if !examined.altered.is_empty() {
                Some((FindingKind::RecordChanged, what_changed(&examined)))
            } else if record.refused {
                Some((
                    FindingKind::RecordHeldBack,
                    "it is genuine, but marked so that it is never sequenced".to_owned(),
                ))
            } else {
                report.unsequenced += 1;
                if report.oldest_unsequenced.is_none() {
                    report.oldest_unsequenced = record.value(Field::Time).map(str::to_owned);
                }
                None
            };
            if let Some((kind, detail)) = kind_and_detail {
                let id = record.value(Field::Id).map(str::to_owned);
                report.add(Finding { record: id, entry: Some(record.entry), ..Finding::new(kind, detail) });
            }
        }
    }
}

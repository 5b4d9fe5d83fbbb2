//! Verification of the whole log: first the tree under its chain of checkpoints, then every record against the tree.
//!
//! Invariants: one pass over each table in pages, so memory does not grow with the log; nothing in the database is
//! believed that does not follow from a key that is not in it; the first record that is not as it was written is named.
//! Run it on one frozen picture of the database, so that it can run while the gateway does.

use super::checkpoint::{Checkpoint, InvalidCheckpoint, Link, VerifierKey};
use super::merkle::{Frontier, Hash};
use super::record::Seals;
use super::report::{Finding, FindingKind, Report};
use super::store::{self, StoredCheckpoint, as_i64};
use super::tiles::{TILE_WIDTH, TileId, Tiles};
use super::verify_records;
use crate::storage::{Error, Query};

/// Checkpoints read at a time.
const PAGE: i64 = 256;

/// What is believed beforehand.
pub struct Trust<'a, S> {
    /// The keys that may have signed checkpoints.
    pub keys: &'a [VerifierKey],
    /// The key under which the gateway sealed its records.
    pub seals: &'a S,
    /// A checkpoint that someone kept outside the database: the log must still contain its tree. This is what shows
    /// that a whole database was put back to an earlier state.
    pub kept: Option<&'a str>,
}

/// Recomputes everything: every column against its commitment, the commitments against the seal and the leaf, the
/// leaves against the tiles, the tiles against the root of every checkpoint, and the chain of signed checkpoints.
///
/// # Errors
/// When the database cannot be read; what is wrong in it is in the report.
pub async fn verify<S: Seals>(query: &mut impl Query, trust: &Trust<'_, S>) -> Result<Report, Error> {
    let mut report = Report::default();
    let tree = check_tree(query, trust, &mut report).await?;
    verify_records::sequenced(query, trust.seals, 0, tree, &mut report).await?;
    verify_records::waiting(query, trust.seals, &mut report).await?;
    Ok(report.finish())
}

/// Recomputes what came after the checkpoint that was kept, and nothing before it: the right edge of its tree must give the root that was signed
/// then, and the log is followed from there. What this costs depends on what was added since and not on how long the log is; what an earlier
/// verification found is taken for granted, so a record of that time that was altered later is for [`verify`] to find.
///
/// # Errors
/// When the database cannot be read; what is wrong in it is in the report.
pub async fn verify_since_kept<S: Seals>(query: &mut impl Query, trust: &Trust<'_, S>) -> Result<Report, Error> {
    let mut report = Report::default();
    let Some(kept) = kept_checkpoint(trust, &mut report) else { return Ok(report.finish()) };
    let Some(mut walk) = Walk::from_kept(query, trust.keys, &kept, &mut report).await? else {
        return Ok(report.finish());
    };
    report.since = Some(kept.head.size);
    walk.follow(query, as_i64(kept.head.size), &mut report).await?;
    walk.edge(query, &mut report).await?;
    let tree = Tree { size: walk.size, certain: walk.certain };
    verify_records::sequenced(query, trust.seals, kept.head.size, tree, &mut report).await?;
    verify_records::waiting(query, trust.seals, &mut report).await?;
    Ok(report.finish())
}

/// What is known of the tree after its checkpoints were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tree {
    /// The number of leaves under the last checkpoint.
    pub size: u64,
    /// The stored leaf hashes before this place are under a signed root, and so beyond doubt.
    pub certain: u64,
}

/// Follows the checkpoints while the tree grows: each root is computed once, from where the one before ended.
struct Walk<'a> {
    keys: &'a [VerifierKey],
    kept: Option<Checkpoint>,
    frontier: Frontier,
    /// The tiles above level 0 that the walk completes, until they are compared.
    upper: Tiles,
    previous: Hash,
    size: u64,
    certain: u64,
    /// Set once a root does not fit: then all later ones cannot, and are not reported again.
    broken: bool,
    tiles: u64,
    hashes: u64,
}

async fn check_tree<S: Seals>(
    query: &mut impl Query,
    trust: &Trust<'_, S>,
    report: &mut Report,
) -> Result<Tree, Error> {
    let mut walk = Walk {
        keys: trust.keys,
        kept: kept_checkpoint(trust, report),
        frontier: Frontier::new(),
        upper: Tiles::new(),
        previous: Link::first(),
        size: 0,
        certain: 0,
        broken: false,
        tiles: 0,
        hashes: 0,
    };
    walk.follow(query, i64::MIN, report).await?;
    walk.end(query, report).await?;
    Ok(Tree { size: walk.size, certain: walk.certain })
}

fn kept_checkpoint<S>(trust: &Trust<'_, S>, report: &mut Report) -> Option<Checkpoint> {
    let note = trust.kept?;
    match Checkpoint::open(note, trust.keys) {
        Ok(checkpoint) => Some(checkpoint),
        Err(reason) => {
            report.add(Finding::new(FindingKind::CheckpointAltered, format!("the checkpoint that was kept: {reason}")));
            None
        }
    }
}

impl<'a> Walk<'a> {
    /// The walk as it stands at the checkpoint that was kept; nothing when the log does not contain its tree.
    async fn from_kept(
        query: &mut impl Query,
        keys: &'a [VerifierKey],
        kept: &Checkpoint,
        report: &mut Report,
    ) -> Result<Option<Self>, Error> {
        let size = kept.head.size;
        let mut upper = Tiles::new();
        for (id, width) in super::tiles::right_edge(size) {
            let width = usize::try_from(width).unwrap_or(0);
            let stored = stored_hashes(query, id).await?;
            let bytes: Vec<u8> = stored.iter().take(width).flat_map(|hash| *hash.as_bytes()).collect();
            upper.insert(id, &bytes);
        }
        let frontier = upper.frontier(size).filter(|frontier| frontier.root() == kept.head.root);
        let page = store::checkpoints_above(query, as_i64(size) - 1, 1).await?;
        let stored = page.first().filter(|stored| stored.tree_size == as_i64(size));
        let stored = stored.filter(|stored| Checkpoint::open(&stored.note, keys).as_ref() == Ok(kept));
        let (Some(frontier), Some(stored)) = (frontier, stored) else {
            let detail =
                "the log does not contain the tree of the checkpoint that was kept: it was rewritten or put back";
            report.add(Finding { tree_size: Some(size), ..Finding::new(FindingKind::LogTruncated, detail) });
            return Ok(None);
        };
        for (id, _) in super::tiles::right_edge(size).into_iter().filter(|(id, _)| id.level == 0) {
            upper.take(id);
        }
        report.tree_size = size;
        report.root = Some(kept.head.root.to_string());
        report.signed_at = Some(stored.created_at.to_string());
        let previous = Hash::of(stored.note.as_bytes());
        let (tiles, hashes) = (0, 0);
        Ok(Some(Self {
            keys,
            kept: None,
            frontier,
            upper,
            previous,
            size,
            certain: size,
            broken: false,
            tiles,
            hashes,
        }))
    }

    /// Follows the checkpoints of more than `position` leaves.
    async fn follow(&mut self, query: &mut impl Query, mut position: i64, report: &mut Report) -> Result<(), Error> {
        loop {
            let page = store::checkpoints_above(query, position, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            position = last.tree_size;
            for stored in &page {
                self.checkpoint(query, stored, report).await?;
            }
        }
    }

    async fn checkpoint(
        &mut self,
        query: &mut impl Query,
        stored: &StoredCheckpoint,
        report: &mut Report,
    ) -> Result<(), Error> {
        report.checkpoints += 1;
        let size = u64::try_from(stored.tree_size).unwrap_or(0);
        let altered =
            |detail: String| Finding { tree_size: Some(size), ..Finding::new(FindingKind::CheckpointAltered, detail) };
        let note = Hash::of(stored.note.as_bytes());
        if stored.previous != self.previous.as_bytes() {
            report.add(altered("it does not follow the checkpoint before it: one was removed or altered".into()));
        }
        let previous = Hash::from_slice(&stored.previous).unwrap_or_else(Link::first);
        if !(Link { previous, time: stored.created_at, note }).verify(&stored.link, self.keys) {
            report.add(altered("no known key signed its link (time and predecessor)".into()));
        }
        self.previous = note;
        let signed = match self.examine(stored) {
            Ok(signed) => signed,
            Err(reason) => {
                // Nothing is known about a tree that nobody signed: it is neither followed nor measured.
                report.add(altered(reason));
                return Ok(());
            }
        };
        self.grow(query, size, report).await?;
        self.size = size;
        report.tree_size = size;
        report.root = Some(signed.head.root.to_string());
        report.signed_at = Some(stored.created_at.to_string());
        if self.broken {
            return Ok(());
        }
        if self.frontier.root() == signed.head.root {
            self.certain = size;
        } else {
            self.broken = true;
            let detail = format!("the stored leaf hashes from {} on do not give the signed root", self.certain);
            report.add(Finding { tree_size: Some(size), ..Finding::new(FindingKind::TileAltered, detail) });
        }
        Ok(())
    }

    /// The signed checkpoint, if the row says the same.
    fn examine(&self, stored: &StoredCheckpoint) -> Result<Checkpoint, String> {
        let signed =
            Checkpoint::open(&stored.note, self.keys).map_err(|reason: InvalidCheckpoint| reason.to_string())?;
        let same =
            as_i64(signed.head.size) == stored.tree_size && signed.head.root.as_bytes().as_slice() == stored.root;
        if same { Ok(signed) } else { Err("its columns differ from what was signed".into()) }
    }

    /// Appends the stored leaf hashes up to `size`, and compares the tiles above as they become full.
    async fn grow(&mut self, query: &mut impl Query, size: u64, report: &mut Report) -> Result<(), Error> {
        while self.frontier.size() < size {
            let at = self.frontier.size();
            let id = TileId { level: 0, index: at / TILE_WIDTH };
            let leaves = stored_hashes(query, id).await?;
            let until = size.min((id.index + 1) * TILE_WIDTH);
            for index in at..until {
                // A hash that is not there cannot give the signed root; any value will do to go on.
                let leaf = leaves.get((index % TILE_WIDTH) as usize).copied().unwrap_or_else(Link::first);
                let mut touched = Vec::new();
                self.frontier.append(leaf, |node, hash| {
                    if node.height > 0 {
                        touched.extend(self.upper.complete(node, hash));
                    }
                });
                for id in touched.into_iter().filter(|id| id.width(index + 1) == TILE_WIDTH) {
                    self.compare(query, id, index + 1, report).await?;
                }
                self.compare_kept(report);
            }
            if until == (id.index + 1) * TILE_WIDTH {
                self.expect(&leaves, TILE_WIDTH, id, report);
            }
        }
        Ok(())
    }

    fn compare_kept(&mut self, report: &mut Report) {
        let Some(kept) = self.kept.take_if(|kept| kept.head.size == self.frontier.size()) else { return };
        if kept.head.root != self.frontier.root() {
            let detail = "the log does not contain the tree of the checkpoint that was kept: it was rewritten";
            report.add(Finding { tree_size: Some(kept.head.size), ..Finding::new(FindingKind::LogTruncated, detail) });
        }
    }

    /// Compares a tile above level 0 with what follows from the leaves, and forgets it.
    async fn compare(
        &mut self,
        query: &mut impl Query,
        id: TileId,
        size: u64,
        report: &mut Report,
    ) -> Result<(), Error> {
        let stored = stored_hashes(query, id).await?;
        let follows = stored.starts_with(&self.upper.take(id)) && stored.len() as u64 >= id.width(size);
        if !follows && !self.broken {
            report.add(tile_altered(id, "it does not follow from the tile below"));
        }
        self.tiles += 1;
        self.hashes += id.width(size);
        Ok(())
    }

    fn expect(&mut self, leaves: &[Hash], width: u64, id: TileId, report: &mut Report) {
        // One that is wider than the last checkpoint asks for shows in the totals: then a checkpoint is gone.
        if (leaves.len() as u64) < width {
            report.add(tile_altered(id, "it has fewer hashes than the last checkpoint covers"));
        }
        self.tiles += 1;
        self.hashes += width;
    }

    /// Compares what is left at the right edge, and looks for tiles that no checkpoint covers.
    async fn end(&mut self, query: &mut impl Query, report: &mut Report) -> Result<(), Error> {
        self.compare_kept(report);
        if let Some(kept) = self.kept.take() {
            let detail = "the log is shorter than the checkpoint that was kept: it was put back to an earlier state";
            report.add(Finding { tree_size: Some(kept.head.size), ..Finding::new(FindingKind::LogTruncated, detail) });
        }
        self.edge(query, report).await?;
        if store::tile_totals(query).await? != (as_i64(self.tiles), as_i64(self.hashes)) {
            let detail = "the stored tree has another size than the last checkpoint: checkpoints or tiles were removed";
            report.add(Finding::new(FindingKind::LogTruncated, detail));
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// Compares what is left at the right edge.
    async fn edge(&mut self, query: &mut impl Query, report: &mut Report) -> Result<(), Error> {
        for (id, width) in super::tiles::right_edge(self.size) {
            if id.level == 0 {
                let leaves = stored_hashes(query, id).await?;
                self.expect(&leaves, width, id, report);
            } else {
                self.compare(query, id, self.size, report).await?;
            }
        }
        Ok(())
    }
}

fn tile_altered(id: TileId, detail: &str) -> Finding {
    Finding::new(FindingKind::TileAltered, format!("tile {} of level {}: {detail}", id.index, id.level))
}

/// The hashes of a stored tile; none where there is no such tile, or not one of whole hashes as wide as it says.
pub(super) async fn stored_hashes(query: &mut impl Query, id: TileId) -> Result<Vec<Hash>, Error> {
    let Some(stored) = store::tile(query, id).await? else { return Ok(Vec::new()) };
    let mut tiles = Tiles::new();
    let fits = tiles.insert(id, &stored.hashes);
    let hashes = tiles.take(id);
    Ok(if fits && as_i64(hashes.len() as u64) == stored.width { hashes } else { Vec::new() })
}

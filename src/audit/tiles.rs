//! The tree cut into tiles of height 8, as C2SP tlog-tiles publishes them, and what can be computed from tiles alone.
//!
//! Invariant: pure; a tile holds 1 to 256 hashes, and hash `i` of tile `n` at level `l` is the root of the complete
//! subtree of height `8 * l` with index `256 * n + i`. A partial tile is always the beginning of the later, wider one.

use std::collections::BTreeMap;
use std::fmt;

use super::merkle::{Frontier, Hash, Node, Range, complete_subtrees, node_hash};

/// Levels of the tree in one tile.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// Which tile: its level, and its place in the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Level 0 holds leaf hashes, each level above the roots of the full tiles below.
    pub level: u32,
    /// The place in the level, counted from the left.
    pub index: u64,
}

impl TileId {
    /// The tile in which a node lies, and the places in it of the hashes under that node.
    #[must_use]
    pub const fn of(node: Node) -> (Self, std::ops::Range<usize>) {
        let level = node.height / TILE_HEIGHT;
        let within = node.height % TILE_HEIGHT;
        let first = node.index << within;
        let from = (first % TILE_WIDTH) as usize;
        (Self { level, index: first / TILE_WIDTH }, from..from + (1 << within))
    }

    /// How many hashes the tile has in a tree of `size` leaves.
    #[must_use]
    pub fn width(self, size: u64) -> u64 {
        let hashes = size.checked_shr(TILE_HEIGHT * self.level).unwrap_or(0);
        hashes.saturating_sub(self.index.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH)
    }
}

/// The tiles at the right edge of a tree of `size` leaves that are not full, with their widths: what must be read to
/// append to it.
#[must_use]
pub fn right_edge(size: u64) -> Vec<(TileId, u64)> {
    (0..u64::BITS / TILE_HEIGHT)
        .map(|level| {
            let hashes = size >> (TILE_HEIGHT * level);
            (TileId { level, index: hashes / TILE_WIDTH }, hashes % TILE_WIDTH)
        })
        .filter(|(_, width)| *width > 0)
        .collect()
}

/// The tiles from which the hashes of these runs of leaves can be computed.
#[must_use]
pub fn tiles_for(ranges: &[Range]) -> Vec<TileId> {
    let mut tiles: Vec<TileId> = ranges
        .iter()
        .flat_map(|range| complete_subtrees(range.start, range.end))
        .map(|node| TileId::of(node).0)
        .collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// Tiles held in memory.
#[derive(Debug, Clone, Default)]
pub struct Tiles(BTreeMap<TileId, Vec<Hash>>);

impl Tiles {
    /// No tiles.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a tile; `bytes` are its hashes one after the other. False if they are not whole hashes, or
    /// more than a tile holds.
    pub fn insert(&mut self, id: TileId, bytes: &[u8]) -> bool {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LENGTH }>();
        if !rest.is_empty() || hashes.len() as u64 > TILE_WIDTH {
            return false;
        }
        self.0.insert(id, hashes.iter().copied().map(Hash::from).collect());
        true
    }

    /// Adds what an append completed: only roots of whole tiles and leaves are in tiles. Returns the tile it went to.
    pub fn complete(&mut self, node: Node, hash: Hash) -> Option<TileId> {
        if !node.height.is_multiple_of(TILE_HEIGHT) {
            return None;
        }
        let (id, _) = TileId::of(node);
        self.0.entry(id).or_default().push(hash);
        Some(id)
    }

    /// The hashes of a tile one after the other, as they are stored and served.
    #[must_use]
    pub fn bytes(&self, id: TileId) -> Vec<u8> {
        self.0.get(&id).into_iter().flatten().flat_map(|hash| *hash.as_bytes()).collect()
    }

    /// Takes a tile out.
    pub fn take(&mut self, id: TileId) -> Vec<Hash> {
        self.0.remove(&id).unwrap_or_default()
    }

    /// The hash of a node, computed from the tile it lies in; none if that tile is not here or too narrow.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<Hash> {
        let (id, places) = TileId::of(node);
        let mut row = self.0.get(&id)?.get(places)?.to_vec();
        while row.len() > 1 {
            row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        row.pop()
    }

    /// The frontier of the tree of `size` leaves, from the tiles at its right edge.
    #[must_use]
    pub fn frontier(&self, size: u64) -> Option<Frontier> {
        let nodes: Option<Vec<Hash>> = complete_subtrees(0, size).into_iter().map(|node| self.node(node)).collect();
        Frontier::from_nodes(size, nodes?)
    }

    /// The Merkle tree hashes of these runs of leaves: the elements of a proof.
    #[must_use]
    pub fn proof(&self, ranges: &[Range]) -> Option<Vec<Hash>> {
        ranges.iter().map(|range| range.hash(|node| self.node(node))).collect()
    }
}

/// A request for a tile in the form of C2SP tlog-tiles: `<level>/<index>[.p/<width>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TilePath {
    /// Which tile.
    pub id: TileId,
    /// The number of hashes asked for: 256 for a full tile.
    pub width: u64,
}

impl TilePath {
    /// Reads the part of the path after `/log/tile/`; only the one canonical spelling is accepted.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (tile, width) = match path.split_once(".p/") {
            Some((tile, width)) => (tile, Some(width)),
            None => (path, None),
        };
        let (level, index) = tile.split_once('/')?;
        let groups: Vec<&str> = index.split('/').collect();
        if groups.len() > 6 {
            return None;
        }
        let mut number = 0_u64;
        for (place, group) in groups.iter().enumerate() {
            let digits = if place + 1 < groups.len() { group.strip_prefix('x')? } else { group };
            number = number * 1000 + three_digits(digits)?;
        }
        let parsed = Self {
            id: TileId { level: small_number(level, 63)?, index: number },
            width: match width {
                Some(width) => u64::from(small_number(width, 255).filter(|width| *width > 0)?),
                None => TILE_WIDTH,
            },
        };
        (parsed.to_string() == path).then_some(parsed)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.id.level)?;
        let mut groups = vec![self.id.index % 1000];
        let mut rest = self.id.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while groups.len() > 1 {
            write!(f, "x{:03}/", groups.pop().unwrap_or(0))?;
        }
        write!(f, "{:03}", groups.pop().unwrap_or(0))?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

fn three_digits(text: &str) -> Option<u64> {
    let plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn small_number(text: &str, most: u32) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = if plain { text.parse().ok()? } else { return None };
    (number <= most).then_some(number)
}

//! The Merkle tree of RFC 6962 section 2.1 as pure functions: appending, roots, proofs and the checking of proofs.
//!
//! Invariant: nothing here reads a database, a clock or randomness; the same leaves always give the same root, and a
//! proof is accepted only if it leads to exactly the root that was asked for.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// A SHA-256 digest: a leaf hash, a node or a root of the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The length of every hash of the tree in bytes.
    pub const LENGTH: usize = 32;

    /// The SHA-256 digest of these bytes, without any prefix.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; Self::LENGTH];
        out.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(out)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes exactly 32 bytes for a hash; anything else is none.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The root of a tree without leaves: the digest of nothing (RFC 6962 section 2.1).
#[must_use]
pub fn empty_root() -> Hash {
    Hash::of(&[])
}

/// The hash of a leaf: SHA-256 over 0x00 and the leaf (RFC 6962 section 2.1).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut input = Vec::with_capacity(1 + leaf.len());
    input.push(0);
    input.extend_from_slice(leaf);
    Hash::of(&input)
}

/// The hash of an inner node: SHA-256 over 0x01 and both children (RFC 6962 section 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1; 1 + 2 * Hash::LENGTH];
    for (to, from) in input.iter_mut().skip(1).zip(left.0.iter().chain(&right.0)) {
        *to = *from;
    }
    Hash::of(&input)
}

/// A complete subtree: the `index`-th run of `2^height` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// How many levels lie below this node; a leaf has height 0.
    pub height: u32,
    /// The place of the node among the nodes of its height, counted from the left.
    pub index: u64,
}

/// What must be known of a tree to append to it: the roots of its complete subtrees, from left to right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of a tree of `size` leaves; `nodes` are the hashes of `complete_subtrees(0, size)`.
    #[must_use]
    pub fn from_nodes(size: u64, nodes: Vec<Hash>) -> Option<Self> {
        (u32::try_from(nodes.len()).ok()? == size.count_ones()).then_some(Self { size, nodes })
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends one leaf hash; `completed` is told of the leaf and of every subtree that it completes, lowest first.
    pub fn append(&mut self, leaf: Hash, mut completed: impl FnMut(Node, Hash)) {
        let mut node = Node { height: 0, index: self.size };
        let mut hash = leaf;
        completed(node, hash);
        while node.index & 1 == 1 {
            let Some(left) = self.nodes.pop() else { break };
            hash = node_hash(&left, &hash);
            node = Node { height: node.height + 1, index: node.index >> 1 };
            completed(node, hash);
        }
        self.nodes.push(hash);
        self.size += 1;
    }

    /// The root of the tree as it is now.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.nodes).unwrap_or_else(empty_root)
    }
}

/// The root over the roots of complete subtrees, from the rightmost and smallest to the left.
fn fold(nodes: &[Hash]) -> Option<Hash> {
    nodes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}

/// The complete subtrees, from left to right, that cover the leaves from `start` up to and without `end`.
#[must_use]
pub fn complete_subtrees(mut start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    while start < end {
        let height = start.trailing_zeros().min((end - start).ilog2());
        nodes.push(Node { height, index: start >> height });
        start += 1 << height;
    }
    nodes
}

/// A run of leaves whose Merkle tree hash is one element of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first leaf.
    pub start: u64,
    /// The leaf after the last.
    pub end: u64,
}

impl Range {
    /// The Merkle tree hash of the run; `node` gives the hash of a complete subtree, or none if it is not known.
    pub fn hash(self, node: impl Fn(Node) -> Option<Hash>) -> Option<Hash> {
        let hashes: Option<Vec<Hash>> = complete_subtrees(self.start, self.end).into_iter().map(node).collect();
        fold(&hashes?)
    }
}

/// The largest power of two smaller than `width` (RFC 6962 section 2.1); `width` is at least 2.
const fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// What an inclusion proof consists of, from the leaf upwards: PATH of RFC 6962 section 2.1.1. Empty when `index`
/// is not in the tree.
#[must_use]
pub fn inclusion_ranges(index: u64, size: u64) -> Vec<Range> {
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while index < size && end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            ranges.push(Range { start: middle, end });
            end = middle;
        } else {
            ranges.push(Range { start, end: middle });
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// What a consistency proof from a tree of `old` leaves to one of `new` consists of: PROOF of RFC 6962 section 2.1.2.
/// Empty when there is nothing to prove (`old` is 0 or equals `new`) or no such proof (`old` above `new`).
#[must_use]
pub fn consistency_ranges(old: u64, new: u64) -> Vec<Range> {
    let (mut start, mut end, mut from_the_first_leaf) = (0, new, true);
    let mut ranges = Vec::new();
    if old == 0 || old >= new {
        return ranges;
    }
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            ranges.push(Range { start: middle, end });
            end = middle;
        } else {
            ranges.push(Range { start, end: middle });
            start = middle;
            from_the_first_leaf = false;
        }
    }
    if !from_the_first_leaf {
        ranges.push(Range { start, end });
    }
    ranges.reverse();
    ranges
}

/// Whether `path` proves that `leaf` is leaf `index` of the tree of `size` leaves with this root (RFC 9162 section
/// 2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut here, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if here & 1 == 1 || here == last {
            hash = node_hash(sibling, &hash);
            while here & 1 == 0 && here != 0 {
                here >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        here >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The size and the root of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of leaves.
    pub size: u64,
    /// The root over these leaves.
    pub root: Hash,
}

/// Whether `proof` shows that the tree `new` begins with exactly the leaves of the tree `old` (RFC 9162 section
/// 2.1.4.2). Every tree extends the empty tree; that needs no proof.
#[must_use]
pub fn verify_consistency(old: Head, new: Head, proof: &[Hash]) -> bool {
    if old.size == 0 || old.size >= new.size {
        let same = old == new || (old.size == 0 && old.root == empty_root());
        return same && proof.is_empty();
    }
    let mut proof = proof.iter().copied();
    let first = if old.size.is_power_of_two() { Some(old.root) } else { proof.next() };
    let Some(first) = first else { return false };
    let (mut here, mut last) = (old.size - 1, new.size - 1);
    while here & 1 == 1 {
        here >>= 1;
        last >>= 1;
    }
    let (mut old_root, mut new_root) = (first, first);
    for hash in proof {
        if last == 0 {
            return false;
        }
        if here & 1 == 1 || here == last {
            old_root = node_hash(&hash, &old_root);
            new_root = node_hash(&hash, &new_root);
            while here & 1 == 0 && here != 0 {
                here >>= 1;
                last >>= 1;
            }
        } else {
            new_root = node_hash(&new_root, &hash);
        }
        here >>= 1;
        last >>= 1;
    }
    last == 0 && old_root == old.root && new_root == new.root
}

//! How a record becomes a leaf of the tree: one salted commitment per field, and the canonical bytes over all of them.
//!
//! Invariant: the leaf depends on a field only through its commitment, so a value and its salt can be erased, or kept
//! from a reader, and the leaf can still be recomputed. The forms here are fixed for ever: a change is a new version.

use super::merkle::Hash;

/// What stands at the head of the input of every commitment, so that it can be nothing else.
const FIELD_TAG: &[u8] = b"sluis audit field v1\n";
/// What stands at the head of every leaf of version 1.
const LEAF_TAG: &[u8] = b"sluis audit record v1\n";

/// Sixteen random bytes that hide a value behind its commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

impl Salt {
    /// The length of a salt in bytes.
    pub const LENGTH: usize = 16;
    /// What stands where a salt was erased; random salts never have this value (one in 2^128).
    pub const ERASED: Self = Self([0; Self::LENGTH]);

    /// Whether the salt was erased, and the value with it.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        *self == Self::ERASED
    }
}

/// The commitment to one field:
/// `SHA-256(FIELD_TAG ‖ salt ‖ u32(length of name) ‖ name ‖ present ‖ u32(length of value) ‖ value)`, numbers
/// big-endian, `present` one byte: 1, or 0 with an empty value when the record has no such field.
#[must_use]
pub fn commit(salt: &Salt, name: &str, value: Option<&str>) -> Hash {
    let mut input = Vec::with_capacity(64 + name.len() + value.map_or(0, str::len));
    input.extend_from_slice(FIELD_TAG);
    input.extend_from_slice(&salt.0);
    put(&mut input, name.as_bytes());
    input.push(u8::from(value.is_some()));
    put(&mut input, value.unwrap_or_default().as_bytes());
    Hash::of(&input)
}

/// The canonical bytes of a leaf: `LEAF_TAG ‖ u32(number of fields)`, then for each field in its fixed order
/// `u32(length of name) ‖ name ‖ commitment`.
#[must_use]
pub fn leaf<'a>(fields: impl ExactSizeIterator<Item = (&'a str, Hash)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(LEAF_TAG.len() + 4 + fields.len() * 56);
    out.extend_from_slice(LEAF_TAG);
    out.extend_from_slice(&length(fields.len()));
    for (name, commitment) in fields {
        put(&mut out, name.as_bytes());
        out.extend_from_slice(commitment.as_bytes());
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length(bytes.len()));
    out.extend_from_slice(bytes);
}

/// A length as four bytes; what is longer than they can say cannot occur (a request has at most 5 MiB).
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

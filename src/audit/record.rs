//! A record made ready for the log: salted, committed and sealed; and the checking of a record that was read back.
//!
//! Invariant: a [`SealedRecord`] can only be made from a [`Record`]; its leaf commits to every field, and its seal was
//! made with a key that is not in the database.

use uuid::Uuid;

use super::commitment::{self, Salt};
use super::merkle::{Hash, leaf_hash};
use super::types::{Field, Record};
use crate::clock::Timestamp;
use crate::ids::{Entropy, NoEntropy};

/// How many fields a record has.
pub const FIELDS: usize = Field::ALL.len();

/// Makes and checks the seal of a record: a keyed digest whose key is kept outside the database.
pub trait Seals {
    /// The seal over these bytes.
    fn seal(&self, leaf: &[u8]) -> Vec<u8>;
    /// Whether this is the seal over these bytes, compared in constant time.
    fn fits(&self, leaf: &[u8], seal: &[u8]) -> bool;
}

/// A record with its salts, commitments and seal, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    id: Uuid,
    pub(super) time: Timestamp,
    pub(super) values: [Option<String>; FIELDS],
    pub(super) salts: Vec<u8>,
    pub(super) commitments: Vec<u8>,
    pub(super) seal: Vec<u8>,
}

impl SealedRecord {
    /// Salts every field, commits to it and seals the leaf.
    ///
    /// # Errors
    /// [`NoEntropy`] when there are no random bytes for the salts; then the record cannot be written, and neither can
    /// what it is about.
    pub fn new(record: &Record, entropy: &Entropy, seals: &impl Seals) -> Result<Self, NoEntropy> {
        let values = Field::ALL.map(|field| record.value(field));
        // All salts at once: asking the system thirty times costs more than the commitments themselves.
        let salts = entropy.bytes::<{ FIELDS * Salt::LENGTH }>()?;
        let mut commitments = Vec::with_capacity(FIELDS * Hash::LENGTH);
        let each = salts.as_chunks::<{ Salt::LENGTH }>().0;
        for ((field, value), salt) in Field::ALL.iter().zip(&values).zip(each) {
            let salt = Salt(*salt);
            commitments.extend_from_slice(commitment::commit(&salt, field.as_str(), value.as_deref()).as_bytes());
        }
        let leaf = leaf_of(&commitments).unwrap_or_default();
        Ok(Self {
            id: record.id,
            time: record.time,
            values,
            salts: salts.to_vec(),
            commitments,
            seal: seals.seal(&leaf),
        })
    }

    /// The identifier under which it is read.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }
}

/// The leaf over commitments as they are stored, one after the other; none if there are not exactly as many as fields.
#[must_use]
pub fn leaf_of(commitments: &[u8]) -> Option<Vec<u8>> {
    let (hashes, rest) = commitments.as_chunks::<{ Hash::LENGTH }>();
    let complete = rest.is_empty() && hashes.len() == FIELDS;
    let fields = Field::ALL.iter().zip(hashes).map(|(field, hash)| (field.as_str(), Hash::from(*hash)));
    complete.then(|| commitment::leaf(fields))
}

/// Whether a row bears the identifier that its commitments were made for; a copy of a record under another one does not.
pub(super) fn commits_to_id(commitments: &[u8], salts: &[u8], id: Option<&str>) -> bool {
    let salt = salts.as_chunks::<{ Salt::LENGTH }>().0.get(Field::Id as usize).copied().map(Salt);
    let commitment = commitments.as_chunks::<{ Hash::LENGTH }>().0.get(Field::Id as usize).copied().map(Hash::from);
    salt.zip(commitment).is_some_and(|(salt, known)| commitment::commit(&salt, Field::Id.as_str(), id) == known)
}

/// A record as it was read from the database, not yet believed.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// The serial number of the row.
    pub entry: i64,
    /// The place in the log, once it has one.
    pub leaf_index: Option<i64>,
    /// Whether the sequencer refused it.
    pub refused: bool,
    /// The values of the columns, in the order of [`Field::ALL`].
    pub values: [Option<String>; FIELDS],
    /// The salts, one after the other.
    pub salts: Vec<u8>,
    /// The commitments, one after the other.
    pub commitments: Vec<u8>,
    /// The seal over the leaf.
    pub seal: Vec<u8>,
}

/// What the examination of a stored record found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The leaf hash that follows from the stored commitments; none if these have not the right form.
    pub leaf_hash: Option<Hash>,
    /// Whether the seal fits: the gateway itself wrote these commitments.
    pub sealed: bool,
    /// The fields whose value does not fit its commitment, or was erased though it may not be.
    pub altered: Vec<Field>,
    /// The fields whose value was erased.
    pub erased: Vec<Field>,
}

impl Examined {
    /// Whether the gateway wrote this record and nobody changed it since.
    #[must_use]
    pub fn is_authentic(&self) -> bool {
        self.sealed && self.altered.is_empty()
    }
}

impl StoredRecord {
    /// The value of a field.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&str> {
        self.values.get(field as usize)?.as_deref()
    }

    /// The salt of a field.
    #[must_use]
    pub fn salt(&self, field: Field) -> Option<Salt> {
        self.salts.as_chunks::<{ Salt::LENGTH }>().0.get(field as usize).copied().map(Salt)
    }

    /// The commitment to a field.
    #[must_use]
    pub fn commitment(&self, field: Field) -> Option<Hash> {
        self.commitments.as_chunks::<{ Hash::LENGTH }>().0.get(field as usize).copied().map(Hash::from)
    }

    /// Compares every column with its commitment, and the commitments with the seal.
    #[must_use]
    pub fn examine(&self, seals: &impl Seals) -> Examined {
        let leaf = leaf_of(&self.commitments);
        let mut examined = Examined {
            sealed: leaf.as_ref().is_some_and(|leaf| seals.fits(leaf, &self.seal)),
            leaf_hash: leaf.as_deref().map(leaf_hash),
            altered: Vec::new(),
            erased: Vec::new(),
        };
        let well_formed = self.salts.len() == FIELDS * Salt::LENGTH;
        for field in Field::ALL {
            let value = self.value(field);
            let fits = match (self.salt(field), self.commitment(field)) {
                (Some(salt), Some(_)) if salt.is_erased() && field.may_be_erased() && value.is_none() => {
                    examined.erased.push(field);
                    true
                }
                (Some(salt), Some(commitment)) => commitment::commit(&salt, field.as_str(), value) == commitment,
                _ => false,
            };
            if !fits || !well_formed {
                examined.altered.push(field);
            }
        }
        examined
    }
}

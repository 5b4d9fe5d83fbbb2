//! Residents: never by BSN or name, always by a pseudonym, and by another one for every organisation.
//!
//! A BSN, or a match on name, birth date and postcode, is turned into a keyed pseudonym (HMAC-SHA-256) the moment it is read, and wiped. From that
//! *subject*, which never leaves the gateway, each organisation's own pseudonym is derived. Invariants: two organisations cannot find out from what
//! they are shown that they know the same resident; nothing of a BSN or a match is stored in clear. `docs/subjects.md` says what leads to whom.

mod age;
mod bsn;
mod find;
pub mod http;
mod lead;
mod links;
mod normal;
mod person;
mod reference;
mod store;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use age::contradicts;
pub use bsn::{Bsn, InvalidBsn, contains_bsn, has_bsn_as_word};
pub use find::{Named, Rights, check_rights, find};
pub use reference::SubjectReference;
pub use store::{age_stated, key_mark, remember, state_age, subject_of};

use person::Person;
use uuid::Uuid;

use crate::ids::Oin;
use crate::storage::seal::Key;

/// A resident, as only the gateway knows them: a keyed pseudonym of the BSN or of a match, hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// A resident whom the database names.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text for the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name, birth date and postcode, as only the gateway knows them: a keyed digest, hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MatchKey(String);

impl MatchKey {
    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes pseudonyms with the pseudonym key.
#[derive(Debug, Clone)]
#[allow(clippy::struct_field_names, reason = "each is the key of pseudonyms of something")]
pub struct Pseudonyms {
    of_bsn: Key,
    of_match: Key,
    of_matched: Key,
    of_nobody: Key,
    of_organisation: Key,
    of_reader: Key,
}

impl Pseudonyms {
    /// Pseudonyms under this key.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        Self {
            of_bsn: key.derive("pseudonym of a BSN"),
            of_match: key.derive("digest of a match"),
            of_matched: key.derive("pseudonym of a match"),
            of_nobody: key.derive("pseudonym of nobody"),
            of_organisation: key.derive("pseudonym for an organisation"),
            of_reader: key.derive("alias for a reader"),
        }
    }

    /// The resident with this BSN.
    #[must_use]
    pub fn subject(&self, bsn: &Bsn) -> Subject {
        Subject(hex::encode(self.of_bsn.mac(&[bsn.digits()])))
    }

    /// What is kept instead of these data; equal for all ways of writing them.
    fn match_key(&self, person: &Person) -> MatchKey {
        let Person { given_name, family_name, birth_date, postal_code, .. } = person;
        let parts = [given_name, family_name, birth_date, postal_code].map(|part| part.as_bytes());
        MatchKey(hex::encode(self.of_match.mac(&parts)))
    }

    /// The resident that a match alone stands for.
    fn matched(&self, key: &MatchKey) -> Subject {
        Subject(hex::encode(self.of_matched.mac(&[key.as_str().as_bytes()])))
    }

    /// Whom an organisation names that may not name a resident in the way it did: a resident who does not exist, always the same.
    fn nobody(&self, organisation: &Oin) -> Subject {
        Subject(hex::encode(self.of_nobody.mac(&[organisation.as_str().as_bytes()])))
    }

    /// How `organisation` knows the resident.
    #[must_use]
    pub fn for_organisation(&self, subject: &Subject, organisation: &Oin) -> String {
        URL_SAFE_NO_PAD.encode(self.of_organisation.mac(&[organisation.as_str().as_bytes(), subject.0.as_bytes()]))
    }

    /// The id under which `reader` knows something that others know under another one; `kind` says what, such as `handoff`. A version 8
    /// UUID (RFC 9562 section 5.8); it leads back to nothing without the key.
    #[must_use]
    pub fn alias(&self, kind: &str, id: Uuid, reader: &Oin) -> Uuid {
        let mac = self.of_reader.mac(&[kind.as_bytes(), id.as_bytes(), reader.as_str().as_bytes()]);
        uuid::Builder::from_custom_bytes(*mac.first_chunk::<16>().unwrap_or(&[0; 16])).into_uuid()
    }

    /// A value that tells whether the key is still the one that this database's pseudonyms were made with.
    #[must_use]
    pub fn check_value(&self) -> String {
        hex::encode(self.of_bsn.mac(&[b"check value"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Entropy;

    #[test]
    fn every_organisation_knows_a_resident_by_another_pseudonym() {
        let pseudonyms = Pseudonyms::new(&Key::generate(&Entropy::system()).unwrap());
        let subject = pseudonyms.subject(&"999990019".parse().unwrap());
        let (smow, mee) = ("00000099000000002000".parse().unwrap(), "00000099000000004000".parse().unwrap());
        let seen = [pseudonyms.for_organisation(&subject, &smow), pseudonyms.for_organisation(&subject, &mee)];
        assert_ne!(seen[0], seen[1]);
        assert_eq!(seen[0], pseudonyms.for_organisation(&subject, &smow));
        assert!(seen.iter().all(|pseudonym| !pseudonym.contains("999990019") && pseudonym != subject.as_str()));
    }

    #[test]
    fn another_key_gives_other_pseudonyms() {
        let make = || Pseudonyms::new(&Key::generate(&Entropy::system()).unwrap());
        let bsn: Bsn = "999990019".parse().unwrap();
        assert_ne!(make().subject(&bsn), make().subject(&bsn));
    }
}

//! A JWE as everybody sees it who has no private key: its five parts, its protected header, and what the header binds the content to.
//!
//! Invariants: what is not in the documented form is not accepted, in any part, and everything that is wrong is said at once; nothing of
//! the input is repeated in what is said. The header holds no other parameters than the documented ones, so nothing can be told in
//! clear beside the content by mistake.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::keys::{self, PublicKey};
use super::{Label, strict};
use crate::clock::Timestamp;
use crate::ids::Oin;

/// The largest JWE, in characters: that of a section (1 MiB). Base64 makes a content a third longer.
pub const LARGEST_JWE: usize = 1024 * 1024;
/// The largest protected header, in characters; the documented one takes about 600.
const LARGEST_HEADER: usize = 4096;
/// The longest `jti`.
const LONGEST_ID: usize = 64;

/// The initialisation vector of AES-GCM, in bytes (RFC 7518 section 5.3).
pub(super) const IV: usize = 12;
/// Its tag.
pub(super) const TAG: usize = 16;

/// The parameters that must be understood by whoever decrypts (RFC 7516 section 4.1.13): the label.
pub(super) const CRITICAL: [&str; 2] = ["category", "purpose"];
const KNOWN: [&str; 13] =
    ["alg", "apu", "apv", "category", "crit", "cty", "enc", "epk", "iat", "jti", "kid", "purpose", "typ"];

/// Something that is wrong with a JWE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defect {
    /// The part (`iv`, `tag` …) or the header's parameter; empty for the whole.
    pub member: &'static str,
    /// A code: `required`, `invalid`, `not-expected`, `too-large`.
    pub code: &'static str,
    /// What was expected.
    pub reason: &'static str,
}

/// A JWE in the documented form, taken apart; not yet known to be genuine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub(super) protected: &'a str,
    pub(super) iv: [u8; IV],
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: [u8; TAG],
    pub(super) ephemeral: PublicKey,
    key_id: String,
    label: Label,
    issued_at: Timestamp,
    id: String,
}

impl<'a> Envelope<'a> {
    /// Takes a compact JWE apart (RFC 7516 section 7.1).
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(jwe: &'a str) -> Result<Self, Vec<Defect>> {
        let mut defects = Defects::default();
        if jwe.len() > LARGEST_JWE {
            defects.add("", "too-large", "expected at most 1 MiB");
            return Err(defects.0);
        }
        let mut parts = jwe.split('.');
        let (Some(protected), Some(encrypted_key), Some(iv), Some(ciphertext), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            defects.add("", "invalid", "expected a JWE in compact form: five parts");
            return Err(defects.0);
        };
        if !encrypted_key.is_empty() {
            defects.add(
                "encrypted_key",
                "not-expected",
                "expected an empty second part: ECDH-ES agrees on the key itself",
            );
        }
        let iv = decode(iv).and_then(|iv| iv.try_into().ok());
        let iv = defects.need(iv, "iv", "expected 12 bytes in base64url without padding");
        let ciphertext = decode(ciphertext).filter(|ciphertext| !ciphertext.is_empty());
        let ciphertext = defects.need(ciphertext, "ciphertext", "expected a content in base64url without padding");
        let tag = decode(tag).and_then(|tag| tag.try_into().ok());
        let tag = defects.need(tag, "tag", "expected 16 bytes in base64url without padding");
        let members = Some(protected).filter(|text| text.len() <= LARGEST_HEADER).and_then(decode);
        let members = members.and_then(|text| strict::object(&text));
        let expectation =
            "expected a JSON object of at most 3 KiB in base64url without padding that names nothing twice";
        let header =
            defects.need(members, "header", expectation).and_then(|members| Header::read(&members, &mut defects));
        match (header, iv, ciphertext, tag) {
            (Some(header), Some(iv), Some(ciphertext), Some(tag)) if defects.0.is_empty() => {
                let Header { ephemeral, key_id, label, issued_at, id } = header;
                Ok(Self { protected, iv, ciphertext, tag, ephemeral, key_id, label, issued_at, id })
            }
            _ => Err(defects.0),
        }
    }

    /// The name of the recipient's key that it is encrypted to (`kid`).
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The sender's key for this one message (`epk`); of the same curve as the recipient's.
    #[must_use]
    pub const fn ephemeral(&self) -> &PublicKey {
        &self.ephemeral
    }

    /// What it says that it is bound to. That this is true is known to who can open it.
    #[must_use]
    pub const fn label(&self) -> &Label {
        &self.label
    }

    /// When the sender says that it was encrypted (`iat`), to the second.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// Its own name (`jti`): no two messages of a sender have the same.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The header's parameters that say something else than this label.
    #[must_use]
    pub fn differences(&self, label: &Label) -> Vec<&'static str> {
        let own = &self.label;
        let compared = [
            ("apu", own.sender == label.sender),
            ("apv", own.recipient == label.recipient),
            ("category", own.category == label.category),
            ("purpose", own.purpose == label.purpose),
        ];
        compared.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}

/// The protected header.
struct Header {
    ephemeral: PublicKey,
    key_id: String,
    label: Label,
    issued_at: Timestamp,
    id: String,
}

impl Header {
    fn read(members: &Map<String, Value>, defects: &mut Defects) -> Option<Self> {
        if members.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            let reason =
                "expected no parameters but alg, enc, typ, cty, kid, epk, apu, apv, crit, category, purpose, iat, jti";
            defects.add("header", "not-expected", reason);
        }
        let mut header = Members { members, defects };
        header.fixed("alg", "ECDH-ES", true);
        header.fixed("enc", "A256GCM", true);
        header.fixed("typ", "JWE", false);
        header.fixed("cty", "json", false);
        header.critical();
        let key_id =
            header.text("kid", "expected the kid of a key of the recipient").filter(|kid| keys::is_key_id(kid));
        let key_id = header.known("kid", key_id, "expected 1 to 100 visible ASCII characters");
        let ephemeral = header.value("epk", "expected a public key of the curve of the recipient's key");
        let ephemeral = ephemeral.and_then(|jwk| PublicKey::from_bare_jwk(jwk).ok());
        let ephemeral =
            header.known("epk", ephemeral, "expected kty, crv, x and y of a point on P-256 or X25519, no more");
        let sender = header.party("apu", "expected the OIN of who gives, in base64url");
        let recipient = header.party("apv", "expected the OIN of who receives, in base64url");
        let reason = "expected the code of the section's category";
        let category = header.text("category", reason).and_then(|code| code.parse().ok());
        let category = header.known("category", category, reason);
        let reason = "expected the code of the referral's purpose";
        let purpose = header.text("purpose", reason).and_then(|code| code.parse().ok());
        let purpose = header.known("purpose", purpose, reason);
        let reason = "expected the seconds since 1970 at which it was encrypted, a whole number";
        let issued_at = header.value("iat", reason).and_then(seconds);
        let issued_at = header.known("iat", issued_at, reason);
        let reason = "expected a name of its own: 1 to 64 of A-Z, a-z, 0-9, - and _";
        let id = header.text("jti", reason).filter(|id| is_message_id(id));
        let id = header.known("jti", id, reason);
        Some(Self {
            label: Label { sender: sender?, recipient: recipient?, category: category?, purpose: purpose? },
            ephemeral: ephemeral?,
            key_id: key_id?.to_owned(),
            issued_at: issued_at?,
            id: id?.to_owned(),
        })
    }
}

/// A `NumericDate` without a fraction, of this side of the year 10000.
pub(super) fn seconds(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_i64().filter(|seconds| (0..=253_402_300_799).contains(seconds))?;
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
}

fn is_message_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Base64url without padding and with nothing in the bits that are left over, so that no two texts mean the same.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Reads members, and notes what is wrong with each once.
struct Members<'a> {
    members: &'a Map<String, Value>,
    defects: &'a mut Defects,
}

impl<'a> Members<'a> {
    fn value(&mut self, name: &'static str, reason: &'static str) -> Option<&'a Value> {
        let value = self.members.get(name);
        if value.is_none() {
            self.defects.add(name, "required", reason);
        }
        value
    }

    fn text(&mut self, name: &'static str, reason: &'static str) -> Option<&'a str> {
        self.value(name, reason)?.as_str()
    }

    /// Notes that a member that is there is not as expected.
    fn known<T>(&mut self, name: &'static str, value: Option<T>, reason: &'static str) -> Option<T> {
        if value.is_none() && self.members.contains_key(name) {
            self.defects.add(name, "invalid", reason);
        }
        value
    }

    fn fixed(&mut self, name: &'static str, expected: &'static str, required: bool) {
        let reason = match name {
            "alg" => "expected ECDH-ES",
            "enc" => "expected A256GCM",
            "typ" => "expected JWE, or none",
            _ => "expected json, or none",
        };
        match self.members.get(name) {
            None if required => self.defects.add(name, "required", reason),
            Some(value) if value != expected => self.defects.add(name, "invalid", reason),
            _ => {}
        }
    }

    fn critical(&mut self) {
        let reason = "expected category and purpose, each once, and nothing else";
        let Some(value) = self.value("crit", reason) else { return };
        let names: Option<Vec<&str>> = value.as_array().map(|names| names.iter().filter_map(Value::as_str).collect());
        let count = value.as_array().map_or(0, Vec::len);
        let complete =
            names.is_some_and(|names| count == CRITICAL.len() && CRITICAL.iter().all(|name| names.contains(name)));
        if !complete {
            self.defects.add("crit", "invalid", reason);
        }
    }

    fn party(&mut self, name: &'static str, reason: &'static str) -> Option<Oin> {
        let oin = self.text(name, reason).and_then(decode).and_then(|bytes| String::from_utf8(bytes).ok());
        self.known(name, oin.and_then(|oin| oin.parse().ok()), reason)
    }
}

#[derive(Default)]
struct Defects(Vec<Defect>);

impl Defects {
    fn add(&mut self, member: &'static str, code: &'static str, reason: &'static str) {
        self.0.push(Defect { member, code, reason });
    }

    fn need<T>(&mut self, part: Option<T>, member: &'static str, reason: &'static str) -> Option<T> {
        if part.is_none() {
            self.add(member, "invalid", reason);
        }
        part
    }
}

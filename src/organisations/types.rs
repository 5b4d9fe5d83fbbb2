//! The parsed types of organisations and their clients.
//!
//! Invariant: a value of these types has been checked. What an organisation may do follows from its client's scopes, and from
//! nothing in its name or number.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::ids::Oin;

/// A text that is not in the form that was expected; says which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Expected(pub &'static str);

/// The short name of an organisation in commands and folders, such as `gemeente-wassenaar`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

impl Slug {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(Expected("1 to 63 lower-case letters, digits and hyphens, no hyphen at either end"))
        }
    }
}

impl Slug {
    /// A short name made of a name in words, such as `ggd-hollands-midden`; none when no letter or digit is left.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let spaced: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        let words: Vec<&str> = spaced.split('-').filter(|word| !word.is_empty()).collect();
        let joined: String = words.join("-").chars().take(63).collect();
        joined.trim_end_matches('-').parse().ok()
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Slug {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether an organisation takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It takes part.
    Active,
    /// It is kept out for a while; nothing of it is lost.
    Suspended,
    /// It has left for good.
    Retired,
}

impl Status {
    /// The name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
        }
    }

    /// Whether an organisation of this status may get the other one; the same one is no change and always fine.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Active | Self::Suspended, _) | (Self::Retired, Self::Retired))
    }
}

impl FromStr for Status {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        [Self::Active, Self::Suspended, Self::Retired]
            .into_iter()
            .find(|status| status.name() == text)
            .ok_or(Expected("active, suspended or retired"))
    }
}

/// What an access token lets its bearer do (interface, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Send, read and update referrals.
    Referrals,
    /// Record and withdraw consents.
    Consents,
    /// Read events and keep subscriptions.
    Events,
    /// Read the directory.
    OrganisationsRead,
    /// Register, suspend, resume and retire organisations, and certify them.
    OrganisationsWrite,
    /// Publish covenants.
    Covenants,
    /// Read every organisation's audit records.
    AuditRead,
    /// Read the monitor's figures.
    HandoffsRead,
    /// Make a data subject's access report.
    AccessReports,
    /// Review break-glass and denied access.
    Reviews,
}

impl Scope {
    /// Every scope, in the order in which they are listed to clients.
    pub const ALL: [Self; 10] = [
        Self::Referrals,
        Self::Consents,
        Self::Events,
        Self::OrganisationsRead,
        Self::OrganisationsWrite,
        Self::Covenants,
        Self::AuditRead,
        Self::HandoffsRead,
        Self::AccessReports,
        Self::Reviews,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Referrals => "referrals",
            Self::Consents => "consents",
            Self::Events => "events",
            Self::OrganisationsRead => "organisations:read",
            Self::OrganisationsWrite => "organisations:write",
            Self::Covenants => "covenants",
            Self::AuditRead => "audit:read",
            Self::HandoffsRead => "handoffs:read",
            Self::AccessReports => "access-reports",
            Self::Reviews => "reviews",
        }
    }
}

impl FromStr for Scope {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or(Expected("a known scope"))
    }
}

/// A set of scopes; its text form separates them by spaces (RFC 6749 section 3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Whether this scope is among them.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether all of these are also in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// One after another, in the order of [`Scope::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for Scopes {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        text.split(' ').filter(|part| !part.is_empty()).map(str::parse).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{}", scope.name())?;
        }
        Ok(())
    }
}

/// A role for which an organisation can have a named client beside its main one, with the role's own scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Watches over the covenant: reads all audit records, answers data subjects, reviews.
    PrivacyOfficer,
    /// Watches over what one party does and gets: is told of break-glass, and reviews. It sees no other records than those of reviews that concern it.
    DataProtectionOfficer,
    /// Watches the hand-overs, without content.
    Monitor,
    /// Keeps the directory and publishes covenants.
    Administrator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::PrivacyOfficer, Self::DataProtectionOfficer, Self::Monitor, Self::Administrator];

    /// The name: the end of the client id, and the folder of its certificate in a demonstration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrivacyOfficer => "privacy-officer",
            Self::DataProtectionOfficer => "data-protection-officer",
            Self::Monitor => "monitor",
            Self::Administrator => "administrator",
        }
    }

    /// The id of an organisation's client for this role.
    #[must_use]
    pub fn client_id(self, organisation: &Oin) -> String {
        format!("{organisation}-{}", self.name())
    }

    /// What the role may do.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        let scopes: &[Scope] = match self {
            Self::PrivacyOfficer => {
                // Its events are those that are told to it, not those of its organisation.
                &[
                    Scope::AuditRead,
                    Scope::Covenants,
                    Scope::AccessReports,
                    Scope::Reviews,
                    Scope::OrganisationsRead,
                    Scope::Events,
                ]
            }
            Self::DataProtectionOfficer => &[Scope::Reviews, Scope::OrganisationsRead, Scope::Events],
            Self::Monitor => &[Scope::HandoffsRead, Scope::OrganisationsRead],
            Self::Administrator => &[Scope::OrganisationsRead, Scope::OrganisationsWrite, Scope::Covenants],
        };
        scopes.iter().copied().collect()
    }
}

/// What the main client of every organisation may do.
#[must_use]
pub fn partner_scopes() -> Scopes {
    [Scope::Referrals, Scope::Consents, Scope::Events, Scope::OrganisationsRead, Scope::AccessReports]
        .into_iter()
        .collect()
}

/// What is needed to register an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its number.
    pub oin: Oin,
    /// Its short name.
    pub slug: Slug,
    /// Its name, as it stands in certificates and in the directory.
    pub name: Name,
    /// How to reach it.
    pub contact: Option<Contact>,
}

/// How to reach an organisation about the connection and about complaints: a function, never a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// A mailbox of a team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephone: Option<String>,
    /// A page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A name: 1 to 64 characters (RFC 5280, `ub-organization-name`) without control characters, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let fits = (1..=64).contains(&text.chars().count())
            && !text.chars().any(char::is_control)
            && text.trim().len() == text.len();
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(Expected("1 to 64 characters, without line breaks and without a space at either end"))
        }
    }
}

/// An organisation in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// Its number.
    pub oin: Oin,
    /// Its short name.
    pub slug: Slug,
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub contact: Option<Contact>,
    /// Whether it takes part.
    pub status: Status,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes; the entity tag is made of it.
    pub version: i64,
}

/// A change to an organisation; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Another name.
    pub name: Option<Name>,
    /// Another way to reach it.
    pub contact: Option<Contact>,
    /// Another status.
    pub status: Option<Status>,
}

/// A certificate of one of an organisation's clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// SHA-256 over the DER, in base64url.
    pub thumbprint: String,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// The client whose certificate it is.
    pub client_id: String,
    /// The organisation whose client that is.
    pub organisation: Oin,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// From when it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
    /// When it was issued or registered.
    pub issued_at: Timestamp,
    /// The names that a server may use it for.
    pub server_names: Vec<String>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Why it was revoked.
    pub revocation_reason: Option<String>,
}

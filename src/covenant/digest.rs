//! The digest that every party signs: SHA-256 over covenant, schema and rules in one canonical form.
//!
//! Canonical form, for each file in ascending byte order of its name: the length of the name and the length of the
//! content, each as eight bytes most significant first, then the name and the content as they are. Lengths before
//! contents make it impossible to move bytes from one file to another without changing the digest.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Serialize, Serializer};

/// A digest written as `sha-256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyDigest(String);

impl PolicyDigest {
    /// The digest of these files.
    pub(crate) fn of(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut context = Context::new(&SHA256);
        for (name, content) in files {
            context.update(&(name.len() as u64).to_be_bytes());
            context.update(&(content.len() as u64).to_be_bytes());
            context.update(name.as_bytes());
            context.update(content);
        }
        Self(format!("sha-256:{}", hex::encode(context.finish())))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PolicyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

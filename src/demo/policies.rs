//! The example covenant and its rules, part of the program so that the demo runs anywhere.
//!
//! Invariant: byte for byte the files of `policies/`, which is what the parties sign.

use std::collections::BTreeMap;

use crate::covenant::{Bundle, Findings};

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../policies/", $name)))),+]
    };
}

/// Name and text of each file that belongs to the covenant.
pub const FILES: [(&str, &str); 7] = files![
    "covenant.toml",
    "schema.cedarschema",
    "bases.cedar",
    "never.cedar",
    "process.cedar",
    "records.cedar",
    "standing.cedar",
];

/// The example covenant with its rules.
///
/// # Errors
/// When the files make no bundle.
pub fn bundle() -> Result<Bundle, Findings> {
    let files: BTreeMap<_, _> =
        FILES.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect();
    Bundle::from_files(files)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_files_of_the_program_are_those_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        assert_eq!(bundle().unwrap().digest(), Bundle::from_folder(&folder).unwrap().digest());
    }
}

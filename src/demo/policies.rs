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
pub const FILES: [(&str, &str); 8] = files![
    "covenant.toml",
    "schema.cedarschema",
    "bases.cedar",
    "never.cedar",
    "process.cedar",
    "records.cedar",
    "rights.cedar",
    "standing.cedar",
];

/// Name and text of each invariant that the rules are proven to keep.
pub const INVARIANTS: [(&str, &str); 44] = files![
    "invariants/access-needs-care-agreement.cedar",
    "invariants/access-never-on-consent.cedar",
    "invariants/advice-gives-contact-only.cedar",
    "invariants/bsn-never-with-youth-work.cedar",
    "invariants/bsn-only-where-a-law-is-named.cedar",
    "invariants/case-coordination-only-in-a-case.cedar",
    "invariants/child-development-only-of-children.cedar",
    "invariants/client-support-gets-at-most.cedar",
    "invariants/client-support-gives-the-municipality-nothing.cedar",
    "invariants/client-support-only-on-consent.cedar",
    "invariants/consent-needs-its-record.cedar",
    "invariants/credit-bank-gets-at-most.cedar",
    "invariants/credit-bank-gives-little.cedar",
    "invariants/credit-bank-never-health.cedar",
    "invariants/help-goes-to-who-gives-it.cedar",
    "invariants/municipal-law-serves-the-municipality.cedar",
    "invariants/municipality-gets-health-only-for-safety.cedar",
    "invariants/municipality-refers-under-law.cedar",
    "invariants/neighbouring-municipality-gets-contact-only.cedar",
    "invariants/nothing-before-in-force.cedar",
    "invariants/nothing-on-a-public-task-against-an-objection.cedar",
    "invariants/nothing-to-oneself.cedar",
    "invariants/nothing-unsigned.cedar",
    "invariants/nothing-while-suspended.cedar",
    "invariants/nothing-with-strangers.cedar",
    "invariants/only-between-its-two-parties.cedar",
    "invariants/process-direction-only-stepped-up.cedar",
    "invariants/public-health-gets-at-most.cedar",
    "invariants/records-need-an-age-group.cedar",
    "invariants/restricted-goes-to-protect-or-on-consent.cedar",
    "invariants/safe-at-home-gets-at-most.cedar",
    "invariants/safety-concern-never-on-consent.cedar",
    "invariants/safety-only-where-it-is-the-matter.cedar",
    "invariants/secrecy-needs-a-release.cedar",
    "invariants/social-work-gets-at-most.cedar",
    "invariants/special-never-without-ground.cedar",
    "invariants/steering-information-carries-nothing.cedar",
    "invariants/triage-narrow.cedar",
    "invariants/vital-interest-only-under-break-glass.cedar",
    "invariants/welfare-gets-at-most.cedar",
    "invariants/work-and-income-gets-at-most.cedar",
    "invariants/youth-health-gets-at-most.cedar",
    "invariants/youth-nurse-keeps-health.cedar",
    "invariants/youth-work-gets-at-most.cedar",
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
    use crate::policy::prove::Invariants;

    #[test]
    fn the_files_of_the_program_are_those_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        assert_eq!(bundle().unwrap().digest(), Bundle::from_folder(&folder).unwrap().digest());
        let text = |(name, text): (&str, &str)| (name.trim_start_matches("invariants/").to_owned(), text.into());
        let built_in = Invariants::from_files(INVARIANTS.into_iter().map(text).collect()).unwrap();
        assert_eq!(built_in.digest(), Invariants::from_folder(&folder).unwrap().digest());
    }
}

//! The scenario files of `tests/scenarios/`, in the order in which they are played. They are part of the program, so that the
//! demo runs anywhere.
//!
//! Invariant: every file of the folder is in the list.

use super::load::{self, Unplayable};
use super::scenario::Scenario;

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../tests/scenarios/", $name, ".yaml")))),+]
    };
}

/// Name and text of each file.
const FILES: [(&str, &str); 43] = files![
    "01-debts-with-a-child-at-home",
    "02-lonely-after-fifty-years",
    "03-mother-and-the-youth-nurse",
    "04-a-toddler-and-the-youth-act",
    "05-divorce-with-teenagers",
    "06-independent-client-support",
    "07-rejected-with-the-right-party-named",
    "08-withdrawn-before-disclosure",
    "09-a-new-covenant-not-signed-by-all",
    "10-a-suspended-organisation",
    "11-a-partner-system-is-down",
    "12-accession-of-the-ggd",
    "13-triage-with-one-life-domain",
    "14-nothing-or-only-what-may-cross",
    "15-no-health-data-for-the-credit-bank",
    "16-on-hold-for-more-information",
    "17-sent-twice",
    "18-somebody-elses-referral",
    "19-the-age-is-missing",
    "20-advice-through-the-curator",
    "21-not-reached-and-taken-up-again",
    "22-entered-in-error",
    "23-a-consent-that-has-expired",
    "24-the-household",
    "25-referred-on-in-one-call",
    "26-asked-for-more-and-supplemented",
    "27-under-examination-once",
    "28-called-off-before-and-during-the-work",
    "29-the-one-who-helps-is-suspended",
    "30-stepped-up-by-the-coordinator",
    "31-the-coordinator-lets-it-wait",
    "32-coordination-handed-over",
    "33-one-meeting-with-the-ggd",
    "34-the-gateway-stood-still",
    "35-the-monitor-sees-no-person",
    "36-nobody-takes-it-on",
    "37-school-advice-for-one-case",
    "38-for-the-eyes-of-the-bank-alone",
    "39-found-unconscious",
    "40-withdrawn-and-confirmed",
    "41-found-without-a-bsn",
    "42-not-over-this-channel",
    "43-erased",
];

/// Every scenario.
///
/// # Errors
/// [`Unplayable`] for the first file that cannot be played.
pub fn all() -> Result<Vec<Scenario>, Unplayable> {
    FILES.iter().map(|(slug, yaml)| load::scenario(slug, yaml)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::scenario::Stage;
    use super::super::words::MEMBERS;
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_played() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios")).unwrap();
        let names: BTreeSet<String> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| format!("{name}.yaml")).collect();
        assert_eq!(names, listed);
    }

    #[test]
    fn every_file_loads() {
        for (slug, yaml) in FILES {
            load::scenario(slug, yaml).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// What a privacy officer meets in a file is explained.
    #[test]
    fn every_deed_and_every_expectation_is_in_the_documentation() {
        let page = include_str!("../../docs/scenarios.md");
        for (slug, yaml) in FILES {
            let file: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
            for step in file["steps"].as_array().unwrap() {
                let deed = step["when"].as_str().map(str::to_owned);
                let deed = deed.unwrap_or_else(|| step["when"].as_object().unwrap().keys().next().unwrap().clone());
                let then = step["then"].as_object().into_iter().flat_map(|then| then.keys().cloned());
                let case = step["then"]["case"].as_object().into_iter().flat_map(|case| case.keys().cloned());
                for word in std::iter::once(deed).chain(then).chain(case) {
                    assert!(page.contains(&format!("`{word}`")), "{slug}: {word}");
                }
            }
        }
    }

    #[test]
    fn each_member_is_a_main_actor_twice_or_more() {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for party in all().unwrap().into_iter().flat_map(|scenario| scenario.main) {
            *count.entry(party).or_default() += 1;
        }
        for member in MEMBERS {
            assert!(count.get(member).is_some_and(|times| *times >= 2), "{member}");
        }
    }

    /// The scenarios on the shared gateway may be played in any order, and again after an interruption.
    #[test]
    fn no_two_scenarios_share_a_resident_or_a_reference() {
        let mut owner: BTreeMap<String, String> = BTreeMap::new();
        let mut references = BTreeSet::new();
        for scenario in all().unwrap() {
            assert!(references.insert(scenario.slug.chars().take(31).collect::<String>()), "{}", scenario.slug);
            for resident in scenario.given.residents.values() {
                let former = owner.insert(resident.identity(), scenario.slug.clone());
                assert!(former.is_none_or(|former| former == scenario.slug), "{}", scenario.slug);
            }
        }
        assert!(all().unwrap().iter().any(|scenario| scenario.given.gateway == Stage::Own));
    }
}

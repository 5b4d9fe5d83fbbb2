//! A covenant as a large region would have it, for tests and measurements: hundreds of organisations, thousands of rules.
//!
//! It grows out of the example covenant, so that every rule of the example still holds. Invariant: the same numbers give the
//! same bytes, so the same digest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::covenant::{Bundle, COVENANT_FILE, Findings};

use super::policies::FILES;

/// The purposes that are added to those of the example.
pub const PURPOSES: usize = 26;
/// The permits and forbids of the example covenant.
const EXAMPLE_RULES: usize = 152;
/// The parties of the example covenant.
const EXAMPLE_PARTIES: usize = 13;
/// The permits of one added row: its core categories and [`CATEGORIES`].
const PERMITS_OF_A_ROW: usize = 4;
/// One in so many of the added rules withholds.
const FORBIDS: usize = 8;
/// What an added row allows besides the core categories: three in a row of these, beginning where its number says.
pub const CATEGORIES: [&str; 5] = ["housing", "finance", "social", "practical", "daytime"];

/// The short name of an added organisation, counted from 0.
#[must_use]
pub fn organisation(number: usize) -> String {
    format!("organisation-{number}")
}

/// The OIN of an added organisation.
#[must_use]
pub fn oin(number: usize) -> String {
    format!("00000088{number:012}")
}

/// The short name of an added purpose.
#[must_use]
pub fn purpose(number: usize) -> String {
    format!("regional-help-{}", number % PURPOSES)
}

/// What one added row allows: from any party, by consent or for the municipality by the Wmo, to one organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeRow {
    /// The number of the organisation that receives.
    pub recipient: usize,
    /// The number of the purpose.
    pub purpose: usize,
    /// The categories besides the core.
    pub categories: [&'static str; PERMITS_OF_A_ROW - 1],
}

/// The added rows of a covenant with so many organisations and rules.
#[must_use]
pub fn rows(organisations: usize, rules: usize) -> Vec<LargeRow> {
    let added = organisations.saturating_sub(EXAMPLE_PARTIES).max(1);
    let count = (rules.saturating_sub(EXAMPLE_RULES) - forbids(rules)) / PERMITS_OF_A_ROW;
    let row = |number: usize| {
        let mut categories = CATEGORIES;
        categories.rotate_left(number % CATEGORIES.len());
        let [first, second, third, ..] = categories;
        // Each time round, the organisations get another purpose, so that no two rows say the same.
        let purpose = (number + number / added) % PURPOSES;
        LargeRow { recipient: number % added, purpose, categories: [first, second, third] }
    };
    (0..count).map(row).collect()
}

/// How many forbids are added; the one with number n withholds finance from [`organisation`] n, except for youth health.
#[must_use]
pub fn forbids(rules: usize) -> usize {
    let added = rules.saturating_sub(EXAMPLE_RULES);
    let least = added / FORBIDS;
    // What does not fill a row of permits is made up of forbids.
    least + (added - least) % PERMITS_OF_A_ROW
}

/// A covenant with so many organisations and rules, permits and forbids together.
///
/// # Errors
/// When the example's files make no bundle.
pub fn bundle(organisations: usize, rules: usize) -> Result<Bundle, Findings> {
    let mut files: BTreeMap<_, _> =
        FILES.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect();
    let mut covenant = files.remove(COVENANT_FILE).unwrap_or_default();
    covenant.extend(addition(organisations, rules).into_bytes());
    files.insert(COVENANT_FILE.to_owned(), covenant);
    files.insert("regional.cedar".to_owned(), regional(organisations, rules).into_bytes());
    Bundle::from_files(files)
}

/// The parties, purposes and rows that are added, as TOML.
fn addition(organisations: usize, rules: usize) -> String {
    let mut text = String::new();
    for number in 0..organisations.saturating_sub(EXAMPLE_PARTIES) {
        let (id, oin) = (organisation(number), oin(number));
        // A third is bound by secrecy, as in the example.
        let secrecy = if number % 3 == 0 { "secrecy-source = \"WGBO\"\n" } else { "" };
        let _ = write!(
            text,
            "\n[[parties]]\nid = \"{id}\"\noin = \"{oin}\"\nname = \"Organisation {number}\"\nkind = \"partner\"\n{secrecy}\
             bsn-law = \"example\"\ncomplaints = \"complaints@{id}.example\"\n"
        );
    }
    for number in 0..PURPOSES {
        let id = purpose(number);
        let _ = write!(
            text,
            "\n[[purposes]]\nid = \"{id}\"\nphase = \"case\"\nbases = [\"consent\", \"wmo-2015\"]\n\
             processing-activity = \"https://region.example/{id}\"\nnl = \"regionale hulp {number}\"\nen = \"regional help {number}\"\n"
        );
    }
    for (number, row) in rows(organisations, rules).into_iter().enumerate() {
        let (purpose, recipient) = (purpose(row.purpose), organisation(row.recipient));
        let [first, second, third] = row.categories;
        let _ = write!(
            text,
            "\n[[rows]]\nid = \"regional-{number}\"\npurpose = \"{purpose}\"\nfrom = [\"any-party\"]\nto = [\"{recipient}\"]\n\
             bases = [\"consent\"]\nmunicipality-bases = [\"wmo-2015\"]\n\
             categories = [\"core\", \"{first}\", \"{second}\", \"{third}\"]\nnl = \"regel {number}\"\nen = \"row {number}\"\n"
        );
    }
    text
}

/// The forbids that are added, as Cedar.
fn regional(organisations: usize, rules: usize) -> String {
    let added = organisations.saturating_sub(EXAMPLE_PARTIES).max(1);
    let mut text = String::from("// What single organisations never receive.\n");
    for number in 0..forbids(rules) {
        let (id, order) = (organisation(number % added), 1_000 + number);
        // Half of them in the scope of the rule, half as a condition.
        let (scope, condition) = if number % 2 == 0 {
            (format!("resource == Party::\"{id}\""), String::new())
        } else {
            ("resource".to_owned(), format!("resource == Party::\"{id}\" && "))
        };
        let _ = write!(
            text,
            "\n@id(\"regional-never-{number}\")\n@code(\"category-never-for-recipient\")\n@order(\"{order}\")\n@rule(\"1\")\n\
             @nl(\"Deze organisatie krijgt geen financiën.\")\n@en(\"This organisation receives no finance.\")\n\
             forbid (principal, action in Action::\"give\", {scope})\n\
             when {{ {condition}context.category == Category::\"finance\" }}\n\
             unless {{ context.purpose == Purpose::\"youth-health\" }};\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Effect, Engine};

    #[test]
    fn it_has_the_numbers_that_were_asked_for_and_the_same_bytes_each_time() {
        let large = bundle(600, 3_000).unwrap();
        assert_eq!(large.digest(), bundle(600, 3_000).unwrap().digest());
        let engine = Engine::new(&large).unwrap_or_else(|findings| panic!("{findings}"));
        assert_eq!(engine.covenant().parties.len(), 600);
        assert_eq!(engine.rules().len(), 3_000);
        let withholding = engine.rules().values().filter(|rule| rule.effect == Effect::Withhold).count();
        assert_eq!(withholding, 35 + forbids(3_000));
        assert!(withholding > 300, "{withholding}");
    }
}

//! One way of writing a name or a postcode, out of the many that systems have for it. Pure.
//!
//! Invariants: what is written in another Unicode form, case, accent, spacing or punctuation, or with its prefix elsewhere or not at all, comes out the
//! same; what comes out goes in again unchanged. `docs/subjects.md` says what is not brought together.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use zeroize::Zeroizing;

/// The words of which the prefixes (voorvoegsels, table 36 of the Logisch Ontwerp BRP) are made that precede a family name here. A name keeps its
/// last word, whatever that is.
const PREFIXES: &[&str] = &[
    "aan", "af", "bij", "d", "da", "das", "de", "del", "della", "den", "der", "des", "di", "do", "dos", "du", "het",
    "in", "l", "la", "las", "le", "les", "lo", "los", "onder", "op", "over", "s", "t", "te", "ten", "ter", "tho",
    "toe", "tot", "uijt", "uit", "van", "ver", "vom", "von", "voor", "zu", "zum", "zur",
];

/// A family name without its prefix, in lower-case letters alone. "Berg, van der" is "van der Berg".
pub(super) fn family_name(text: &str) -> Zeroizing<String> {
    let (name, prefix) = text.split_once(',').unwrap_or((text, ""));
    let words = words(&Zeroizing::new(format!("{prefix} {name}")), is_separator);
    let last = words.len().saturating_sub(1);
    let own = words.iter().take(last).take_while(|word| PREFIXES.contains(&word.as_str())).count();
    joined(words.iter().skip(own))
}

/// The first of the given names, in lower-case letters alone; two that are joined by a hyphen are one.
pub(super) fn given_name(text: &str) -> Zeroizing<String> {
    let between = |c: char| c.is_whitespace() || c == ',';
    joined(words(text, between).iter().take(1))
}

/// Whether the first given name is written as initials. One letter of another script can be a whole name.
pub(super) fn is_initial(text: &str) -> bool {
    let first = text.split(|c: char| c.is_whitespace() || c == ',').find(|word| word.chars().any(char::is_alphabetic));
    let name = given_name(text);
    first.is_some_and(|word| word.contains('.')) || (name.len() == 1 && name.is_ascii())
}

/// A Dutch postcode: four digits and two capitals.
pub(super) fn postal_code(text: &str) -> Zeroizing<String> {
    let mut code = Zeroizing::new(String::with_capacity(8));
    code.extend(text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()));
    code
}

fn joined<'a>(words: impl Iterator<Item = &'a Zeroizing<String>>) -> Zeroizing<String> {
    // The bytes of texts that grow out of their room would stay behind in memory.
    let mut all = Zeroizing::new(String::with_capacity(1024));
    words.for_each(|word| all.push_str(word));
    all
}

fn words(text: &str, separates: impl Fn(char) -> bool) -> Vec<Zeroizing<String>> {
    let mut words = Vec::new();
    let mut word = Zeroizing::new(String::with_capacity(text.len() * 4));
    for letter in folded(text) {
        if separates(letter) {
            words.push(std::mem::replace(&mut word, Zeroizing::new(String::with_capacity(text.len() * 4))));
        } else if letter.is_alphabetic() {
            match in_basic_letters(letter) {
                Some(letters) => word.push_str(letters),
                None => word.push(letter),
            }
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Compatibility decomposition (Unicode Standard Annex 15, NFKD) without marks, in lower case.
fn folded(text: &str) -> impl Iterator<Item = char> {
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
    // Lower case first can bring marks with it, as that of the Turkish capital I with a dot.
    plain.flat_map(char::to_lowercase).nfkd().filter(|c| !is_combining_mark(*c))
}

fn is_separator(letter: char) -> bool {
    // The letters that look like apostrophes and are none stand among the modifiers from U+02B0 on.
    letter.is_whitespace()
        || matches!(letter, ',' | '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
        || matches!(letter, '\'' | '`' | '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2b0}'..='\u{2ff}')
}

/// Letters that decomposition leaves as they are, as most systems write them without.
const fn in_basic_letters(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ħ' => "h",
        'ŧ' => "t",
        'ŋ' => "n",
        'ı' => "i",
        'ς' => "σ",
        '\u{2b0}'..='\u{2ff}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn family(text: &str) -> String {
        family_name(text).to_string()
    }

    fn given(text: &str) -> String {
        given_name(text).to_string()
    }

    #[test]
    fn the_ways_of_writing_one_name_are_one() {
        for same in [
            vec![
                "van der Berg",
                "Van Der Berg",
                "Berg, van der",
                "VAN DER BERG",
                " van  der\u{a0}Berg ",
                "Berg",
                "v\u{61}n der-berg",
            ],
            vec!["'t Hart", "’t Hart", "Hart, 't", "t Hart", "hart"],
            vec!["d'Ancona", "D’Ancona", "d´Ancona", "dʼAncona", "Ancona, d'"],
            vec!["O'Brien", "O’Brien", "OBrien", "O Brien"],
            vec!["Müller", "Mu\u{308}ller", "MÜLLER", "Muller"],
            vec!["Çelik", "celik", "C\u{327}ELI\u{307}K"],
            vec!["Jansen-de Vries", "Jansen - de Vries", "JANSEN DE VRIES", "Jansen\u{2013}de Vries"],
            vec!["IJsselmuiden", "Ĳsselmuiden", "ijsselmuiden"],
            vec!["Strauß", "STRAUSS", "Strauss"],
            vec!["Øster", "oster"],
        ] {
            let first = family(same[0]);
            assert!(!first.is_empty());
            assert!(
                same.iter().all(|way| family(way) == first),
                "{same:?}: {:?}",
                same.iter().map(|way| family(way)).collect::<Vec<_>>()
            );
        }
        for (left, right) in [("Jansen", "Janssen"), ("Müller", "Mueller"), ("de Vries", "de Fries"), ("Li", "Lee")] {
            assert_ne!(family(left), family(right));
        }
    }

    #[test]
    fn a_name_that_is_a_prefix_is_a_name() {
        assert_eq!(family("Ten"), "ten");
        assert_eq!(family("van den"), "den");
        assert_eq!(family("de La Torre"), "torre");
    }

    #[test]
    fn of_given_names_the_first_counts_and_twins_have_different_ones() {
        assert_eq!(given("Jan Pieter"), given("JAN"));
        assert_eq!(given("Anne-Marie"), "annemarie");
        assert_eq!(given("Zoë Maria"), given("Zoe"));
        assert_ne!(given("Jan"), given("Joris"));
        for initial in ["J.", "J", "J.P.", "j. p."] {
            assert!(is_initial(initial), "{initial}");
        }
        for whole in ["Jo", "Jan P.", "O'Neal", "明"] {
            assert!(!is_initial(whole), "{whole}");
        }
    }

    #[test]
    fn what_has_no_letters_is_no_name() {
        for nothing in ["", " ", "-", "…", "1234", "\u{200b}", "'", "🙂"] {
            assert_eq!((family(nothing), given(nothing)), (String::new(), String::new()), "{nothing:?}");
        }
    }

    #[test]
    fn a_postcode_has_one_form() {
        for way in ["2242 AB", "2242ab", "2242 aB", "2242AB"] {
            assert_eq!(*postal_code(way), "2242AB");
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_goes_in_again_unchanged(text in any::<String>()) {
            let (family, given) = (family(&text), given(&text));
            prop_assert_eq!(&super::family_name(&family).to_string(), &family);
            prop_assert_eq!(&super::given_name(&given).to_string(), &given);
            prop_assert!(family.chars().chain(given.chars()).all(char::is_alphabetic));
        }

        #[test]
        fn unicode_form_case_and_invisible_characters_do_not_matter(text in "[\\p{Latin}\\p{Greek}\\p{Cyrillic} '’-]{1,40}") {
            let first = family(&text);
            prop_assert_eq!(&family(&text.nfc().collect::<String>()), &first);
            prop_assert_eq!(&family(&text.nfd().collect::<String>()), &first);
            prop_assert_eq!(&family(&text.to_lowercase()), &first);
            prop_assert_eq!(&family(&format!("\u{200b}{text}\u{feff}")), &first);
        }

        #[test]
        fn a_prefix_in_front_behind_or_left_out_is_the_same(name in "[A-Z][a-z]{4,12}x", prefix in 0..PREFIXES.len(), second in 0..PREFIXES.len()) {
            let (prefix, second) = (PREFIXES[prefix], PREFIXES[second]);
            let first = family(&name);
            let ways = [format!("{prefix} {name}"), format!("{prefix} {second} {name}"), format!("{name}, {prefix} {second}"), format!("{}  {name}", prefix.to_uppercase())];
            for way in ways {
                prop_assert_eq!(&family(&way), &first);
            }
        }

        #[test]
        fn what_stands_between_the_words_of_a_name_does_not_matter(words in proptest::collection::vec("[a-z]{4,9}x", 2..4)) {
            let first = family(&words.join(" "));
            for between in ["-", "  ", "'", " - ", "", "\u{a0}"] {
                prop_assert_eq!(&family(&words.join(between)), &first);
            }
        }

        #[test]
        fn other_names_stay_other_names(one in "[a-z]{4,12}x", other in "[a-z]{4,12}x") {
            prop_assert_eq!(family(&one) == family(&other), one == other);
        }
    }
}

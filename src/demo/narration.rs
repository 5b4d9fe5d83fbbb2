//! Tells on the console what happens, so that a privacy officer can follow it, and ends with a table.
//!
//! Invariant: what is told comes from the answers of the gateway; colours only where a person looks on.

use std::io::{IsTerminal as _, Write};

use super::scenario::Scenario;
use super::words::Language;

/// One thing that was seen after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A category may cross.
    Permitted(String),
    /// A category is withheld, and why.
    Withheld(String),
    /// Anything else.
    Seen(String),
}

/// One step, told: who did what, and what was seen then.
#[derive(Debug, Clone)]
pub struct Told {
    /// What happened, in one sentence.
    pub deed: String,
    /// What was seen.
    pub seen: Vec<Line>,
}

/// How a scenario went.
#[derive(Debug, Clone)]
pub struct Report {
    /// The scenario's slug.
    pub slug: String,
    /// Its title, in the language of the narration.
    pub title: String,
    /// What was referred: from whom, to whom, what for.
    pub referred: Vec<String>,
    /// How many sections were permitted.
    pub permitted: usize,
    /// How many sections were withheld.
    pub withheld: usize,
    /// What was otherwise than the scenario says; none when it ended as it should.
    pub failure: Option<String>,
}

/// Whoever is told what happens.
pub trait Narrator: Send {
    /// A scenario begins.
    fn begins(&mut self, scenario: &Scenario);
    /// A step was taken.
    fn step(&mut self, told: &Told);
    /// A scenario has ended.
    fn ends(&mut self, report: &Report);
}

/// Says nothing; for tests.
#[derive(Debug, Default)]
pub struct Silent;

impl Narrator for Silent {
    fn begins(&mut self, _: &Scenario) {}
    fn step(&mut self, _: &Told) {}
    fn ends(&mut self, _: &Report) {}
}

/// Tells on a console.
pub struct Console<W> {
    out: W,
    language: Language,
    colours: bool,
    told: usize,
}

impl Console<std::io::Stdout> {
    /// On standard output, in colours when that is a terminal.
    #[must_use]
    pub fn stdout(language: Language) -> Self {
        let out = std::io::stdout();
        let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { out, language, colours, told: 0 }
    }
}

/// Widest line of the narration, in characters.
const WIDTH: usize = 110;

impl<W: Write> Console<W> {
    /// On any writer, without colours.
    #[must_use]
    pub const fn plain(out: W, language: Language) -> Self {
        Self { out, language, colours: false, told: 0 }
    }

    /// One line of its own. A console that cannot be written to stops no scenario.
    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }

    fn paragraph(&mut self, first: &str, rest: &str, text: &str, colour: &str) {
        for (number, line) in wrapped(text, WIDTH.saturating_sub(first.chars().count())).iter().enumerate() {
            let indent = if number == 0 { first } else { rest };
            let line = if self.colours && !colour.is_empty() {
                format!("{indent}\u{1b}[{colour}m{line}\u{1b}[0m")
            } else {
                format!("{indent}{line}")
            };
            self.line(&line);
        }
    }

    /// The table at the end: what was referred, what was permitted and withheld, and whether it ended as it should.
    pub fn table(&mut self, reports: &[Report]) {
        let language = self.language;
        let heads = [
            language.pick("scenario", "scenario"),
            language.pick("toegestaan", "permitted"),
            language.pick("onthouden", "withheld"),
            language.pick("einde", "end"),
        ];
        self.line("");
        self.line(&format!("{:<66} {:>10} {:>10}  {}", heads[0], heads[1], heads[2], heads[3]));
        self.line(&"─".repeat(WIDTH));
        for report in reports {
            let end = if report.failure.is_none() {
                language.pick("zoals het hoort", "as it should")
            } else {
                language.pick("ANDERS DAN HET HOORT", "NOT AS IT SHOULD")
            };
            self.line(&format!("{:<66} {:>10} {:>10}  {end}", report.title, report.permitted, report.withheld));
            for referred in &report.referred {
                self.line(&format!("    {referred}"));
            }
        }
        self.line(&"─".repeat(WIDTH));
        let good = reports.iter().filter(|report| report.failure.is_none()).count();
        let total = reports.len();
        let sum = match language {
            Language::Nl => format!("{good} van {total} scenario's eindigden zoals het hoort"),
            Language::En => format!("{good} of {total} scenarios ended as they should"),
        };
        self.line(&sum);
    }
}

impl<W: Write + Send> Narrator for Console<W> {
    fn begins(&mut self, scenario: &Scenario) {
        self.told = 0;
        self.line("");
        self.paragraph("══ ", "   ", self.language.text(&scenario.title).to_owned().as_str(), "1");
        self.paragraph("   ", "   ", self.language.text(&scenario.story).to_owned().as_str(), "");
        self.line("");
    }

    fn step(&mut self, told: &Told) {
        self.told += 1;
        self.paragraph(&format!("{:>3}. ", self.told), "     ", &told.deed, "");
        for line in &told.seen {
            match line {
                Line::Permitted(text) => self.paragraph("     ✓ ", "       ", text, "32"),
                Line::Withheld(text) => self.paragraph("     ✗ ", "       ", text, "31"),
                Line::Seen(text) => self.paragraph("     → ", "       ", text, ""),
            }
        }
    }

    fn ends(&mut self, report: &Report) {
        let language = self.language;
        match &report.failure {
            None => self.paragraph("     ", "     ", language.pick("Zoals het hoort.", "As it should."), "32"),
            Some(failure) => {
                let text = format!("{}: {failure}", language.pick("Anders dan het hoort", "Not as it should"));
                self.paragraph("     ", "     ", &text, "31;1");
            }
        }
    }
}

/// A text broken into lines at its spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits = lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() <= width);
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if fits => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_which_scenario_went_wrong_and_has_no_colours_for_a_file() {
        let report = |failure: Option<&str>| Report {
            slug: "x".to_owned(),
            title: "Schulden".to_owned(),
            referred: vec!["SMOW → Kredietbank".to_owned()],
            permitted: 3,
            withheld: 1,
            failure: failure.map(str::to_owned),
        };
        let mut out = Vec::new();
        Console::plain(&mut out, Language::Nl).table(&[report(None), report(Some("status 500"))]);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("1 van 2 scenario's eindigden zoals het hoort"));
        assert!(text.contains("ANDERS DAN HET HOORT"));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn long_sentences_are_broken_at_spaces() {
        assert_eq!(wrapped("een twee drie", 8), ["een twee", "drie"]);
    }
}

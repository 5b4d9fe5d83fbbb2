//! What the covenant says or leaves open, and references inside the document.
//!
//! Invariant: whatever may be missing passes through [`Gaps`], so that the list of what is missing is complete.

/// A reference to a place in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The anchor, without `#`.
    pub anchor: String,
    /// What is shown.
    pub text: String,
}

impl Link {
    /// A reference to what has this code among its kind.
    pub(super) fn to(kind: Kind, code: &str, text: impl Into<String>) -> Self {
        Self { anchor: kind.anchor(code), text: text.into() }
    }
}

/// What has an anchor of its own. The kinds keep codes apart that are the same, such as those of a purpose and its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A party.
    Party,
    /// A purpose.
    Purpose,
    /// A data category.
    Category,
    /// A legal basis.
    Basis,
    /// A row of the protocol.
    Row,
    /// A rule, by the id that decisions and audit records name: a permit, a policy that withholds, or one that is held elsewhere.
    Rule,
    /// A rule of the covenant, by its number.
    Number,
    /// A reason code.
    Code,
    /// An invariant.
    Invariant,
    /// An entry of the register, by its purpose.
    Activity,
}

impl Kind {
    /// The anchor of a code.
    pub(super) fn anchor(self, code: &str) -> String {
        let prefix = match self {
            Self::Party => "partij",
            Self::Purpose => "doel",
            Self::Category => "categorie",
            Self::Basis => "grondslag",
            Self::Row => "rij",
            Self::Rule => "regel",
            Self::Number => "nummer",
            Self::Code => "code",
            Self::Invariant => "invariant",
            Self::Activity => "verwerking",
        };
        format!("{prefix}-{code}")
    }
}

/// What the covenant says; nothing where it leaves it open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// One text, or several that are listed.
    pub lines: Vec<String>,
}

/// Something that the covenant leaves open, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    /// What is left open.
    pub what: &'static str,
    /// Where the document would have shown it.
    pub places: Vec<Link>,
}

/// Everything that the covenant leaves open, in the order of the document.
#[derive(Debug, Default)]
pub(super) struct Gaps(Vec<Gap>);

impl Gaps {
    /// A text that may be missing.
    pub(super) fn text(&mut self, what: &'static str, place: &Link, text: Option<&str>) -> Said {
        self.lines(what, place, text.map(|text| vec![text.to_owned()]))
    }

    /// Several texts that may be missing. Nobody and nothing are said in words, not by an empty list.
    pub(super) fn lines(&mut self, what: &'static str, place: &Link, lines: Option<Vec<String>>) -> Said {
        let lines = lines.unwrap_or_default();
        if lines.is_empty() {
            match self.0.iter_mut().find(|gap| gap.what == what) {
                Some(gap) => gap.places.push(place.clone()),
                None => self.0.push(Gap { what, places: vec![place.clone()] }),
            }
        }
        Said { lines }
    }

    /// The list.
    pub(super) fn into_list(self) -> Vec<Gap> {
        self.0
    }
}

/// What is always said.
impl From<&str> for Said {
    fn from(text: &str) -> Self {
        Self { lines: vec![text.to_owned()] }
    }
}

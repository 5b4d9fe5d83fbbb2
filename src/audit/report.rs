//! What a verification found, in a form for people and one for programs.
//!
//! Invariant: a report names records by place and identifier only; it never repeats a value, which may be personal data.

use std::fmt;

use serde::Serialize;

/// Findings beyond this many are counted but not kept: the first is what matters, and memory stays bounded.
const MOST_FINDINGS: usize = 50;

/// What kind of harm was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A record does not say what was committed to.
    RecordChanged,
    /// A record that is in the log is no longer in the table.
    RecordRemoved,
    /// A record is in the table that the gateway did not put there, or did not put in the log.
    RecordInserted,
    /// A genuine record stands in the place of another.
    RecordMoved,
    /// A genuine record was kept from the log by hand.
    RecordHeldBack,
    /// The stored tree does not give the signed root.
    TileAltered,
    /// A checkpoint is not as it was signed, or its predecessor is missing.
    CheckpointAltered,
    /// The log was longer than its last checkpoint says now.
    LogTruncated,
    /// What retention is said to have removed is there, or it is said otherwise than it was.
    RemovalContradicted,
}

impl FindingKind {
    const fn words(self) -> &'static str {
        match self {
            Self::RecordChanged => "record changed",
            Self::RecordRemoved => "record removed",
            Self::RecordInserted => "record inserted",
            Self::RecordMoved => "record moved",
            Self::RecordHeldBack => "record held back from the log",
            Self::TileAltered => "tree altered",
            Self::CheckpointAltered => "checkpoint altered",
            Self::LogTruncated => "log truncated",
            Self::RemovalContradicted => "removal contradicted",
        }
    }

    const fn is_about_a_record(self) -> bool {
        matches!(
            self,
            Self::RecordChanged | Self::RecordRemoved | Self::RecordInserted | Self::RecordMoved | Self::RecordHeldBack
        )
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// The place in the log, where there is one.
    pub leaf_index: Option<u64>,
    /// The identifier of the record, as its row gives it now; none when the row is gone.
    pub record: Option<String>,
    /// The serial number of the row.
    pub entry: Option<i64>,
    /// The size of the tree at the checkpoint concerned.
    pub tree_size: Option<u64>,
    /// What exactly does not fit.
    pub detail: String,
}

impl Finding {
    /// A finding that is not about one record.
    #[must_use]
    pub fn new(kind: FindingKind, detail: impl Into<String>) -> Self {
        Self { kind, leaf_index: None, record: None, entry: None, tree_size: None, detail: detail.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.words())?;
        if let Some(index) = self.leaf_index {
            write!(f, ", leaf {index}")?;
        }
        if let Some(record) = &self.record {
            write!(f, ", record {record}")?;
        }
        if let Some(entry) = self.entry {
            write!(f, ", row {entry}")?;
        }
        if let Some(size) = self.tree_size {
            write!(f, ", checkpoint of {size} leaves")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether nothing at all was found wrong.
    pub intact: bool,
    /// The number of leaves that were taken for granted, when only what came after them was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The number of leaves under the last checkpoint.
    pub tree_size: u64,
    /// The root of the last checkpoint, in hexadecimal.
    pub root: Option<String>,
    /// When the last checkpoint was made.
    pub signed_at: Option<String>,
    /// Checkpoints examined.
    pub checkpoints: u64,
    /// Sequenced records examined.
    pub records: u64,
    /// Genuine records that have no place in the log yet; they get one at the sequencer's next run.
    pub unsequenced: u64,
    /// When the first of these was made; long ago means that the sequencer stands still, or that the log was put back.
    pub oldest_unsequenced: Option<String>,
    /// Values that were erased; their commitments, and so the log, are whole.
    pub erased_values: u64,
    /// Records with such values.
    pub erased_records: u64,
    /// Removals of retention whose proof was held against what is stored.
    pub removals: u64,
    /// How many findings there are; the first of them are listed.
    pub finding_count: u64,
    /// The first record that was changed, removed, inserted or moved.
    pub first_record: Option<Finding>,
    /// The first findings, in the order in which they were made: first the tree, then the records by place.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.finding_count += 1;
        if self.first_record.is_none() && finding.kind.is_about_a_record() {
            self.first_record = Some(finding.clone());
        }
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    pub(crate) fn finish(mut self) -> Self {
        self.intact = self.finding_count == 0;
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "examined {} records under {} checkpoints; the log has {} leaves, root {}",
            self.records,
            self.checkpoints,
            self.tree_size,
            self.root.as_deref().unwrap_or("unknown")
        )?;
        if let Some(time) = &self.signed_at {
            writeln!(f, "last checkpoint signed at {time}")?;
        }
        write!(f, "records not yet in the log: {}", self.unsequenced)?;
        if let Some(time) = &self.oldest_unsequenced {
            write!(f, " (the oldest of {time})")?;
        }
        writeln!(f, "; erased values: {}", self.erased_values)?;
        if self.removals > 0 {
            writeln!(f, "removals of what had had its term: {}", self.removals)?;
        }
        if let Some(since) = self.since {
            writeln!(
                f,
                "the first {since} leaves were taken for granted: they are under the checkpoint that was kept"
            )?;
        }
        if self.intact {
            return f.write_str("intact: every record is as it was written, in its place, under a signed root");
        }
        if let Some(first) = &self.first_record {
            writeln!(f, "first record that is not as it was written: {first}")?;
        }
        for finding in &self.findings {
            writeln!(f, "- {finding}")?;
        }
        let unlisted = self.finding_count.saturating_sub(self.findings.len() as u64);
        if unlisted > 0 {
            writeln!(f, "- and {unlisted} more")?;
        }
        let plural = if self.finding_count == 1 { "" } else { "s" };
        write!(f, "NOT intact: {} finding{plural}", self.finding_count)
    }
}

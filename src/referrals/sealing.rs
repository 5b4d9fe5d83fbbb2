//! Sections to and from their sealed form, under the data key of their referral.

use uuid::Uuid;

use super::store::{self, SealedSection};
use super::types::{Content, Part, Section};
use crate::app::App;
use crate::encryption::LARGEST_JWE;
use crate::problem::{Code, Problem};
use crate::storage::Query;
use crate::storage::seal::DataKey;

/// Largest content of a section, as JSON or as JWE, in bytes.
const LARGEST_SECTION: usize = LARGEST_JWE;

/// Sections ready to be stored.
pub(super) struct SealedContent {
    /// The data key, wrapped; empty when the referral has one already.
    pub(super) wrapped_key: Vec<u8>,
    pub(super) sections: Vec<SealedSection>,
}

impl SealedContent {
    /// Seals the sections that come with a new referral, under a new data key.
    pub(super) fn with_new_key(app: &App, referral: Uuid, part: &str, sections: &[Section]) -> Result<Self, Problem> {
        let (key, wrapped_key) = app.sealer.new_data_key(&key_place(referral))?;
        Ok(Self { wrapped_key, sections: seal(&key, referral, part, sections)? })
    }

    /// Seals notes under the referral's own data key.
    pub(super) async fn with_known_key(
        app: &App,
        query: &mut impl Query,
        referral: Uuid,
        part: &str,
        sections: &[Section],
    ) -> Result<Self, Problem> {
        if sections.is_empty() {
            return Ok(Self { wrapped_key: Vec::new(), sections: Vec::new() });
        }
        let key = data_key(app, query, referral).await?.ok_or_else(erased)?;
        Ok(Self { wrapped_key: Vec::new(), sections: seal(&key, referral, part, sections)? })
    }
}

/// Its data key was destroyed.
pub(super) fn erased() -> Problem {
    Problem::new(Code::Conflict, "the content of this referral was erased; nothing in it can be added or corrected")
}

async fn data_key(app: &App, query: &mut impl Query, referral: Uuid) -> Result<Option<DataKey>, Problem> {
    let Some(wrapped) = store::wrapped_key(query, referral).await? else { return Ok(None) };
    Ok(Some(app.sealer.data_key(&key_place(referral), &wrapped)?))
}

/// Opens what came with a part of a referral; nothing once it was erased.
pub(super) async fn open(
    app: &App,
    query: &mut impl Query,
    referral: Uuid,
    part: &str,
) -> Result<Vec<Section>, Problem> {
    let Some(key) = data_key(app, query, referral).await? else { return Ok(Vec::new()) };
    let sealed = store::sections(query, referral, part).await?;
    let here = Part::named(referral, part).ok_or_else(|| Problem::internal("a stored part has an unexpected form"))?;
    sealed
        .iter()
        .map(|section| {
            let plain = key.open(&section_place(referral, part, &section.category), &section.sealed)?;
            let content: Content = serde_json::from_slice(&plain)?;
            let category =
                section.category.parse().map_err(|_| Problem::internal("a stored category has an unexpected form"))?;
            Ok(Section {
                category,
                content,
                corrected_at: section.corrected_at,
                origin: Some(section.origin.unwrap_or(here)),
                disclosed: section.disclosed_at.is_some(),
            })
        })
        .collect()
}

fn seal(key: &DataKey, referral: Uuid, part: &str, sections: &[Section]) -> Result<Vec<SealedSection>, Problem> {
    sections
        .iter()
        .map(|section| {
            let plain = zeroize::Zeroizing::new(serde_json::to_vec(&section.content)?);
            let category = section.category.to_string();
            let sealed = key.seal(&section_place(referral, part, &category), &plain)?;
            Ok(SealedSection { category, sealed, origin: section.origin, disclosed_at: None, corrected_at: None })
        })
        .collect()
}

fn key_place(referral: Uuid) -> String {
    format!("referrals/wrapped_key/{referral}")
}

fn section_place(referral: Uuid, part: &str, category: &str) -> String {
    format!("referral_sections/sealed/{referral}/{part}/{category}")
}

/// Refuses a section that is too large.
pub(super) fn check_sizes(sections: &[Section]) -> Result<(), Problem> {
    for section in sections {
        let size = match &section.content {
            Content::Content(value) => value.to_string().len(),
            Content::Jwe(text) => text.len(),
        };
        if size > LARGEST_SECTION {
            return Err(Problem::new(
                Code::PayloadTooLarge,
                "a section may be at most 1 MiB; send less, or a reference",
            ));
        }
    }
    Ok(())
}

//! Sections to and from their sealed form, each under a key of its own: made of the data key of its referral and of a share in the key store.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::store::{self, SealedSection};
use super::types::{Content, Part, Section};
use crate::app::App;
use crate::encryption::LARGEST_JWE;
use crate::problem::{Code, Problem};
use crate::storage::Query;
use crate::storage::seal::{DataKey, Key, SealError};

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
    pub(super) async fn with_new_key(
        app: &App,
        referral: Uuid,
        part: &str,
        sections: &[Section],
    ) -> Result<Self, Problem> {
        let (key, wrapped_key) = app.sealer.new_data_key(&key_place(referral))?;
        Ok(Self { wrapped_key, sections: seal(app, &key, referral, part, sections).await? })
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
        Ok(Self { wrapped_key: Vec::new(), sections: seal(app, &key, referral, part, sections).await? })
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
    let shares = shares(app, &sealed).await?;
    let mut sections = Vec::with_capacity(sealed.len());
    for section in &sealed {
        let place = section_place(referral, part, &section.category);
        let Some(plain) = open_one(&key, &shares, section, &place) else { continue };
        let plain = plain?;
        let content: Content = serde_json::from_slice(&plain)?;
        let category =
            section.category.parse().map_err(|_| Problem::internal("a stored category has an unexpected form"))?;
        sections.push(Section {
            category,
            content,
            corrected_at: section.corrected_at,
            origin: Some(section.origin.unwrap_or(here)),
            disclosed: section.disclosed_at.is_some(),
        });
    }
    Ok(sections)
}

/// Whether what came with a part of a referral does not open because it was altered or moved.
pub(super) async fn is_altered(app: &App, query: &mut impl Query, referral: Uuid, part: &str) -> Result<bool, Problem> {
    let Some(wrapped) = store::wrapped_key(query, referral).await? else { return Ok(false) };
    let key = match app.sealer.data_key(&key_place(referral), &wrapped) {
        Ok(key) => key,
        Err(error) => return Ok(error == SealError::Altered),
    };
    let sealed = store::sections(query, referral, part).await?;
    let shares = shares(app, &sealed).await?;
    let is_altered = |section: &SealedSection| {
        let opened = open_one(&key, &shares, section, &section_place(referral, part, &section.category));
        opened.is_some_and(|opened| opened.is_err_and(|error| error == SealError::Altered))
    };
    Ok(sealed.iter().any(is_altered))
}

/// The shares of these sections. Read for each use: what was destroyed, at another gateway too, opens nowhere any more.
async fn shares(app: &App, sealed: &[SealedSection]) -> Result<BTreeMap<Uuid, Key>, Problem> {
    let ids: Vec<Uuid> = sealed.iter().filter_map(|section| section.key_share).collect();
    if ids.is_empty() { Ok(BTreeMap::new()) } else { app.keys.find(&ids).await }
}

/// Opens a section; nothing where its share was destroyed: then it is as if it were not there.
fn open_one(
    key: &DataKey,
    shares: &BTreeMap<Uuid, Key>,
    section: &SealedSection,
    place: &str,
) -> Option<Result<zeroize::Zeroizing<Vec<u8>>, SealError>> {
    match section.key_share {
        // From before there was a key store.
        None => Some(key.open(place, &section.sealed)),
        Some(id) => shares.get(&id).map(|share| key.with_share(share).open(place, &section.sealed)),
    }
}

async fn seal(
    app: &App,
    key: &DataKey,
    referral: Uuid,
    part: &str,
    sections: &[Section],
) -> Result<Vec<SealedSection>, Problem> {
    let shares = if sections.is_empty() { Vec::new() } else { app.keys.take(sections.len(), app.now()).await? };
    if shares.len() != sections.len() {
        return Err(Problem::internal("the key store gave another number of shares than there are sections"));
    }
    let sealed = sections.iter().zip(shares).map(|(section, share)| {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(&section.content)?);
        let category = section.category.to_string();
        let sealed = key.with_share(&share.key).seal(&section_place(referral, part, &category), &plain)?;
        let (key_share, origin) = (Some(share.id), section.origin);
        Ok(SealedSection { category, sealed, key_share, origin, disclosed_at: None, corrected_at: None })
    });
    sealed.collect()
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

//! What one step of a sweep removes, in one transaction.

use uuid::Uuid;

use super::store;
use super::types::RemovalKind;
use crate::audit;
use crate::clock::Timestamp;
use crate::covenant::Content;
use crate::problem::Problem;
use crate::storage::{Error, Query, Tx};
use crate::{cases, consents, referrals, relay};

/// How many things a step removes at most.
const STEP: i64 = 100;

/// Something whose term is over, with when it began.
pub(super) type Due = Vec<(Uuid, Timestamp)>;

/// What is looked for, where it can be found by when its term began.
#[derive(Debug, Clone)]
pub(super) enum Look {
    /// Content.
    Content(Content),
    /// Referrals; the moment is the first that the monitor has not counted.
    Referrals(Timestamp),
    /// The same of cases.
    Cases(Timestamp),
    /// Records of consent, release and agreement.
    Consents,
}

impl Look {
    /// What ended until this moment, the longest ago first.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn due(&self, query: &mut impl Query, until: Timestamp) -> Result<Due, Error> {
        match self {
            Self::Content(content) => referrals::ended(query, until, content, STEP).await,
            Self::Referrals(uncounted) => referrals::over(query, (until, *uncounted), STEP).await,
            Self::Cases(uncounted) => cases::over(query, (until, *uncounted), STEP).await,
            Self::Consents => consents::over(query, until, STEP).await,
        }
    }

    pub(super) fn work(&self, due: Due) -> Work {
        match self {
            Self::Content(content) => Work::Content(content.clone(), due),
            Self::Referrals(uncounted) => Work::Referrals(*uncounted, due),
            Self::Cases(uncounted) => Work::Cases(*uncounted, due),
            Self::Consents => Work::Consents(due),
        }
    }
}

/// The work of one step.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Content of these referrals.
    Content(Content, Due),
    /// Referrals; the moment is the first that the monitor has not counted.
    Referrals(Timestamp, Due),
    /// The same of cases.
    Cases(Timestamp, Due),
    /// Records of consent, release and agreement.
    Consents(Due),
    /// Events behind this row.
    Events(i64),
    /// Audit records at this place and behind it; a removal may have come by some of them already.
    Audit(u64),
}

/// What a step removed.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken {
    pub(super) names: Vec<String>,
    /// When their terms began.
    pub(super) began: Vec<Timestamp>,
    /// Of audit records, the places that it came by.
    pub(super) places: Option<(u64, u64)>,
    /// Where the next step of its kind begins, where there is one.
    pub(super) next: Option<Work>,
}

impl Taken {
    fn take(&mut self, name: String, began: Timestamp) {
        self.names.push(name);
        self.began.push(began);
    }
}

impl Work {
    pub(super) const fn kind(&self) -> RemovalKind {
        match self {
            Self::Content(..) => RemovalKind::Content,
            Self::Referrals(..) | Self::Cases(..) => RemovalKind::Referral,
            Self::Consents(_) => RemovalKind::Consent,
            Self::Events(_) => RemovalKind::Event,
            Self::Audit(_) => RemovalKind::Audit,
        }
    }

    /// Does it: what ended later than `until` stays, whatever was found before.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn step(&self, tx: &mut Tx, until: Timestamp, now: Timestamp) -> Result<Taken, Problem> {
        let mut taken = Taken::default();
        match self {
            Self::Content(content, due) => {
                for (referral, began) in due {
                    for name in referrals::expire(tx, *referral, content, (until, now)).await? {
                        taken.take(name, *began);
                    }
                }
            }
            Self::Referrals(uncounted, due) => {
                for (referral, began) in due {
                    if referrals::remove(tx, *referral, (until, *uncounted), now).await? {
                        taken.take(format!("referrals/{referral}"), *began);
                    }
                }
            }
            Self::Cases(uncounted, due) => {
                for (case, began) in due {
                    if cases::remove(tx, *case, (until, *uncounted)).await? {
                        taken.take(format!("cases/{case}"), *began);
                    }
                }
            }
            Self::Consents(due) => {
                for (consent, began) in due {
                    if consents::remove(tx, *consent, until).await? {
                        taken.take(consent.to_string(), *began);
                    }
                }
            }
            Self::Events(after) => {
                let pruned = relay::prune(tx, until, *after).await?;
                for (event, began) in pruned.events {
                    taken.take(event, began);
                }
                taken.next = pruned.next.map(Self::Events);
            }
            Self::Audit(from) => {
                // Whichever gateway was here first: nothing is come by twice.
                audit::lock(tx).await?;
                let first = store::next_place(tx).await?.max(*from);
                let expired = audit::expire(tx, first, until).await?;
                for (record, began) in expired.records {
                    taken.take(record, began);
                }
                taken.places = expired.last.map(|last| (first, last));
                taken.next = expired.last.map(|last| Self::Audit(last.saturating_add(1)));
            }
        }
        Ok(taken)
    }
}

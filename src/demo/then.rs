//! What a scenario expects after a step.
//!
//! Invariant: what is not stated is not looked at; what is stated is looked at in [`super::expect`], or means nothing after its step and is
//! refused by [`super::load`].

use std::collections::BTreeMap;

use serde::Deserialize;

/// What must be seen after a step. What is not stated is not looked at, except that the step succeeds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Then {
    /// The HTTP status code.
    pub status: Option<u16>,
    /// The code of the problem that is answered.
    pub problem: Option<String>,
    /// What the decision comes to: `permitted`, `minimised` or `refused`.
    pub outcome: Option<String>,
    /// The categories that are permitted: these and no others.
    pub permitted: Option<Vec<String>>,
    /// The categories that are withheld, and why: these and no others.
    pub withheld: Option<BTreeMap<String, Reason>>,
    /// The rules that permit a category.
    pub permitted_by: Option<BTreeMap<String, Vec<String>>>,
    /// Whether the signed receipt verifies with the gateway's published keys and says what the answer says.
    pub receipt_verifies: Option<bool>,
    /// Whether the answer names the same referral as the request that it repeats.
    pub same_referral: Option<bool>,
    /// The referral's status code.
    pub referral_status: Option<String>,
    /// The party that must act next, or `nobody`.
    pub holder: Option<String>,
    /// What goes on within the status, as `overdue` or `under-examination`; `none` where there is nothing to say.
    pub business_status: Option<String>,
    /// How long the holder has, from this step on.
    pub due: Option<Due>,
    /// The party that the last update named as the right one.
    pub right_party: Option<String>,
    /// The statuses that the referral went through by updates, in order.
    pub steps: Option<Vec<String>>,
    /// The steps that this actor may take now: these and no others. An update is called by the status that it leads to, every other
    /// step by its own name.
    pub allowed_steps: Option<Vec<String>>,
    /// The categories whose content is handed over, word for word as sent: these and no others.
    pub content: Option<Vec<String>>,
    /// Texts that occur nowhere in the answer.
    pub nowhere: Option<Vec<String>>,
    /// The events that arrived, each exactly once, in this order, without their common beginning and end.
    pub events: Option<Vec<String>>,
    /// How many audit records of each kind the actor is shown; about a case how many of each step.
    pub records: Option<BTreeMap<String, usize>>,
    /// The case, as the actor sees it.
    pub case: Option<SeenCase>,
    /// Who is seen to take part in a case: these and no others.
    pub participants: Option<Vec<String>>,
    /// The actor's own referrals that keep a case from being closed: these and no others.
    pub still_open: Option<Vec<String>>,
    /// How many referrals of others do.
    pub still_open_elsewhere: Option<u64>,
    /// Who received something under a consent, and how its confirmation stands: these and no others.
    pub confirmations: Option<BTreeMap<String, String>>,
    /// The lines of the monitor: these and no others.
    pub overdue: Option<Vec<Late>>,
    /// Whether the monitor's figures show any number at all.
    pub numbers_shown: Option<bool>,
    /// How a review stands: `open`, `overdue` or `concluded`.
    pub review_status: Option<String>,
}

/// Why a category is withheld.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reason {
    /// The code of the decision.
    pub code: String,
    /// Rules that the decision must name, among others.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The code of the remedy that the sender is told.
    pub remedy: Option<String>,
}

/// What must be seen of a case. What is not stated is not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeenCase {
    /// Whether it is `open` or `closed`.
    pub status: Option<String>,
    /// Who coordinates it.
    pub coordinator: Option<String>,
    /// Who was asked to coordinate it, or `nobody`.
    pub offered_to: Option<String>,
    /// What the actor is in it: this and no more.
    pub roles: Option<Vec<String>>,
    /// Whether the municipality directs it.
    pub stepped_up: Option<bool>,
    /// The gateway's proposal to step up: `none`, `waiting` or `overdue`.
    pub proposal: Option<String>,
    /// The referrals of it that the actor sees: these and no others.
    pub referrals: Option<Vec<String>>,
    /// How many of its referrals are open.
    pub open: Option<u64>,
}

/// How long the holder has: until the end of the last day of the term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Due {
    /// Working days of the Netherlands.
    WorkingDays(u32),
    /// Weeks.
    Weeks(u32),
}

/// A line of the monitor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Late {
    /// Who handed over.
    pub from: String,
    /// To whom.
    pub to: String,
}

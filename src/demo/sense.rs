//! Which expectations mean something after which action.
//!
//! Invariant: every expectation of [`Then`] has its name here; whoever adds one must say after what it means something, because the
//! destructuring below does not compile otherwise.

use super::scenario::{Action, Then};

/// What every answer shows.
const ANSWER: &[&str] = &["status", "problem", "nowhere"];
/// What a decision on sections shows.
const DECISION: &[&str] = &["outcome", "permitted", "withheld", "permitted-by"];
/// What a referral shows of where it stands.
const STANDING: &[&str] = &["referral-status", "holder", "due"];
/// What only an answer with a new referral shows.
const CREATED: &[&str] = &["receipt-verifies", "same-referral"];

/// The expectations that mean something after an action, in groups.
#[must_use]
pub fn understood(action: &Action) -> &'static [&'static [&'static str]] {
    match action {
        Action::Check(_) => &[ANSWER, DECISION],
        Action::Refer(_) => &[ANSWER, DECISION, STANDING, CREATED],
        Action::ReadReferral(_) => &[ANSWER, STANDING, &["business-status"]],
        Action::ReadUpdates(_) => &[ANSWER, &["steps", "right-party"]],
        Action::Disclose(_) => &[ANSWER, &["content"]],
        Action::Update(_) | Action::Supplement(_) | Action::ReferOn(_) | Action::Reassign(_) => {
            &[ANSWER, DECISION, STANDING, &["allowed-steps"]]
        }
        Action::Extend(_)
        | Action::AskCancellation(_)
        | Action::RefuseCancellation(_)
        | Action::Resolve(_)
        | Action::StepUpReferral(_) => &[ANSWER, STANDING, &["allowed-steps"]],
        Action::ReadCase(_) => &[ANSWER, &["case"]],
        Action::ReadParticipants(_) => &[ANSWER, &["participants"]],
        Action::CloseCase(_) => &[ANSWER, &["allowed-steps", "still-open", "still-open-elsewhere"]],
        Action::OfferCoordination(_)
        | Action::AcceptCoordination(_)
        | Action::DeclineCoordination(_)
        | Action::RevokeOffer(_)
        | Action::Invite(_)
        | Action::RemoveParticipant(_)
        | Action::CallMeeting(_)
        | Action::StepUpCase(_)
        | Action::RefuseStepUp(_)
        | Action::StepDownCase(_) => &[ANSWER, &["allowed-steps"]],
        Action::ReceivesEvents(_) => &[&["events", "nowhere"]],
        Action::Audit(_) => &[ANSWER, &["records"]],
        Action::ReadConfirmations(_) => &[ANSWER, &["confirmations"]],
        Action::ReadOverdue => &[ANSWER, &["overdue"]],
        Action::ReadFigures => &[ANSWER, &["numbers-shown"]],
        Action::ReadReview(_) => &[ANSWER, &["review-status"]],
        Action::VetoReferral(_) => &[ANSWER, &["allowed-steps"]],
        Action::SetVeto(_)
        | Action::ReadVeto(_)
        | Action::EndVeto(_)
        | Action::DeclareEmergency(_)
        | Action::EndEmergency(_)
        | Action::InformResident(_)
        | Action::ConcludeReview(_)
        | Action::RecordConsent(_)
        | Action::ReadConsent(_)
        | Action::Withdraw(_)
        | Action::ReportWithdrawal(_)
        | Action::Erase(_)
        | Action::Confirm(_)
        | Action::Suspend(_)
        | Action::Resume(_)
        | Action::RegisterOrganisation(_)
        | Action::PublishCovenant(_)
        | Action::SignCovenant(_)
        | Action::PublishKey => &[ANSWER],
        Action::AdvanceClock(_) | Action::GatewayDown | Action::GatewayUp | Action::PartnerDown | Action::PartnerUp => {
            &[]
        }
    }
}

/// The expectations that a step states.
#[must_use]
pub fn stated(then: &Then) -> Vec<&'static str> {
    let Then {
        status,
        problem,
        outcome,
        permitted,
        withheld,
        permitted_by,
        receipt_verifies,
        same_referral,
        referral_status,
        holder,
        business_status,
        due,
        right_party,
        steps,
        allowed_steps,
        content,
        nowhere,
        events,
        records,
        case,
        participants,
        still_open,
        still_open_elsewhere,
        confirmations,
        overdue,
        numbers_shown,
        review_status,
    } = then;
    [
        ("status", status.is_some()),
        ("problem", problem.is_some()),
        ("outcome", outcome.is_some()),
        ("permitted", permitted.is_some()),
        ("withheld", withheld.is_some()),
        ("permitted-by", permitted_by.is_some()),
        ("receipt-verifies", receipt_verifies.is_some()),
        ("same-referral", same_referral.is_some()),
        ("referral-status", referral_status.is_some()),
        ("holder", holder.is_some()),
        ("business-status", business_status.is_some()),
        ("due", due.is_some()),
        ("right-party", right_party.is_some()),
        ("steps", steps.is_some()),
        ("allowed-steps", allowed_steps.is_some()),
        ("content", content.is_some()),
        ("nowhere", nowhere.is_some()),
        ("events", events.is_some()),
        ("records", records.is_some()),
        ("case", case.is_some()),
        ("participants", participants.is_some()),
        ("still-open", still_open.is_some()),
        ("still-open-elsewhere", still_open_elsewhere.is_some()),
        ("confirmations", confirmations.is_some()),
        ("overdue", overdue.is_some()),
        ("numbers-shown", numbers_shown.is_some()),
        ("review-status", review_status.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_stated)| is_stated.then_some(name))
    .collect()
}

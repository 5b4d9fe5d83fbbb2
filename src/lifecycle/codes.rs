//! The closed lists of a referral's and a case's life, and how they map to FHIR R4 `Task`.
//!
//! `Task.status` has the same codes as [`Status`]; [`Reason`] is `Task.statusReason`; [`Business`] is `Task.businessStatus`:
//! what is going on within a status. The contract has what people read for each code, in Dutch and English, and a test holds it to these lists.

use crate::codes::closed_list;

closed_list! {
    /// The status of a referral (FHIR R4 Task codes).
    Status {
        /// Handed over, not yet picked up.
        Requested = "requested",
        /// Picked up.
        Received = "received",
        /// Taken on.
        Accepted = "accepted",
        /// Not taken on.
        Rejected = "rejected",
        /// Called off.
        Cancelled = "cancelled",
        /// Waiting.
        OnHold = "on-hold",
        /// Being worked on.
        InProgress = "in-progress",
        /// Done.
        Completed = "completed",
        /// Ended without result.
        Failed = "failed",
        /// Should not have been there.
        EnteredInError = "entered-in-error",
    }
}

impl Status {
    /// Whether a referral was taken on, and neither called off since nor ended without result: then both parties take part in its case.
    /// `held_from` is where it stood before it had to wait.
    #[must_use]
    pub fn is_taken_on(self, held_from: Option<Self>) -> bool {
        match self {
            Self::Accepted | Self::InProgress | Self::Completed => true,
            Self::OnHold => held_from != Some(Self::Received),
            _ => false,
        }
    }
}

closed_list! {
    /// Why a step was taken.
    Reason {
        /// The resident does not qualify.
        NotEligible = "not-eligible",
        /// There is no room.
        NoCapacity = "no-capacity",
        /// Another organisation is the right one.
        WrongOrganisation = "wrong-organisation",
        /// Too little to go on.
        InsufficientInformation = "insufficient-information",
        /// It was there already.
        Duplicate = "duplicate",
        /// The question has gone.
        NoLongerNeeded = "no-longer-needed",
        /// The resident does not want it any more.
        ResidentWithdrew = "resident-withdrew",
        /// It should not have been sent.
        SentInError = "sent-in-error",
        /// Another organisation goes on with it, by a new referral.
        Reassigned = "reassigned",
        /// The parties cannot act (suspended, or no longer there), or do not.
        PartyCannotAct = "party-cannot-act",
        /// The sender is asked for more.
        InformationRequested = "information-requested",
        /// On the waiting list.
        WaitingList = "waiting-list",
        /// The resident cannot be reached for now.
        ResidentUnreachable = "resident-unreachable",
        /// The resident could not be reached.
        CouldNotBeReached = "could-not-be-reached",
        /// The resident declined.
        ResidentDeclined = "resident-declined",
        /// Taken up again.
        Reopened = "reopened",
        /// About another resident.
        WrongResident = "wrong-resident",
        /// Meant for another organisation.
        WrongRecipient = "wrong-recipient",
        /// The work is nearly done.
        NearlyDone = "nearly-done",
        /// The resident wants to go on.
        ResidentWantsToGoOn = "resident-wants-to-go-on",
        /// Something else.
        Other = "other",
    }
}

closed_list! {
    /// What came of it.
    Outcome {
        /// The resident can go on without help.
        Helped = "helped",
        /// In part.
        PartlyHelped = "partly-helped",
        /// Somebody else goes on.
        ReferredOn = "referred-on",
        /// Not.
        NotHelped = "not-helped",
    }
}

closed_list! {
    /// Why a case is stepped up (opgeschaald).
    StepUpReason {
        /// Somebody let a deadline pass twice.
        Overdue = "overdue",
        /// The parties do not agree on who does what.
        Disagreement = "disagreement",
        /// No organisation takes it on.
        NobodyTakesIt = "nobody-takes-it",
        /// Organisations do not act together.
        LackOfCoordination = "lack-of-coordination",
        /// Something else.
        Other = "other",
    }
}

closed_list! {
    /// What is going on within a status (FHIR `Task.businessStatus`).
    Business {
        /// The recipient takes longer to decide, once.
        UnderExamination = "under-examination",
        /// The sender has asked to call it off; the recipient has not answered.
        CancellationRequested = "cancellation-requested",
        /// The sender goes on with another referral.
        ReferredOn = "referred-on",
        /// Ended by its holder, with an outcome.
        Resolved = "resolved",
        /// The municipality has taken it over.
        SteppedUp = "stepped-up",
        /// The holder has let a deadline pass.
        Overdue = "overdue",
    }
}

closed_list! {
    /// What a step does. Except for the last two it is the name of the sub-resource of the referral that takes it.
    Operation {
        /// `POST …/updates`
        Updates = "updates",
        /// `POST …/supplements`
        Supplements = "supplements",
        /// `POST …/extensions`
        Extensions = "extensions",
        /// `POST …/cancellation-requests`
        CancellationRequests = "cancellation-requests",
        /// `POST …/cancellation-refusals`
        CancellationRefusals = "cancellation-refusals",
        /// `POST …/resolutions`
        Resolutions = "resolutions",
        /// `POST …/re-referrals`, or `POST /v1/referrals` with `basedOn`
        ReReferrals = "re-referrals",
        /// `POST …/step-ups`
        StepUps = "step-ups",
        /// `POST …/reassignments`
        Reassignments = "reassignments",
        /// By the gateway: a party can no longer act, or can again.
        Standing = "standing",
        /// By the gateway: the deadline has passed.
        Deadline = "deadline",
    }
}

//! What the codes of the contract are called in the narration, in Dutch and English.
//!
//! Invariant: a code without a word is shown as it is, never left out.

use super::words::Language;

/// What a referral's status code is called.
#[must_use]
pub fn status(code: &str, language: Language) -> &str {
    match code {
        "requested" => language.pick("aangevraagd", "requested"),
        "received" => language.pick("ontvangen", "received"),
        "accepted" => language.pick("aangenomen", "accepted"),
        "rejected" => language.pick("afgewezen", "rejected"),
        "cancelled" => language.pick("ingetrokken", "cancelled"),
        "on-hold" => language.pick("aangehouden", "on hold"),
        "in-progress" => language.pick("in behandeling", "in progress"),
        "completed" => language.pick("afgerond", "completed"),
        "failed" => language.pick("mislukt", "failed"),
        "entered-in-error" => language.pick("per vergissing verstuurd", "entered in error"),
        other => other,
    }
}

/// What an event is about, without its common beginning and end.
#[must_use]
#[expect(clippy::too_many_lines, reason = "one line for each kind")]
pub fn event(kind: &str, language: Language) -> &str {
    match kind {
        "referral.requested" => language.pick("er is een verwijzing", "there is a referral"),
        "referral.status-updated" => language.pick("er is een stap gezet", "a step was taken"),
        "referral.disclosed" => language.pick("de inhoud is verstrekt", "the content was handed over"),
        "referral.corrected" => language.pick("wat is verstrekt, was onjuist", "what was handed over was wrong"),
        "referral.under-break-glass" => language.pick("onder de noodprocedure", "under break-glass"),
        "referral.deletion-required" => {
            language.pick("wat is ontvangen moet worden gewist", "delete what was received")
        }
        "emergency.declared" => language.pick("de noodprocedure is ingeroepen", "break-glass was declared"),
        "emergency.concluded" | "review.concluded" => {
            language.pick("de beoordeling is afgerond", "the review was concluded")
        }
        "emergency.notification-overdue" | "review.notification-overdue" => {
            language.pick("de inwoner is niet op tijd geïnformeerd", "the resident was not informed in time")
        }
        "veto.overdue" => language.pick("het veto is nog niet opnieuw bekeken", "the veto was not looked at again"),
        "referral.restricted" => language.pick("wat is ontvangen, is beperkt", "what was received is restricted"),
        "referral.restriction-ended" => language.pick("de beperking is voorbij", "the restriction is over"),
        "objection.recorded" => language.pick("er is een bezwaar te wegen", "an objection waits to be weighed"),
        "objection.weighed" => language.pick("het bezwaar is gewogen", "the objection was weighed"),
        "objection.taken-back" => {
            language.pick("de inwoner heeft het bezwaar ingetrokken", "the resident took the objection back")
        }
        "objection.overdue" | "objection.weighing-overdue" => {
            language.pick("het bezwaar is niet op tijd gewogen", "the objection was not weighed in time")
        }
        "informing-duty.overdue" | "informing-duty.neglected" => {
            language.pick("de inwoner is niet op tijd geïnformeerd", "the resident was not informed in time")
        }
        "review.overdue" => language.pick("de beoordeling is te laat", "the review is overdue"),
        "incident.opened" => language.pick("er is een incident geopend", "an incident was opened"),
        "incident.assessment-overdue" => {
            language.pick("een incident is niet op tijd beoordeeld", "an incident was not assessed in time")
        }
        "incident.deletion-overdue" => language.pick(
            "wat per vergissing is ontvangen, is nog niet gewist",
            "what was received by mistake is not deleted yet",
        ),
        "incident.deletion-confirmed" => {
            language.pick("wat per vergissing is ontvangen, is gewist", "what was received by mistake is deleted")
        }
        "referral.overdue" => language.pick("de termijn is verstreken", "the deadline has passed"),
        "case.coordination-offered" => {
            language.pick("u wordt gevraagd om casusregisseur te zijn", "you are asked to coordinate")
        }
        "case.offer-ended" => {
            language.pick("het aanbod van de casusregie geldt niet meer", "the offer to coordinate has ended")
        }
        "case.coordinator-changed" => language.pick("er is een andere casusregisseur", "somebody else coordinates"),
        "case.coordinator-overdue" => language.pick("de casusregisseur is te laat", "the coordinator is too late"),
        "case.participant-invited" => language.pick("u bent uitgenodigd in de casus", "you are invited to the case"),
        "case.participant-left" => language.pick("een deelnemer is eruit", "a participant has left"),
        "case.meeting-called" => {
            language.pick("er is een multidisciplinair overleg", "a multi-disciplinary meeting is called")
        }
        "case.step-up-proposed" => {
            language.pick("de gateway stelt voor om op te schalen", "the gateway proposes to step up")
        }
        "case.stepped-up" => language.pick("de casus is opgeschaald", "the case is stepped up"),
        "case.stepped-up-by-director" => {
            language.pick("de procesregisseur schaalde zelf op", "the process director stepped up by itself")
        }
        "case.overdue-at-municipality" => language
            .pick("de gemeente is zelf te laat met een casus", "the municipality itself is too late with a case"),
        "case.stepped-down" => language.pick("de casus is afgeschaald", "the case is stepped down"),
        "case.closed" => language.pick("de casus is gesloten", "the case is closed"),
        "case.reopened" => language.pick("de casus is weer open", "the case is open again"),
        "handoff.overdue" => language.pick("er is ergens een termijn verstreken", "a deadline has passed somewhere"),
        "handoff.overdue-at-municipality" => {
            language.pick("de gemeente is zelf te laat", "the municipality itself is too late")
        }
        "consent.withdrawn" => language.pick("er is iets ingetrokken", "a record was withdrawn"),
        "consent.confirmation-requested" => {
            language.pick("bevestig wat er met het ontvangene gebeurt", "confirm what becomes of what you received")
        }
        "consent.confirmed" => language.pick("er is bevestigd", "it was confirmed"),
        "consent.confirmation-overdue" => language.pick("er is niet op tijd bevestigd", "it was not confirmed in time"),
        other => other,
    }
}

/// How a confirmation stands.
#[must_use]
pub fn confirmation(code: &str, language: Language) -> &str {
    match code {
        "open" => language.pick("wordt op gewacht", "waited for"),
        "overdue" => language.pick("te laat", "overdue"),
        "deleted" => language.pick("gewist", "deleted"),
        "kept" => language.pick("bewaard op een andere grondslag", "kept on another basis"),
        other => other,
    }
}

/// What an audit record is about.
#[must_use]
pub fn audit_kind(kind: &str, language: Language) -> &str {
    match kind {
        "decision" => language.pick("beslissing", "decision"),
        "disclosure" => language.pick("verstrekking", "disclosure"),
        "status-update" => language.pick("stap", "step"),
        "correction" => language.pick("correctie", "correction"),
        other => step(other, language),
    }
}

/// What a step is called that is no update of the status: of a referral or of a case.
#[must_use]
pub fn step(code: &str, language: Language) -> &str {
    match code {
        "supplements" => language.pick("aanvullen", "supplement"),
        "extensions" => language.pick("langer onderzoeken", "take longer to decide"),
        "cancellation-requests" => language.pick("vragen om te stoppen", "ask to call off"),
        "cancellation-refusals" => language.pick("doorgaan", "go on with the work"),
        "re-referrals" => language.pick("doorverwijzen", "refer on"),
        "resolutions" => language.pick("afsluiten met een uitkomst", "end with an outcome"),
        "step-ups" => language.pick("overdragen aan de gemeente", "hand to the municipality"),
        "reassignments" => language.pick("aan een ander geven", "give to somebody else"),
        "offer-coordination" => language.pick("casusregie aanbieden", "offer the coordination"),
        "accept-coordination" => language.pick("casusregie aannemen", "take on the coordination"),
        "decline-coordination" => language.pick("casusregie afslaan", "decline the coordination"),
        "revoke-offer" => language.pick("het aanbod terugnemen", "take the offer back"),
        "invite" => language.pick("uitnodigen", "invite"),
        "remove" => language.pick("een genodigde verwijderen", "remove an invited party"),
        "leave" => language.pick("eruit gaan", "leave"),
        "step-up" => language.pick("opschalen", "step up"),
        "refuse-step-up" => language.pick("niet opschalen", "not step up"),
        "step-down" => language.pick("afschalen", "step down"),
        "close" => language.pick("sluiten", "close"),
        "propose-step-up" => language.pick("voorstellen om op te schalen", "propose to step up"),
        "replace-coordinator" => language.pick("de casusregisseur vervangen", "replace the coordinator"),
        "deadline" => language.pick("een termijn verstreken", "a deadline passed"),
        "referrals" => language.pick("een termijn of stap in een verwijzing", "a deadline or step in a referral of it"),
        other => status(other, language),
    }
}

/// What an actor is in a case.
#[must_use]
pub fn role(code: &str, language: Language) -> &str {
    match code {
        "coordinator" => language.pick("casusregisseur", "coordinator"),
        "candidate" => language.pick("gevraagd als casusregisseur", "asked to coordinate"),
        "invited" => language.pick("genodigde", "invited"),
        "participant" => language.pick("deelnemer", "participant"),
        "process-director" => language.pick("procesregisseur", "process director"),
        other => other,
    }
}

/// What goes on within a status.
#[must_use]
pub fn business(code: &str, language: Language) -> &str {
    match code {
        "under-examination" => language.pick("nog in onderzoek", "under examination"),
        "cancellation-requested" => language.pick("gevraagd om te stoppen", "asked to call it off"),
        "referred-on" => language.pick("doorverwezen", "referred on"),
        "resolved" => language.pick("afgesloten met een uitkomst", "ended with an outcome"),
        "stepped-up" => language.pick("overgedragen aan de gemeente", "handed to the municipality"),
        "overdue" => language.pick("te laat", "overdue"),
        other => other,
    }
}

/// Why the gateway refused, by the code of the problem; none for a code that no scenario is about.
#[must_use]
pub fn problem(code: &str, language: Language) -> Option<&'static str> {
    let (nl, en) = match code {
        "refused" => ("het convenant staat dit niet toe", "the covenant does not allow this"),
        "disclosure-refused" => ("er mag niets meer worden verstrekt", "nothing may be handed over any more"),
        "not-found" => ("hier is niets voor deze partij", "there is nothing here for this party"),
        "organisation-suspended" => ("de organisatie is geschorst", "the organisation is suspended"),
        "step-not-allowed" => ("deze stap kan nu niet", "this step is not possible now"),
        "invalid-input" => ("het verzoek is niet volledig of niet juist", "the request is incomplete or wrong"),
        "idempotency-key-reused" => ("dit kenmerk hoort bij een ander bericht", "this key belongs to another message"),
        "still-open" => ("er is nog iets open", "something is still open"),
        "already-exists" => ("dit bestaat al", "this exists already"),
        "not-proven" => ("de invarianten zijn niet bewezen", "the invariants are not proven"),
        "conflict" => ("dit kan niet meer", "this is not possible any more"),
        "token-binding" => ("het token hoort bij een ander certificaat", "the token is bound to another certificate"),
        "token-required" => ("er is geen token", "there is no token"),
        "client-certificate-required" => ("er is geen certificaat", "there is no certificate"),
        "insufficient-scope" => ("het token is hiervoor niet bedoeld", "the token is not meant for this"),
        _ => return None,
    };
    Some(match language {
        Language::Nl => nl,
        Language::En => en,
    })
}

/// What the reason of a status, or the outcome of a completed referral, is called.
#[must_use]
pub fn reason(code: &str, language: Language) -> &str {
    match code {
        "not-eligible" => language.pick("komt niet in aanmerking", "not eligible"),
        "no-capacity" => language.pick("geen plaats", "no capacity"),
        "wrong-organisation" => language.pick("verkeerde organisatie", "wrong organisation"),
        "insufficient-information" => language.pick("te weinig gegevens", "insufficient information"),
        "duplicate" => language.pick("dubbel", "duplicate"),
        "no-longer-needed" => language.pick("niet meer nodig", "no longer needed"),
        "resident-withdrew" => language.pick("de inwoner ziet ervan af", "the resident withdrew"),
        "sent-in-error" => language.pick("per vergissing verstuurd", "sent in error"),
        "information-requested" => language.pick("meer informatie gevraagd", "information requested"),
        "waiting-list" => language.pick("wachtlijst", "waiting list"),
        "resident-unreachable" => language.pick("inwoner niet bereikbaar", "resident unreachable"),
        "could-not-be-reached" => language.pick("kon niet worden bereikt", "could not be reached"),
        "resident-declined" => language.pick("de inwoner wil niet", "the resident declined"),
        "reopened" => language.pick("heropend", "reopened"),
        "wrong-resident" => language.pick("verkeerde inwoner", "wrong resident"),
        "wrong-recipient" => language.pick("verkeerde ontvanger", "wrong recipient"),
        "reassigned" => language.pick("aan een ander gegeven", "given to somebody else"),
        "party-cannot-act" => language.pick("de partij kan niet handelen", "the party cannot act"),
        "nearly-done" => language.pick("bijna klaar", "nearly done"),
        "resident-wants-to-go-on" => language.pick("de inwoner wil doorgaan", "the resident wants to go on"),
        "overdue" => language.pick("te laat", "overdue"),
        "disagreement" => language.pick("partijen worden het niet eens", "the parties disagree"),
        "nobody-takes-it" => language.pick("niemand neemt het aan", "nobody takes it on"),
        "lack-of-coordination" => language.pick("partijen werken langs elkaar heen", "lack of coordination"),
        "helped" => language.pick("geholpen", "helped"),
        "partly-helped" => language.pick("deels geholpen", "partly helped"),
        "referred-on" => language.pick("doorverwezen", "referred on"),
        "not-helped" => language.pick("niet geholpen", "not helped"),
        "other" => language.pick("anders", "other"),
        other => other,
    }
}

/// What a kind of record is called.
#[must_use]
pub fn record_kind(code: &str, language: Language) -> &str {
    match code {
        "consent" => language.pick("toestemming", "consent"),
        "secrecy-release" => language.pick("ontheffing van het beroepsgeheim", "release from secrecy"),
        "care-agreement" => language.pick("instemming met hulp", "agreement to be helped"),
        other => other,
    }
}

/// Who gave a record.
#[must_use]
pub fn giver(code: &str, language: Language) -> &str {
    match code {
        "resident" => language.pick("de inwoner zelf", "the resident"),
        "parent" => language.pick("een ouder", "a parent"),
        "parent-and-child" => language.pick("ouder en kind samen", "parent and child together"),
        "representative" => language.pick("een vertegenwoordiger", "a representative"),
        other => other,
    }
}

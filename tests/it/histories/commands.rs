//! Every command that the core knows, as a request of the API; and the core's lists of allowed steps, as commands.

use serde_json::{Value, json};
use sluis::lifecycle::case;
use sluis::lifecycle::referral::{AllowedStep, Command, Operation};
use sluis::lifecycle::{Outcome, Reason, Status, StepUpReason};

use super::cast::{Org, purpose, route};
use super::moves::Pick;

/// Every step that anybody could ask for in a referral, with every reason and outcome, right or wrong.
pub fn every_command() -> Vec<Command> {
    let mut all = Vec::new();
    for status in Status::ALL {
        for reason in std::iter::once(None).chain(Reason::ALL.map(Some)) {
            all.push(Command::Update { status, reason, outcome: None });
        }
        all.extend(Outcome::ALL.map(|outcome| Command::Update { status, reason: None, outcome: Some(outcome) }));
    }
    all.extend(Reason::ALL.map(Command::AskCancellation));
    all.extend(Reason::ALL.map(Command::RefuseCancellation));
    // As often as all the reasons together.
    for _ in 0..6 {
        all.extend(Outcome::ALL.map(Command::Resolve));
        for _ in 0..4 {
            all.extend([Command::Supplement, Command::Extend, Command::ReferOn, Command::StepUp, Command::Reassign]);
        }
    }
    all
}

/// What a line of the list of allowed steps asks for; `detail` says which of its reasons and outcomes. None where it is the gateway's own.
pub fn of_line(line: &AllowedStep, detail: Pick) -> Option<Command> {
    let outcome = Outcome::ALL[detail.of(Outcome::ALL.len())];
    let reason = (!line.status_reasons.is_empty()).then(|| line.status_reasons[detail.of(line.status_reasons.len())]);
    Some(match line.operation {
        Operation::Updates => {
            let status = line.status?;
            Command::Update { status, reason, outcome: (status == Status::Completed).then_some(outcome) }
        }
        Operation::Supplements => Command::Supplement,
        Operation::Extensions => Command::Extend,
        Operation::CancellationRequests => Command::AskCancellation(reason?),
        Operation::CancellationRefusals => Command::RefuseCancellation(reason?),
        Operation::Resolutions => Command::Resolve(outcome),
        Operation::ReReferrals => Command::ReferOn,
        Operation::StepUps => Command::StepUp,
        Operation::Reassignments => Command::Reassign,
        Operation::Standing | Operation::Deadline => return None,
    })
}

/// Whether the step opens another referral.
pub const fn goes_on(command: &Command) -> bool {
    matches!(command, Command::ReferOn | Command::Reassign)
}

pub fn section(category: &str) -> Value {
    json!({ "category": category, "content": { "text": format!("about {category}") } })
}

/// The body of the request that asks for a step; `(sender, on_to)` for one that opens another referral.
pub fn body(command: &Command, (sender, on_to): (Org, Org)) -> Value {
    match command {
        Command::Update { status, reason, outcome } => {
            json!({ "status": status, "statusReason": reason, "outcome": outcome, "onWithheld": "reject" })
        }
        Command::Supplement => json!({ "sections": [section("contact")], "onWithheld": "reject" }),
        Command::Extend => json!({ "businessStatus": "under-examination" }),
        Command::AskCancellation(reason) | Command::RefuseCancellation(reason) => json!({ "statusReason": reason }),
        Command::Resolve(outcome) => json!({ "outcome": outcome }),
        Command::ReferOn | Command::Reassign => {
            let basis = route(sender, on_to).map_or("consent", |(_, basis)| basis);
            json!({ "recipient": on_to.oin(), "purpose": purpose(on_to), "legalBasis": basis, "onWithheld": "reject" })
        }
        Command::StepUp => json!({ "businessStatus": "stepped-up" }),
        Command::Standing(_) | Command::DeadlinePassed => json!({}),
    }
}

/// Every step that an organisation could ask for in a case.
pub fn every_case_command() -> Vec<case::Command<Org>> {
    use case::Command as C;
    let mut all = vec![C::AcceptCoordination, C::DeclineCoordination, C::RevokeOffer, C::Leave];
    all.extend([C::RefuseStepUp, C::StepDown, C::Close]);
    all.extend(StepUpReason::ALL.map(C::StepUp));
    all.extend(Org::ALL.into_iter().flat_map(|org| [C::OfferCoordination(org), C::Invite(org), C::Remove(org)]));
    all
}

/// The sub-resource of a case, and the body, that ask for a step.
pub fn case_request(command: &case::Command<Org>, by: Org) -> (String, Option<Value>) {
    use case::Command as C;
    let naming = |who: &Org| Some(json!({ "organisation": who.oin() }));
    match command {
        C::OfferCoordination(who) => ("coordinators".into(), naming(who)),
        C::AcceptCoordination => ("coordinators/acceptances".into(), None),
        C::DeclineCoordination => ("coordinators/refusals".into(), None),
        C::RevokeOffer => ("coordinators/revocations".into(), None),
        C::Invite(who) => ("participants".into(), naming(who)),
        C::Remove(who) => (format!("participants/{}/removals", who.oin()), None),
        C::Leave => (format!("participants/{}/removals", by.oin()), None),
        C::StepUp(reason) => ("step-ups".into(), Some(json!({ "reason": reason }))),
        C::RefuseStepUp => ("step-ups/refusals".into(), None),
        C::StepDown => ("step-downs".into(), None),
        C::Close => ("closures".into(), None),
        C::ProposeStepUp | C::ReplaceCoordinator(_) | C::Referrals { .. } | C::DeadlinePassed => (String::new(), None),
    }
}

/// The organisation that must be there and active for a step in a case.
pub const fn names(command: &case::Command<Org>) -> Option<Org> {
    match command {
        case::Command::OfferCoordination(who) | case::Command::Invite(who) => Some(*who),
        _ => None,
    }
}

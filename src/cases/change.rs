//! A change of one case: steps taken by the table, then everything that one transaction writes of them.
//!
//! Invariants: what is written is what [`crate::lifecycle::case`] answered; two changes from the same version never both succeed; every change
//! raises the case's revision, so that whatever was decided on it before is decided again; what is told of a case belongs to nobody's trace;
//! whoever is only invited, or no longer, hears of that and of nothing else.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::accession;
use super::news::{News, Told};
use super::store::{self, Event};
use super::types::{Rules, Whole};
use super::view;
use crate::app::App;
use crate::audit::{self, Kind, Record, SealedRecord};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::{NoEntropy, Oin};
use crate::lifecycle::case::{Case, Command, Happened, Operation, Refusal};
use crate::organisations::Role;
use crate::problem::Problem;
use crate::relay::{self, Addressee, CaseNews, Happening};
use crate::storage::{Ground, Tx, revisions};

/// On whose behalf a case changes.
#[derive(Clone)]
pub(super) struct Origin {
    /// The organisation; none for the gateway.
    by: Option<Oin>,
    /// A record with who asked and the trace filled in.
    record: Option<Record>,
}

impl Origin {
    /// A caller.
    pub(super) fn of(call: &Call) -> Result<Self, Problem> {
        let by = call.caller()?.organisation.clone();
        let record = call.record(Kind::Case, by.clone(), call.app.now())?;
        Ok(Self { by: Some(by), record: Some(record) })
    }

    /// The gateway, because of a step in a referral or by its clock.
    pub(super) const fn gateway() -> Self {
        Self { by: None, record: None }
    }
}

/// What the audit log keeps of a step.
#[derive(Clone)]
struct Noted {
    operation: Operation,
    /// How the log names it.
    action: &'static str,
    /// Whose step it was, or whom it concerned.
    organisation: Oin,
    other: Option<Oin>,
    reason: Option<&'static str>,
    /// What the privacy officer is told beside it.
    report: Option<Report>,
}

/// What is reported to the municipality's privacy officer, with the record that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    /// The process director stepped up without the coordinator.
    SteppedUp,
    /// The municipality let a deadline pass, as coordinator or as process director.
    Overdue,
}

/// A change under way.
#[derive(Clone)]
pub(super) struct Change {
    app: App,
    rules: Rules,
    origin: Origin,
    now: Timestamp,
    before: Case<Oin>,
    whole: Whole,
    news: News,
    history: Vec<Event>,
    noted: Vec<Noted>,
}

/// A new name for a case. Those of one case are often made at one moment, of which only the day is in them.
///
/// # Errors
/// When the operating system gives no random bytes.
pub(super) fn new_alias(app: &App) -> Result<Uuid, NoEntropy> {
    app.entropy.uuid(view::day_of(app.now()))
}

/// What names the case's key to a transaction that may raise it.
pub(super) fn raising(id: Uuid) -> Ground {
    Ground::raising(revisions::case(id))
}

/// The organisation that a command names.
const fn named(command: &Command<Oin>) -> Option<&Oin> {
    match command {
        Command::OfferCoordination(who)
        | Command::Invite(who)
        | Command::Remove(who)
        | Command::ReplaceCoordinator(who) => Some(who),
        _ => None,
    }
}

impl Change {
    pub(super) fn of(app: &App, rules: &Rules, origin: Origin, whole: Whole, now: Timestamp) -> Self {
        Self {
            app: app.clone(),
            rules: rules.clone(),
            origin,
            now,
            before: whole.kept.case.clone(),
            whole,
            news: News::new(),
            history: Vec::new(),
            noted: Vec::new(),
        }
    }

    /// The case as it stands after the steps so far.
    pub(super) const fn whole(&self) -> &Whole {
        &self.whole
    }

    /// Takes a step.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing has changed.
    pub(super) fn take(&mut self, command: &Command<Oin>) -> Result<(), Refusal> {
        let before = self.whole.kept.case.clone();
        let situation = self.whole.situation(&self.rules, self.now);
        let taken = before.step(self.origin.by.as_ref(), command, &situation, &self.rules.terms, self.now)?;
        self.whole.kept.case = taken.case;
        let told = Told {
            before: &before,
            after: &self.whole,
            by: self.origin.by.as_ref(),
            named: named(command),
            rules: &self.rules,
            now: self.now,
        };
        self.news.extend(taken.happened.iter().flat_map(|happened| told.news(happened)));
        self.history.extend(told.history(&taken.happened));
        self.note_passed(&before, &taken.happened);
        let operation = command.operation();
        let is_of_clock = |happened: &Happened<Oin>| {
            matches!(
                happened,
                Happened::Step(_)
                    | Happened::OfferLapsed(_)
                    | Happened::CoordinatorOverdue
                    | Happened::DirectorOverdue
                    | Happened::SteppedDown
            )
        };
        let silent = operation == Operation::Deadline
            || (operation == Operation::Referrals && taken.happened.iter().all(is_of_clock));
        if !silent {
            let organisation = self.origin.by.clone().unwrap_or_else(|| before.coordinator.clone());
            let reason = if let Command::StepUp(reason) = command { Some(reason.as_str()) } else { None };
            let report = taken.happened.contains(&Happened::SteppedUpByDirector).then_some(Report::SteppedUp);
            let (action, other) = (operation.as_str(), named(command).cloned());
            self.noted.push(Noted { operation, action, organisation, other, reason, report });
        }
        Ok(())
    }

    /// Notes the deadlines that have passed. Each is one and the same record, whoever finds it: the watch over cases or somebody's step.
    fn note_passed(&mut self, before: &Case<Oin>, happened: &[Happened<Oin>]) {
        let municipality = &self.rules.municipality;
        let mut settled = before.settled(&self.rules.terms, self.now);
        let director_late = happened.contains(&Happened::DirectorOverdue);
        if director_late {
            // Whether anything else has passed.
            settled.proposal = before.proposal;
        }
        let by_coordinator = happened.contains(&Happened::CoordinatorOverdue) && before.coordinator == *municipality;
        let reported = |is: bool| is.then_some(Report::Overdue);
        let note = |organisation: &Oin, report| {
            let operation = Operation::Deadline;
            let action = operation.as_str();
            Noted { operation, action, organisation: organisation.clone(), other: None, reason: None, report }
        };
        let mut noted = Vec::new();
        noted.extend((settled != *before).then(|| note(&before.coordinator, reported(by_coordinator))));
        noted.extend(director_late.then(|| note(municipality, reported(true))));
        self.noted.extend(noted);
    }

    /// Asks an organisation to a meeting, whether or not it is also invited by that: both have a record of it.
    pub(super) fn call_to_meeting(&mut self, by: Oin, to: Oin) {
        self.news.push((to.clone(), CaseNews::MeetingCalled));
        let (operation, action) = (Operation::Invite, "call-meeting");
        self.noted.push(Noted { operation, action, organisation: by, other: Some(to), reason: None, report: None });
    }

    /// Writes it; answers the case afterwards. Where nothing has changed nothing is written.
    ///
    /// # Errors
    /// [`Problem::stale`] when another change came first.
    pub(super) async fn write(mut self, tx: &mut Tx) -> Result<Whole, Problem> {
        let kept = &mut self.whole.kept;
        if kept.case == self.before && self.news.is_empty() && self.noted.is_empty() {
            return Ok(self.whole);
        }
        let from_version = kept.version;
        kept.version += 1;
        let (id, version) = (kept.id, kept.version);
        if !store::advance(tx, kept, from_version).await? {
            return Err(Problem::stale());
        }
        // As it was before the step: who is removed by it hears of that.
        let outside = if self.news.is_empty() && self.noted.iter().all(|noted| noted.other.is_none()) {
            BTreeSet::new()
        } else {
            accession::outside(tx, &self.rules.version, &self.whole, &self.before).await?
        };
        let (kept, name) = (&self.whole.kept, || self.app.new_id());
        store::invite(tx, id, &self.before.invited, &kept.case.invited, name, self.now).await?;
        revisions::bump(tx, &revisions::case(id));
        store::remember(tx, id, version, &self.history);
        for (organisation, news) in std::mem::take(&mut self.news) {
            let news = if outside.contains(&organisation) { news.for_outsider(&organisation) } else { Some(news) };
            let Some(news) = news else { continue };
            let case = store::involve(tx, id, &organisation, new_alias(&self.app)?).await?;
            let visible = !self.whole.roles(&organisation, &self.rules, self.now).is_empty();
            self.publish(tx, organisation.into(), Happening::Case { case, news, visible })?;
        }
        for noted in &self.noted {
            let record = self.record(tx, noted, &outside).await?;
            if let Some(report) = noted.report {
                let municipality = &self.rules.municipality;
                let case = store::involve(tx, id, municipality, new_alias(&self.app)?).await?;
                let officer = Addressee::role(municipality.clone(), Role::PrivacyOfficer);
                let happening = match report {
                    Report::SteppedUp => Happening::CaseSteppedUpByDirector { case, record },
                    Report::Overdue => Happening::CaseOverdueAtMunicipality { case, record },
                };
                self.publish(tx, officer, happening)?;
            }
        }
        Ok(self.whole)
    }

    fn publish(&self, tx: &mut Tx, to: Addressee, happening: Happening) -> Result<(), NoEntropy> {
        // Of several who are told none may recognise the case by what the others are told: it belongs to no trace.
        let event = relay::Event { id: self.app.new_id()?, to, happening, time: self.now, trace_parent: None };
        relay::enqueue(tx, &event);
        Ok(())
    }

    /// The record of whose step it was, and that of the organisation that it names; which does not name who took it where that
    /// organisation is kept outside. Answers the first.
    async fn record(&self, tx: &mut Tx, noted: &Noted, outside: &BTreeSet<Oin>) -> Result<Uuid, Problem> {
        let Noted { operation, action, organisation, other, reason, .. } = noted;
        let own = match &self.origin.record {
            // That a deadline passed was the clock's doing, not that of who found it.
            Some(record) if *operation != Operation::Deadline => Record { id: self.app.new_id()?, ..record.clone() },
            _ => Record::new(self.app.new_id()?, Kind::Case, self.now, organisation.clone()),
        };
        let id = own.id;
        let mut records = vec![own];
        if let Some(other) = other.as_ref().filter(|other| *other != organisation) {
            records.push(Record::new(self.app.new_id()?, Kind::Case, self.now, other.clone()));
        }
        for mut record in records {
            let alias = store::involve(tx, self.whole.kept.id, &record.organisation, new_alias(&self.app)?).await?;
            record.action = Some((*action).to_owned());
            record.resource = Some(format!("/v1/cases/{alias}"));
            let is_kept_out = outside.contains(&record.organisation) && record.organisation != *organisation;
            record.sender = Some(organisation.clone()).filter(|_| !is_kept_out);
            record.recipient.clone_from(other);
            record.status_reason = reason.map(str::to_owned);
            audit::write(tx, &SealedRecord::new(&record, &self.app.entropy, &self.app.sealer)?);
        }
        Ok(id)
    }
}

/// Notes how many referrals of a case are open now; nothing where that makes no difference.
pub(super) fn count_open(change: &mut Change) -> Result<(), Problem> {
    let open = change.whole().open;
    change.take(&Command::Referrals { open }).map_err(|_| Problem::internal("a case refused to count its referrals"))
}

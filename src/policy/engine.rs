//! The policy engine: pure and total, a request in, a decision out.
//!
//! Cedar's answer over the rules that can apply is the effect. Which rules are named is worked out from the same answer:
//! of the rules that fired, those of the most fundamental hundred of `@order`, because a remedy for a consent is no help
//! where the category never crosses.
//!
//! Invariants: a request that does not fit the schema, and any evaluation error, is a refusal; a permit is never
//! reported together with a rule that fired; an answer that was remembered is the one that would be worked out again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::codes::Code;
use super::decision::{Answer, Decision, Effect, Remedy, SectionDecision};
use super::facts::{Fact, Facts, Matches, Question};
use super::generate::GeneratedPermit;
use super::load::{Loaded, load};
use super::memo::Memo;
use super::registry::{HELD_ELSEWHERE, NOTHING_WITHOUT_A_ROW, REFUSED_WHEN_NOT_EVALUABLE, ROW_ORDER, RuleText};
use super::request::{Action, AgeGroup, Request, SubjectFacts};
use super::rules::{Rules, Verdict};
use crate::clock::Timestamp;
use crate::covenant::{
    BasisKind, Bundle, CategoryCode, CategoryGroup, Covenant, Finding, Findings, PolicyDigest, PurposeCode, Row,
};

/// How many answers an engine remembers: a few hundred bytes each, so 20 MB at the very most.
const REMEMBERED: usize = 32_768;

/// The rules of one covenant version, ready to decide.
pub struct Engine {
    covenant: Covenant,
    digest: PolicyDigest,
    generated: Vec<GeneratedPermit>,
    texts: BTreeMap<String, RuleText>,
    /// The places of the rows in the covenant, by purpose.
    rows: HashMap<PurposeCode, Vec<usize>>,
    rules: Rules,
    memo: Memo,
    not_evaluable: Arc<Answer>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("version", &self.covenant.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads and checks the covenant and the rules of a bundle.
    ///
    /// # Errors
    /// [`Findings`] with everything that is wrong: syntax, types, missing annotations, and codes that the covenant lacks.
    pub fn new(bundle: &Bundle) -> Result<Self, Findings> {
        Self::remembering(bundle, REMEMBERED)
    }

    /// The same as if this version had ruled at every moment: to take past decisions again under a draft, whenever it takes effect.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn of_draft(bundle: &Bundle) -> Result<Self, Findings> {
        let mut engine = Self::new(bundle)?;
        engine.covenant.effective_from = Timestamp::from_micros(i64::MIN);
        Ok(engine)
    }

    /// The same with a memory of at most so many answers; 0 works every answer out anew.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn remembering(bundle: &Bundle, answers: usize) -> Result<Self, Findings> {
        let Loaded { covenant, vocabulary, schema, entities, generated, permits, forbids, rules: texts } =
            load(bundle)?;
        let rules = Rules::new(vocabulary, schema, entities, permits.into_iter().chain(forbids))
            .map_err(|message| Findings(vec![Finding::new("the rules together", message)]))?;
        let rows = rows_by_purpose(&covenant);
        let not_evaluable = Answer {
            effect: Effect::Withhold,
            code: Some(Code::NotEvaluable),
            rules: vec![REFUSED_WHEN_NOT_EVALUABLE.to_owned()],
            remedies: Vec::new(),
        };
        Ok(Self {
            digest: bundle.digest().clone(),
            covenant,
            generated,
            texts,
            rows,
            rules,
            memo: Memo::of(answers),
            not_evaluable: Arc::new(not_evaluable),
        })
    }

    /// The covenant that decides.
    #[must_use]
    pub fn covenant(&self) -> &Covenant {
        &self.covenant
    }

    /// The digest of covenant, schema and rules.
    #[must_use]
    pub fn digest(&self) -> &PolicyDigest {
        &self.digest
    }

    /// The rules that are policies, by id.
    #[must_use]
    pub fn rules(&self) -> &BTreeMap<String, RuleText> {
        &self.texts
    }

    /// Whether what may be given for this purpose depends on the case.
    #[must_use]
    pub fn weighs_case(&self, purpose: &PurposeCode) -> bool {
        self.rules.weigh_case(purpose.as_str())
    }

    /// How many answers it remembers at this moment.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.memo.len()
    }

    /// The Cedar text of the permits that the rows of the covenant stand for.
    #[must_use]
    pub fn generated_permits(&self) -> String {
        self.generated.iter().map(GeneratedPermit::text).collect::<Vec<_>>().join("\n")
    }

    /// Decides on every section of the request.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        self.decide_with(request, |facts| self.remembered_answer(facts))
    }

    /// Decides without what is remembered, and remembers nothing: for comparing and for measuring. The same decision.
    #[must_use]
    pub fn decide_anew(&self, request: &Request) -> Decision {
        self.decide_with(request, |facts| self.answer(facts))
    }

    fn decide_with(&self, request: &Request, answer_to: impl Fn(&Facts) -> Arc<Answer>) -> Decision {
        let question = Question::new(&self.covenant, self.rules.vocabulary(), request);
        let section = |category| {
            let matches = question.matches(category);
            let facts = question.facts(category, &matches);
            let answer = facts.as_ref().map_or_else(|| Arc::clone(&self.not_evaluable), &answer_to);
            let consents = match facts {
                Some(facts) if answer.effect == Effect::Permit => self.relied_on(&facts, matches),
                _ => Vec::new(),
            };
            let answer = self.for_any_age(request, category, answer, &answer_to);
            SectionDecision { category: category.clone(), answer, consents }
        };
        Decision {
            covenant_version: self.covenant.version.clone(),
            policy_digest: self.digest.clone(),
            sections: request.sections.iter().map(section).collect(),
            giver: request.giver.clone(),
            receiver: request.receiver.clone(),
        }
    }

    /// Without an age group no record counts, whatever there is. So of what would have to be recorded only that is told which is missing whatever the age:
    /// nobody is told to record what may be there.
    fn for_any_age(
        &self,
        request: &Request,
        category: &CategoryCode,
        answer: Arc<Answer>,
        answer_to: &impl Fn(&Facts) -> Arc<Answer>,
    ) -> Arc<Answer> {
        if request.subject.age_group.is_some() || answer.remedies.len() < 2 {
            return answer;
        }
        let mut told = Vec::new();
        for age_group in AgeGroup::ALL {
            let subject = SubjectFacts { age_group: Some(age_group), ..request.subject };
            let request = Request { subject, ..request.clone() };
            let question = Question::new(&self.covenant, self.rules.vocabulary(), &request);
            let facts = question.facts(category, &question.matches(category));
            told.push(facts.map_or_else(|| Arc::clone(&self.not_evaluable), |facts| answer_to(&facts)));
        }
        let certain = |remedy: &&Remedy| {
            let of_age = |answer: &Arc<Answer>| answer.remedies.contains(*remedy);
            told.iter().all(of_age) || !told.iter().any(of_age)
        };
        let remedies = answer.remedies.iter().filter(certain).cloned().collect();
        Arc::new(Answer { remedies, ..Answer::clone(&answer) })
    }

    pub(super) fn remembered_answer(&self, facts: &Facts) -> Arc<Answer> {
        if let Some(answer) = self.memo.get(facts) {
            return answer;
        }
        let answer = self.answer(facts);
        // What could not be evaluated may depend on the moment (such as the depth of the stack) and is tried again.
        if !Arc::ptr_eq(&answer, &self.not_evaluable) {
            self.memo.keep(*facts, &answer);
        }
        answer
    }

    /// Works out the answer to these facts.
    pub(super) fn answer(&self, facts: &Facts) -> Arc<Answer> {
        self.answer_to(facts, self.rules.ask(facts))
    }

    /// What this engine answers when Cedar says so.
    pub(super) fn answer_to(&self, facts: &Facts, verdict: Verdict) -> Arc<Answer> {
        match verdict {
            Verdict::NotEvaluable => Arc::clone(&self.not_evaluable),
            Verdict::Permitted(rules) => {
                Arc::new(Answer { effect: Effect::Permit, code: None, rules, remedies: Vec::new() })
            }
            Verdict::Withheld { fired, row } => {
                let (code, rules, remedies) = self.name_refusal(facts, &fired, row);
                Arc::new(Answer { effect: Effect::Withhold, code: Some(code), rules, remedies })
            }
        }
    }

    fn code(&self, facts: &Facts, fact: Fact) -> &str {
        self.rules.vocabulary().code(fact, facts.number(fact))
    }

    /// Which reason and rules are named for a refusal: those of the most fundamental hundred; and all that would mend it.
    fn name_refusal(&self, facts: &Facts, fired: &[String], row: bool) -> (Code, Vec<String>, Vec<Remedy>) {
        let mut rules: Vec<_> = fired.iter().filter_map(|id| self.texts.get(id)).collect();
        rules.sort_by_key(|rule| rule.order);
        let first = rules.first().filter(|rule| row || rule.order < ROW_ORDER);
        let Some((first, code)) = first.and_then(|rule| Some((rule, rule.code?))) else {
            return (self.why_no_row(facts), vec![NOTHING_WITHOUT_A_ROW.to_owned()], Vec::new());
        };
        let together = rules.iter().filter(|rule| rule.order / 100 == first.order / 100);
        let remedies = if row { self.remedies(facts, &rules) } else { Vec::new() };
        (code, together.map(|rule| rule.id.clone()).collect(), remedies)
    }

    /// Everything that has to be done so that none of these rules fires any more, of whichever hundred they are: whoever goes back to the resident goes
    /// once. Empty where one of them cannot be mended: then the others need not be either.
    fn remedies(&self, facts: &Facts, fired: &[&RuleText]) -> Vec<Remedy> {
        let note = self.code(facts, Fact::Action) == Action::Note.as_str();
        let basis = self.covenant.basis(self.code(facts, Fact::Basis));
        let emergency = basis.is_some_and(|basis| basis.kind == BasisKind::VitalInterest);
        let of_rule = |rule: &'_ &RuleText| {
            let in_emergency = rule.remedy_in_emergency.as_ref().filter(|_| emergency);
            let of_note = rule.remedy_of_note.as_ref().filter(|_| note);
            in_emergency.or(of_note).or(rule.remedy.as_ref()).cloned()
        };
        let Some(all) = fired.iter().map(of_rule).collect::<Option<Vec<_>>>() else { return Vec::new() };
        let covered = |remedy: &Remedy| fired.iter().any(|rule| rule.remedy_covers.contains(&remedy.code));
        let needed = all.into_iter().filter(|remedy| !covered(remedy));
        needed
            .map(|Remedy { code, nl, en }| Remedy { code, nl: self.fill(&nl, facts), en: self.fill(&en, facts) })
            .collect()
    }

    /// The first thing of purpose, route, category and basis that no row has.
    fn why_no_row(&self, facts: &Facts) -> Code {
        let code = |fact| self.code(facts, fact);
        let purpose = self.covenant.purpose(code(Fact::Purpose));
        if purpose.is_some_and(|purpose| purpose.phase.as_str() != code(Fact::Phase)) {
            return Code::PhaseNotAllowed;
        }
        let places = purpose.and_then(|purpose| self.rows.get(&purpose.id)).into_iter().flatten();
        let (sender, recipient, category) = (code(Fact::Sender), code(Fact::Recipient), code(Fact::Category));
        let core = self.covenant.category(category).is_some_and(|found| found.is(CategoryGroup::Core));
        let on_route: Vec<&Row> = places
            .filter_map(|place| self.covenant.rows.get(*place))
            .filter(|row| self.covenant.names(&row.to, recipient) && self.covenant.names(&row.from, sender))
            .collect();
        let with_category =
            |row: &&Row| (row.core && core) || row.categories.iter().any(|one| one.as_str() == category);
        if on_route.is_empty() {
            Code::RouteNotAllowed
        } else if !on_route.iter().any(with_category) {
            Code::CategoryNotAllowed
        } else {
            Code::BasisNotAllowed
        }
    }

    fn fill(&self, template: &str, facts: &Facts) -> String {
        [
            ("{giver}", self.code(facts, Fact::Giver)),
            ("{receiver}", self.code(facts, Fact::Receiver)),
            ("{sender}", self.code(facts, Fact::Sender)),
            ("{recipient}", self.code(facts, Fact::Recipient)),
            ("{purpose}", self.code(facts, Fact::Purpose)),
            ("{category}", self.code(facts, Fact::Category)),
            ("{version}", &self.covenant.version),
        ]
        .iter()
        .fold(template.to_owned(), |text, (open, value)| text.replace(open, value))
    }

    /// The records that a permitted section rests on: of each kind that its basis, category or giver asks for.
    fn relied_on(&self, facts: &Facts, matches: Matches) -> Vec<uuid::Uuid> {
        if matches == Matches::default() {
            return Vec::new();
        }
        let (covenant, code) = (&self.covenant, |fact| self.code(facts, fact));
        let special =
            covenant.category(code(Fact::Category)).is_some_and(|category| category.is(CategoryGroup::Special));
        let consent = covenant.basis(code(Fact::Basis)).is_some_and(|basis| basis.kind == BasisKind::Consent);
        let secrecy = covenant.party(code(Fact::Giver)).is_some_and(|party| party.secrecy_source.is_some());
        let agreement = covenant.purpose(code(Fact::Purpose)).is_some_and(|purpose| purpose.needs_care_agreement);
        let mut ids = Vec::new();
        for (asked, found) in [
            (consent, matches.consents),
            (special, matches.explicit_consents),
            (secrecy, matches.releases),
            (agreement, matches.agreements),
        ] {
            if asked {
                ids.extend(found);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The sentence of a rule, Dutch and English: of a policy or of a rule held elsewhere.
    #[must_use]
    pub fn sentences(&self, id: &str) -> Option<(&str, &str)> {
        let policy = self.texts.get(id).map(|rule| (rule.nl.as_str(), rule.en.as_str()));
        policy.or_else(|| HELD_ELSEWHERE.iter().find(|rule| rule.id == id).map(|rule| (rule.nl, rule.en)))
    }

    /// The same with another covenant and other rules, for the tests that change them one by one. It remembers nothing.
    #[cfg(test)]
    pub(super) fn changed(&self, covenant: Covenant, generated: Vec<GeneratedPermit>, rules: Rules) -> Self {
        Self {
            digest: self.digest.clone(),
            rows: rows_by_purpose(&covenant),
            covenant,
            generated,
            texts: self.texts.clone(),
            rules,
            memo: Memo::of(0),
            not_evaluable: Arc::clone(&self.not_evaluable),
        }
    }

    /// The permits that the rows stand for.
    pub(super) fn generated(&self) -> &[GeneratedPermit] {
        &self.generated
    }

    /// The rules themselves, for what compares them with what is decided or proves something of them.
    pub(super) const fn loaded_rules(&self) -> &Rules {
        &self.rules
    }
}

fn rows_by_purpose(covenant: &Covenant) -> HashMap<PurposeCode, Vec<usize>> {
    let mut rows: HashMap<_, Vec<_>> = HashMap::new();
    for (place, row) in covenant.rows.iter().enumerate() {
        rows.entry(row.purpose.clone()).or_default().push(place);
    }
    rows
}

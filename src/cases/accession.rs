//! Incidental accession: signing the covenant for one case, by whom its coordinator invited; and what that makes of it.
//!
//! What a signature is good for is [`crate::covenant::Accession`]'s to say; here it is read and stored. Invariants: a signature answers one
//! invitation and ends with it; whatever changes it raises the case's revision; nobody but the case's coordinator and the signer hears of it.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::change::{new_alias, raising};
use super::store;
use super::types::Whole;
use crate::app::App;
use crate::args;
use crate::audit::{self, Kind, Record, SealedRecord};
use crate::covenant::{self, Signature, Standings, Tie};
use crate::ids::Oin;
use crate::problem::Problem;
use crate::relay::{self, CaseNews, Happening};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Args, Error, Ground, Query, Tx};

/// An invitation that stands, which its organisation answers by signing.
#[derive(Clone)]
pub struct Invitation {
    case: Uuid,
    alias: Uuid,
    id: String,
    revisions: Revisions,
}

impl Invitation {
    /// That of an organisation to the case that it knows by this alias.
    ///
    /// # Errors
    /// 400 where there is none, whether the case is another one's, was closed, or does not exist.
    pub async fn of(app: &App, organisation: &Oin, alias: Uuid) -> Result<Self, Problem> {
        let unknown = || {
            let reason = "expected the id of a case to which your organisation is invited; there is none with this id";
            Problem::invalid_param("caseId", "unknown", reason)
        };
        let query = &mut app.db.reader();
        let case = store::of_alias(query, alias, organisation).await?.ok_or_else(unknown)?;
        let mut revisions = Revisions::default();
        revisions.read_also(query, revisions::case(case)).await?;
        let sql = "SELECT id FROM case_invitations WHERE case_id = $1 AND organisation = $2";
        let id = query.row(sql, args![case, organisation]).await?.ok_or_else(unknown)?.text("id")?;
        Ok(Self { case, alias, id, revisions })
    }

    /// What an answer to it rests on.
    #[must_use]
    pub fn ground(&self) -> Ground {
        Ground { revisions: self.revisions.clone(), ..raising(self.case) }
    }

    /// Stores the signature that answers it.
    ///
    /// # Errors
    /// 409 when it was answered for this version already.
    pub async fn accept(&self, tx: &mut Tx, app: &App, version: &str, signature: &Signature) -> Result<(), Problem> {
        let Signature { organisation, jws, thumbprint, signed_at } = signature;
        let sql = "INSERT INTO covenant_case_signatures (id, case_id, organisation, invitation, version, alias, jws, thumbprint, signed_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (case_id, organisation, invitation, version) DO NOTHING";
        let id = app.new_id()?;
        let row = args![id, self.case, organisation, &self.id, version, self.alias, jws, thumbprint, *signed_at];
        if tx.execute(sql, row).await? == 0 {
            return Err(covenant::signed_already());
        }
        revisions::bump(tx, &revisions::case(self.case));
        let coordinator = store::coordinator(tx, self.case).await?;
        let coordinator = coordinator.ok_or_else(|| Problem::internal("an invitation to a case that is not there"))?;
        for reader in [&coordinator, organisation] {
            let case = store::involve(tx, self.case, reader, new_alias(app)?).await?;
            let news = CaseNews::ParticipantSigned { organisation: organisation.clone() };
            let event = relay::Event {
                id: app.new_id()?,
                to: reader.clone().into(),
                happening: Happening::Case { case, news, visible: true },
                time: *signed_at,
                trace_parent: None,
            };
            relay::enqueue(tx, &event);
        }
        let alias = store::involve(tx, self.case, &coordinator, new_alias(app)?).await?;
        let mut record = Record::new(app.new_id()?, Kind::Case, *signed_at, coordinator);
        record.action = Some("participant-signed".to_owned());
        record.resource = Some(format!("/v1/cases/{alias}"));
        record.sender = Some(organisation.clone());
        record.covenant_version = Some(version.to_owned());
        audit::write(tx, &SealedRecord::new(&record, &app.entropy, &app.sealer)?);
        Ok(())
    }
}

/// Adds what organisations have to do with these cases by invitation.
///
/// # Errors
/// When the database fails.
pub async fn tie(
    query: &mut impl Query,
    standings: &mut Standings,
    cases: impl IntoIterator<Item = Uuid>,
) -> Result<(), Error> {
    let cases: Vec<Uuid> = cases.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    for some in cases.chunks(AT_ONCE) {
        for (case, organisation, tie) in ties(query, &standings.version, some).await? {
            standings.tie(case, [(organisation, tie)]);
        }
    }
    Ok(())
}

/// How many cases are asked for in one statement.
const AT_ONCE: usize = 10;

/// What organisations have to do with at most [`AT_ONCE`] cases by invitation, under one version of the covenant.
async fn ties(query: &mut impl Query, version: &str, cases: &[Uuid]) -> Result<Vec<(Uuid, Oin, Tie)>, Error> {
    // What is left of the places names the last one again.
    let last = cases.last().copied();
    let places = || (0..AT_ONCE).map(|place| cases.get(place).copied().or(last).into());
    let ended = "SELECT DISTINCT case_id, organisation FROM covenant_case_signatures \
                 WHERE case_id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let ended = query.rows(ended, places().collect()).await?;
    let invited = "SELECT i.case_id AS case_id, i.organisation AS organisation, s.id AS signature FROM case_invitations i \
                   LEFT JOIN covenant_case_signatures s ON s.case_id = i.case_id AND s.organisation = i.organisation \
                   AND s.invitation = i.id AND s.version = $1 WHERE i.case_id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let mut args: Args = args![version];
    args.extend(places());
    let invited = query.rows(invited, args).await?;
    // An invitation that stands takes the place of one that has ended.
    let mut ties = Vec::with_capacity(ended.len() + invited.len());
    for row in &ended {
        ties.push((row.parsed("case_id")?, row.parsed("organisation")?, Tie::Ended));
    }
    for row in &invited {
        let tie = if row.opt_text("signature")?.is_some() { Tie::Signed } else { Tie::Invited };
        ties.push((row.parsed("case_id")?, row.parsed("organisation")?, tie));
    }
    Ok(ties)
}

/// How organisations stand that have something to do with a case, with their ties to it.
pub(super) async fn standings_in(
    query: &mut impl Query,
    version: &str,
    case: Uuid,
    organisations: impl IntoIterator<Item = &Oin>,
) -> Result<Standings, Error> {
    let mut standings = Standings { version: version.to_owned(), ..Standings::default() };
    for organisation in organisations {
        standings.of.extend(covenant::standing(query, version, [organisation, organisation]).await?.of);
    }
    tie(query, &mut standings, [case]).await?;
    Ok(standings)
}

/// Who is kept out of a case, of those that are, were or will be invited to it, by a change of who is invited from `before` on.
pub(super) async fn outside(
    query: &mut impl Query,
    version: &str,
    whole: &Whole,
    before: &crate::lifecycle::case::Case<Oin>,
) -> Result<BTreeSet<Oin>, Error> {
    let case = whole.kept.id;
    let ties = ties(query, version, &[case]).await?;
    // Who has coordinated it until now hears that it does so no more.
    let new = whole.kept.case.invited.difference(&before.invited).filter(|new| **new != before.coordinator);
    let concerned: BTreeSet<&Oin> = ties.iter().map(|(_, organisation, _)| organisation).chain(new.clone()).collect();
    if concerned.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut standings = standings_in(query, version, case, concerned.iter().copied()).await?;
    standings.tie(case, new.map(|new| (new.clone(), Tie::Invited)));
    let by_referral = &whole.participants;
    let is_outside = |who: &&Oin| standings.of(who).is_outside(case, by_referral.contains(*who));
    Ok(concerned.into_iter().filter(is_outside).cloned().collect())
}

/// A signature of an organisation's own for one case.
pub struct OwnSignature {
    /// Its id.
    pub id: String,
    /// The case, as the signer knows it.
    pub alias: Uuid,
    /// The signature.
    pub signature: Signature,
    /// Whether the invitation that it answers still stands.
    pub stands: bool,
}

/// A page of the signatures of an organisation under a version for single cases, in order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn signatures(
    query: &mut impl Query,
    version: &str,
    organisation: &Oin,
    after: &str,
    limit: i64,
) -> Result<Vec<OwnSignature>, Error> {
    let sql = "SELECT s.id AS id, s.organisation AS organisation, s.alias AS alias, s.jws AS jws, s.thumbprint AS thumbprint, \
               s.signed_at AS signed_at, i.id AS stands FROM covenant_case_signatures s LEFT JOIN case_invitations i \
               ON i.case_id = s.case_id AND i.organisation = s.organisation AND i.id = s.invitation \
               WHERE s.version = $1 AND s.organisation = $2 AND s.id > $3 ORDER BY s.id LIMIT $4";
    let rows = query.rows(sql, args![version, organisation, after, limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(OwnSignature {
                id: row.text("id")?,
                alias: row.parsed("alias")?,
                signature: covenant::read_signature(row)?,
                stands: row.opt_text("stands")?.is_some(),
            })
        })
        .collect()
}

/// For how many cases an organisation has signed a version under an invitation that stands.
///
/// # Errors
/// When the database fails.
pub async fn signed_for(query: &mut impl Query, version: &str, organisation: &Oin) -> Result<usize, Error> {
    const PAGE: i64 = 1_000;
    let (mut found, mut after) = (0, String::new());
    loop {
        let page = signatures(query, version, organisation, &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after.clone_from(&last.id);
        found += page.iter().filter(|own| own.stands).count();
    }
}

//! The whole route table on one screen.
//!
//! Routes under `/v1` are in the contract, which names their scopes and shapes; the others follow their own standards
//! (OAuth, RFC 8414, RFC 5280, C2SP tlog-tiles). Invariant, tested: every operation of the contract has one route here and
//! the other way round.

use std::future::Future;
use std::pin::Pin;

use super::{Answer, Call};
use crate::organisations::credentials::oauth_http as oauth;
use crate::problem::Problem;
use crate::{
    access_reports, audit, capacity, cases, consents, covenant, emergencies, erasures, handoffs, incidents,
    organisations, referrals, relay, replays, retention, rights, subjects, vetoes,
};

/// What a handler gives back; it stays on the thread of its connection.
pub type Handling = Pin<Box<dyn Future<Output = Result<Answer, Problem>>>>;

/// One route.
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path, with names in braces; a name that starts with `*` takes the rest of the path.
    pub path: &'static str,
    /// What handles it.
    pub handler: fn(Call) -> Handling,
}

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path;)*) => {
        &[$(Route { method: stringify!($method), path: $path, handler: |call| Box::pin($handler(call)) }),*]
    };
}

/// All routes.
pub const ROUTES: &[Route] = routes! {
    GET    "/v1/openapi.json"                                        => super::document::openapi;

    GET    "/v1/organisations"                                       => organisations::http::list;
    POST   "/v1/organisations"                                       => organisations::http::register;
    GET    "/v1/organisations/{id}"                                  => organisations::http::show;
    PATCH  "/v1/organisations/{id}"                                  => organisations::http::change;
    GET    "/v1/organisations/{id}/certificates"                     => organisations::http::certificates;
    POST   "/v1/organisations/{id}/certificates"                     => organisations::http::issue_certificate;
    POST   "/v1/organisations/{id}/certificates/{serial}/revocations" => organisations::http::revoke_certificate;
    GET    "/v1/organisations/{id}/keys"                             => organisations::http::keys;
    PUT    "/v1/organisations/{id}/keys"                             => organisations::http::replace_keys;

    GET    "/v1/covenants"                                           => covenant::http::list;
    POST   "/v1/covenants"                                           => covenant::http::publish;
    POST   "/v1/covenants/_impact"                                   => replays::http::impact;
    GET    "/v1/covenants/{version}"                                 => covenant::http::show;
    GET    "/v1/covenants/{version}/signatures"                      => covenant::http::list_signatures;
    POST   "/v1/covenants/{version}/signatures"                      => covenant::http::sign;

    GET    "/v1/consents"                                            => consents::http::list;
    POST   "/v1/consents"                                            => consents::http::record;
    POST   "/v1/consents/_withdraw"                                  => consents::http::withdraw_heard;
    GET    "/v1/consents/{id}"                                       => consents::http::show;
    POST   "/v1/consents/{id}/withdrawals"                           => consents::http::withdraw;
    GET    "/v1/consents/{id}/confirmations"                         => consents::confirmations_http::list;
    POST   "/v1/consents/{id}/confirmations"                         => consents::confirmations_http::confirm;
    GET    "/v1/consents/{id}/receipts"                              => consents::receipts::http::list;
    GET    "/v1/consent-confirmations"                               => consents::confirmations_http::list_all;

    POST   "/v1/referrals/_check"                                    => referrals::http::check;
    GET    "/v1/referrals"                                           => referrals::http::list;
    POST   "/v1/referrals"                                           => referrals::http::create;
    GET    "/v1/referrals/{id}"                                      => referrals::http::show;
    GET    "/v1/referrals/{id}/sections"                             => referrals::http::disclose;
    GET    "/v1/referrals/{id}/updates"                              => referrals::http::list_updates;
    POST   "/v1/referrals/{id}/updates"                              => referrals::http::add_update;
    GET    "/v1/referrals/{id}/supplements"                          => referrals::http::list_supplements;
    POST   "/v1/referrals/{id}/supplements"                          => referrals::http::supplement;
    POST   "/v1/referrals/{id}/extensions"                           => referrals::http::extend;
    GET    "/v1/referrals/{id}/cancellation-requests"                => referrals::http::list_cancellation_requests;
    POST   "/v1/referrals/{id}/cancellation-requests"                => referrals::http::request_cancellation;
    POST   "/v1/referrals/{id}/cancellation-refusals"                => referrals::http::refuse_cancellation;
    POST   "/v1/referrals/{id}/resolutions"                          => referrals::http::resolve;
    POST   "/v1/referrals/{id}/step-ups"                             => referrals::http::step_up;
    POST   "/v1/referrals/{id}/re-referrals"                         => referrals::http::refer_on;
    POST   "/v1/referrals/{id}/reassignments"                        => referrals::http::reassign;
    GET    "/v1/referrals/{id}/corrections"                          => referrals::http::list_corrections;
    POST   "/v1/referrals/{id}/corrections"                          => referrals::http::correct;
    GET    "/v1/referrals/{id}/corrections/{correctionId}"           => referrals::http::show_correction;
    GET    "/v1/referrals/{id}/updates/{updateId}"                   => referrals::http::show_update;
    GET    "/v1/referrals/{id}/updates/{updateId}/sections"          => referrals::http::disclose_update;

    POST   "/v1/referrals/{id}/vetoes"                               => referrals::http::veto;
    GET    "/v1/vetoes"                                              => vetoes::http::list;
    POST   "/v1/vetoes"                                              => vetoes::http::set;
    GET    "/v1/vetoes/{id}"                                         => vetoes::http::show;
    POST   "/v1/vetoes/{id}/conclusions"                             => vetoes::http::conclude;
    POST   "/v1/vetoes/{id}/weighings"                               => vetoes::http::weigh;

    GET    "/v1/referrals/{id}/notifications"                        => rights::informing::http::notifications;
    POST   "/v1/referrals/{id}/notifications"                        => rights::informing::http::note;

    GET    "/v1/objections"                                          => rights::objections::http::list;
    POST   "/v1/objections"                                          => rights::objections::http::record;
    GET    "/v1/objections/{id}"                                     => rights::objections::http::show;
    POST   "/v1/objections/{id}/endings"                             => rights::objections::http::end;
    POST   "/v1/objections/{id}/extensions"                          => rights::objections::http::extend;
    POST   "/v1/objections/{id}/weighings"                           => rights::objections::http::weigh;
    GET    "/v1/restrictions"                                        => rights::restrictions::http::list;
    POST   "/v1/restrictions"                                        => rights::restrictions::http::record;
    GET    "/v1/restrictions/{id}"                                   => rights::restrictions::http::show;
    POST   "/v1/restrictions/{id}/endings"                           => rights::restrictions::http::end;
    GET    "/v1/informing-duties"                                    => rights::informing::http::list;
    GET    "/v1/informing-duties/{id}"                               => rights::informing::http::show;

    POST   "/v1/subject-matches/_unlink"                             => subjects::http::unlink;

    GET    "/v1/cases"                                               => cases::http::list;
    GET    "/v1/cases/{id}"                                          => cases::http::show;
    POST   "/v1/cases/{id}/closures"                                 => cases::http::close;
    GET    "/v1/cases/{id}/coordinators"                             => cases::http::coordinators;
    POST   "/v1/cases/{id}/coordinators"                             => cases::http::offer_coordination;
    POST   "/v1/cases/{id}/coordinators/acceptances"                 => cases::http::accept_coordination;
    POST   "/v1/cases/{id}/coordinators/refusals"                    => cases::http::decline_coordination;
    POST   "/v1/cases/{id}/coordinators/revocations"                 => cases::http::revoke_offer;
    POST   "/v1/cases/{id}/meetings"                                 => cases::http::call_meeting;
    GET    "/v1/cases/{id}/participants"                             => cases::http::participants;
    POST   "/v1/cases/{id}/participants"                             => cases::http::invite;
    POST   "/v1/cases/{id}/participants/{organisation}/removals"     => cases::http::remove;
    POST   "/v1/cases/{id}/step-downs"                               => cases::http::step_down;
    GET    "/v1/cases/{id}/step-ups"                                 => cases::http::step_ups;
    POST   "/v1/cases/{id}/step-ups"                                 => cases::http::step_up;
    POST   "/v1/cases/{id}/step-ups/refusals"                        => cases::http::refuse_step_up;

    GET    "/v1/capacity-notices"                                    => capacity::http::list;
    POST   "/v1/capacity-notices"                                    => capacity::http::announce;
    GET    "/v1/capacity-notices/{id}"                               => capacity::http::show;
    POST   "/v1/capacity-notices/{id}/endings"                       => capacity::http::end;

    GET    "/v1/emergency-accesses"                                  => emergencies::http::list;
    POST   "/v1/emergency-accesses"                                  => emergencies::http::declare;
    GET    "/v1/emergency-accesses/{id}"                             => emergencies::http::show;
    POST   "/v1/emergency-accesses/{id}/endings"                     => emergencies::http::end;
    GET    "/v1/emergency-accesses/{id}/notifications"               => emergencies::http::notifications;
    POST   "/v1/emergency-accesses/{id}/notifications"               => emergencies::http::notify;
    GET    "/v1/reviews"                                             => emergencies::http::list_reviews;
    GET    "/v1/reviews/{id}"                                        => emergencies::http::show_review;
    GET    "/v1/reviews/{id}/conclusions"                            => emergencies::http::conclusions;
    POST   "/v1/reviews/{id}/conclusions"                            => emergencies::http::conclude;

    GET    "/v1/incidents"                                           => incidents::http::list;
    POST   "/v1/incidents"                                           => incidents::http::report;
    GET    "/v1/incidents/{id}"                                      => incidents::http::show;
    GET    "/v1/incidents/{id}/assessments"                          => incidents::http::assessments;
    POST   "/v1/incidents/{id}/assessments"                          => incidents::http::assess;
    GET    "/v1/incidents/{id}/confirmations"                        => incidents::http::confirmations;
    POST   "/v1/incidents/{id}/confirmations"                        => incidents::http::confirm;

    POST   "/v1/access-reports"                                      => access_reports::http::compose_report;

    GET    "/v1/erasures"                                            => erasures::http::list;
    POST   "/v1/erasures"                                            => erasures::http::erase;
    GET    "/v1/erasures/{id}"                                       => erasures::http::show;

    GET    "/v1/events"                                              => relay::http::list_events;
    GET    "/v1/subscriptions"                                       => relay::http::list_subscriptions;
    POST   "/v1/subscriptions"                                       => relay::http::create_subscription;
    GET    "/v1/subscriptions/{id}"                                  => relay::http::get_subscription;
    PATCH  "/v1/subscriptions/{id}"                                  => relay::http::change_subscription;
    DELETE "/v1/subscriptions/{id}"                                  => relay::http::delete_subscription;
    GET    "/v1/subscriptions/{id}/deliveries"                       => relay::http::list_deliveries;
    POST   "/v1/subscriptions/{id}/replays"                          => relay::http::replay_deliveries;

    GET    "/v1/handoffs"                                            => handoffs::http::list;
    GET    "/v1/handoffs/summary"                                    => handoffs::http::summary;
    GET    "/v1/handoffs/needs"                                      => handoffs::http::needs;

    GET    "/v1/retention-removals"                                  => retention::http::list;

    GET    "/v1/audit/records"                                       => audit::http::list;
    GET    "/v1/audit/records/{id}"                                  => audit::http::read;
    GET    "/v1/audit/records/{id}/proof"                            => audit::http::proof;

    POST   "/oauth/token"                                            => oauth::token;
    POST   "/oauth/introspect"                                       => oauth::introspect;
    POST   "/oauth/revoke"                                           => oauth::revoke;
    GET    "/oauth/jwks"                                             => oauth::jwks;
    GET    "/.well-known/oauth-authorization-server"                 => oauth::metadata;
    GET    "/pki/ca.pem"                                             => oauth::ca_certificate;
    GET    "/pki/crl"                                                => oauth::revocation_list;
    GET    "/log/checkpoint"                                         => audit::http::checkpoint;
    GET    "/log/tile/{*tile}"                                       => audit::http::tile;
};

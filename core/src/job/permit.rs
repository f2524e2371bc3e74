//! Who may ask about a job. Judged anew with every request (BD-SEC-03, BD-SEC-04).

use std::collections::BTreeSet;

use super::Job;
use crate::{
    Refusal, ResourceType,
    access::{Coverage, Owner, Principal, Right, Roles},
    endpoint::{Downloads, EndpointConfig, forbidden, nothing_there},
    http::{Request, Target},
    kick_off::{Level, Operation},
    plan::{Attachments, Provenance, TypeSelection},
    time::Timestamp,
};

impl Job {
    /// A stranger gets what it would get for a job that does not exist; who may know of the job and has a token that covers
    /// less than the export gets 403.
    pub(super) fn permit(
        &self,
        config: &EndpointConfig,
        request: &Request<'_>,
        principal: &Principal,
    ) -> Result<(), Refusal> {
        let started = self.was_started_by(config, principal);
        let shared = config.downloads == Downloads::Scope
            && matches!((&self.record.owner, principal), (Owner::Client(_), Principal::Known { .. }));
        if !started && !shared {
            return Err(nothing_there());
        }
        let covered = self.check_scopes(config.roles.as_ref(), principal);
        let covered = covered.and_then(|()| self.check_user(config.roles.as_ref(), principal));
        match covered {
            Err(_) if !started => Err(nothing_there()),
            Ok(()) if !started && request.method == "DELETE" => {
                Err(forbidden("an export is removed by the client that started it"))
            }
            covered => covered,
        }
    }

    /// Whether the address of the request opens a file by itself, now.
    pub(super) fn is_signed(
        &self,
        config: &EndpointConfig,
        segments: &[&str],
        target: &Target<'_>,
        now: Timestamp,
    ) -> bool {
        let (Some(urls), ["bulk", _, "files", name]) = (&config.signed_urls, segments) else { return false };
        urls.verify(&self.record.id, name, target).is_some_and(|until| now < until)
    }

    fn was_started_by(&self, config: &EndpointConfig, principal: &Principal) -> bool {
        match (&self.record.owner, principal) {
            (Owner::Anyone, Principal::Open) => true,
            (Owner::Client(owner), Principal::Known { client, .. }) => {
                let any_user = config.downloads != Downloads::User || self.record.user.is_none();
                owner == client && (any_user || self.is_for(principal))
            }
            (Owner::Anyone | Owner::Client(_), Principal::Anonymous | Principal::Open | Principal::Known { .. }) => {
                false
            }
        }
    }

    /// Whether it was started for that very user.
    fn is_for(&self, principal: &Principal) -> bool {
        self.record.user.is_some() && self.record.user.as_ref() == principal.user()
    }

    fn check_user(&self, roles: Option<&Roles>, principal: &Principal) -> Result<(), Refusal> {
        let plan = &self.record.plan;
        match principal.right(roles, plan.operation, &plan.level) {
            Right::Allowed => Ok(()),
            // Access to the patient was asked for when it started, and for that user only.
            Right::IfAccessible if self.is_for(principal) => Ok(()),
            Right::IfAccessible | Right::Refused => Err(forbidden("the roles of the user do not cover this export")),
        }
    }

    fn check_scopes(&self, roles: Option<&Roles>, principal: &Principal) -> Result<(), Refusal> {
        let plan = &self.record.plan;
        // The scope of $ehi-export is for whole records and says nothing of types (EHI-AUTH-06).
        if plan.operation == Operation::EhiExport {
            let patient = match &plan.level {
                Level::Patient(id) => id.as_str(),
                _ => "",
            };
            let covered = principal.may_export_ehi_of(patient, roles);
            let refusal = || forbidden("the token does not cover the EHI export of this patient");
            return covered.then_some(()).ok_or_else(refusal);
        }
        let grant = principal.may_export(&plan.level, roles);
        // Of a type that was granted in part, a token covers no more than the same part or all of it.
        let covers_part = |name: &str, granted: Option<&BTreeSet<String>>| match granted {
            Some(queries) => match grant.coverage(name, &plan.search_definitions()) {
                Coverage::Whole => true,
                Coverage::Matching(own) => own.is_superset(queries),
                Coverage::Nothing => false,
            },
            None => grant.covers(name),
        };
        let covers =
            |resource_type: &ResourceType| covers_part(resource_type.as_str(), plan.granted_filters.get(resource_type));
        let covered = match &plan.types {
            TypeSelection::All | TypeSelection::AllBut(_) => grant.is_everything(),
            TypeSelection::Only(types) => types.iter().all(covers),
        };
        // What was selected by a chain tells of what it leads to.
        let covered = covered && plan.chains.iter().all(|chain| covers_part(chain.resource_type(), chain.granted()));
        let covered = covered && (plan.provenance == Provenance::Unasked || grant.covers("Provenance"));
        // Under whatever type the contents of Binary resources come.
        let of_binaries = plan.has_binary_documents() || plan.attachments != Attachments::Link;
        let covered = covered && (!of_binaries || grant.covers("Binary"));
        if covered { Ok(()) } else { Err(forbidden("the token does not cover all types of this export")) }
    }
}

//! Who may have what of a kick-off: scopes, roles, and the rules of the deployment.

use std::collections::{BTreeMap, BTreeSet};

use super::{Endpoint, Grant, forbidden, patients};
use crate::{
    Refusal, ResourceType,
    access::{Coverage, Principal, Right, TypeGrant},
    kick_off::{Facts, KickOff, Level, Need, Operation},
    outcome::{Issue, IssueCode},
    plan::{Provenance, TypeSelection},
};

impl Endpoint {
    /// What must be known before the kick-off can be decided. Asked only for what the principal may know.
    pub fn needs(&self, kick_off: &KickOff, principal: &Principal) -> Vec<Need> {
        let client = match principal {
            Principal::Anonymous => return Vec::new(),
            Principal::Open => None,
            Principal::Known { client, .. } => Some(client.clone()),
        };
        let mut needs = Vec::new();
        let roles = self.config.roles.as_ref();
        let right = principal.right(roles, kick_off.operation, &kick_off.level);
        let covers = |name| principal.may_export(&kick_off.level, roles).covers(name);
        match &kick_off.level {
            _ if right == Right::Refused => {}
            Level::System => {}
            Level::AllPatients => {
                let listed = kick_off.patients.as_ref().filter(|_| covers("Patient"));
                needs.extend(listed.map(|listed| patients::need(&kick_off.level, listed)));
            }
            Level::Group(id) => {
                if covers("Group") {
                    needs.push(Need::Group(id.clone()));
                    needs.extend(kick_off.patients.as_ref().map(|listed| patients::need(&kick_off.level, listed)));
                    if self.config.restrict_groups {
                        let (client, user) = (client.clone(), principal.user().cloned());
                        needs.push(Need::GroupAccess { group: id.clone(), client, user });
                    }
                }
            }
            // Who is a provider's patient stands in the patients' records.
            Level::Practitioner(id) => {
                if covers("Practitioner") && covers("Patient") {
                    needs.push(Need::Practitioner(id.clone()));
                    if self.config.restrict_practitioners {
                        let (client, user) = (client.clone(), principal.user().cloned());
                        needs.push(Need::PractitionerAccess { practitioner: id.clone(), client, user });
                    }
                }
            }
            Level::Patient(id) => {
                let covered = match kick_off.operation {
                    Operation::EhiExport => principal.may_export_ehi_of(id, roles),
                    Operation::Export => covers("Patient"),
                };
                if covered {
                    let user = principal.user().filter(|_| right == Right::IfAccessible);
                    needs.extend(user.map(|user| Need::PatientAccess { patient: id.clone(), user: user.clone() }));
                    needs.push(Need::Patient(id.clone()));
                }
            }
        }
        if right != Right::Refused && !principal.may_export(&kick_off.level, roles).is_nothing() {
            let urls: BTreeSet<_> = kick_off.value_sets.iter().map(|asked| &asked.url).collect();
            needs.extend(urls.into_iter().map(|url| Need::ValueSet(url.clone())));
        }
        needs.push(Need::ActiveJobs { client });
        needs
    }

    /// Whether the principal may have what was asked for, and how much of it.
    ///
    /// What the grant does not cover is refused where it was asked for by name (SM-ACC-03) and left out where everything
    /// was (BD-SEC-06). Authorisation precedes look-up: facts are not consulted for what the principal may not know.
    ///
    /// Scopes limit what the client may, roles limit what its user may; both must allow.
    pub fn authorize(&self, kick_off: &KickOff, principal: &Principal, facts: &Facts) -> Result<Grant, Refusal> {
        self.check_user(kick_off, principal, facts)?;
        if kick_off.operation == Operation::EhiExport {
            return self.authorize_ehi(kick_off, principal, facts);
        }
        let scopes = principal.may_export(&kick_off.level, self.config.roles.as_ref());
        let grant = self.grant(kick_off, &scopes)?;
        // Asked for by name, like a type; and it goes by no query.
        if kick_off.provenance != Provenance::Unasked && !scopes.covers("Provenance") {
            return Err(forbidden("the token does not grant the export of `Provenance`"));
        }
        match &kick_off.level {
            Level::Group(_) if !scopes.covers("Group") => {
                return Err(forbidden("the token does not grant reading groups"));
            }
            // Whether a patient who is listed exists is told to those who may read patients.
            Level::AllPatients if kick_off.patients.is_some() && !scopes.covers("Patient") => {
                return Err(forbidden("the token does not grant the export of `Patient`, which `patient` is about"));
            }
            Level::Practitioner(_) if !scopes.covers("Practitioner") || !scopes.covers("Patient") => {
                return Err(forbidden("the token does not grant the export of both `Practitioner` and `Patient`"));
            }
            Level::Patient(_) if !scopes.covers("Patient") => {
                return Err(forbidden("the token does not grant the export of `Patient`"));
            }
            Level::Group(id) if !facts.groups.contains(id) => return Err(absent("group")),
            // What may not be exported is answered like what is not there (BD-SEC-08).
            Level::Group(id) if self.config.restrict_groups && !facts.accessible_groups.contains(id) => {
                return Err(absent("group"));
            }
            Level::Practitioner(id) if !facts.practitioners.contains(id) => return Err(absent("practitioner")),
            Level::Practitioner(id)
                if self.config.restrict_practitioners && !facts.accessible_practitioners.contains(id) =>
            {
                return Err(absent("practitioner"));
            }
            Level::Patient(id) if !facts.patients.contains(id) => return Err(absent("patient")),
            _ => {}
        }
        let (patients, notices) = patients::listed(kick_off, facts)?;
        let grant = self.answer_filters(Grant { patients, notices, ..grant }, kick_off, &scopes, facts)?;
        self.check_jobs(facts)?;
        Ok(grant)
    }

    /// What the scopes cover of what was asked for.
    fn grant(&self, kick_off: &KickOff, scopes: &TypeGrant) -> Result<Grant, Refusal> {
        let definitions = self.definitions();
        let nothing = || forbidden("the token does not grant the export of any resource type");
        if scopes.is_nothing() {
            return Err(nothing());
        }
        if scopes.is_everything() {
            let types = kick_off.types.clone().map_or(TypeSelection::All, TypeSelection::Only);
            return Ok(Grant::whole(types, kick_off));
        }
        let asked: Vec<ResourceType> = match &kick_off.types {
            Some(types) => types.iter().cloned().collect(),
            None => definitions.resource_types().filter_map(|name| definitions.resource_type(name)).collect(),
        };
        let (mut types, mut granted_filters) = (BTreeSet::new(), BTreeMap::new());
        for resource_type in asked {
            match scopes.coverage(resource_type.as_str(), &definitions) {
                Coverage::Whole => {}
                Coverage::Matching(queries) => {
                    granted_filters.insert(resource_type.clone(), queries);
                }
                Coverage::Nothing if kick_off.types.is_some() => {
                    return Err(forbidden(&format!("the token does not grant the export of `{resource_type}`")));
                }
                Coverage::Nothing => continue,
            }
            types.insert(resource_type);
        }
        if types.is_empty() && kick_off.types.is_none() {
            return Err(nothing());
        }
        let binaries = scopes.covers("Binary");
        Ok(Grant { binaries, granted_filters, ..Grant::whole(TypeSelection::Only(types), kick_off) })
    }

    /// EHI-AUTH-01, EHI-AUTH-02, EHI-AUTH-05: one patient's whole record, by the operation's own scope.
    fn authorize_ehi(&self, kick_off: &KickOff, principal: &Principal, facts: &Facts) -> Result<Grant, Refusal> {
        let Level::Patient(patient) = &kick_off.level else { return Err(absent("patient")) };
        if !principal.may_export_ehi_of(patient, self.config.roles.as_ref()) {
            return Err(forbidden("the token does not grant the EHI export of this patient"));
        }
        if !facts.patients.contains(patient) {
            return Err(absent("patient"));
        }
        self.check_jobs(facts)?;
        Ok(Grant::whole(TypeSelection::All, kick_off))
    }

    /// A user without access is refused before anything is looked up, so that it shows of nobody whether they exist.
    fn check_user(&self, kick_off: &KickOff, principal: &Principal, facts: &Facts) -> Result<(), Refusal> {
        let KickOff { operation, level, .. } = kick_off;
        let accessible = || matches!(level, Level::Patient(id) if facts.accessible_patients.contains(id));
        match principal.right(self.config.roles.as_ref(), *operation, level) {
            Right::Allowed => Ok(()),
            Right::IfAccessible if accessible() => Ok(()),
            Right::IfAccessible => Err(forbidden("the user has no access to this patient")),
            Right::Refused => Err(forbidden("the roles of the user do not allow this export")),
        }
    }

    fn check_jobs(&self, facts: &Facts) -> Result<(), Refusal> {
        let limit = self.config.jobs_per_client_max;
        if facts.active_jobs.is_none_or(|jobs| jobs >= limit) {
            let diagnostics =
                format!("{limit} exports of this client are in progress already; wait for one to end or delete it");
            let retry_after = self.config.retry_after_seconds.to_string();
            let refusal = Refusal::new(429, Issue::error(IssueCode::Throttled, diagnostics));
            return Err(refusal.with("retry-after", retry_after));
        }
        Ok(())
    }
}

fn absent(what: &str) -> Refusal {
    Refusal::new(404, Issue::error(IssueCode::NotFound, format!("no such {what}")))
}

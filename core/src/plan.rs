//! What an accepted export takes: decided once at kick-off, followed by any number of writers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{
    Definitions, Edition, ResourceType,
    elements::Elements,
    endpoint::{EndpointConfig, Grant, NewMembers},
    kick_off::{KickOff, Level, Operation},
    outcome::Issue,
    pass::{Collection, Pass, SetWanted},
    time::Timestamp,
};

pub use crate::chain::Chain;

/// What an accepted export takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportPlan {
    /// By which operation.
    #[serde(default)]
    pub operation: Operation,
    /// Whose data.
    pub level: Level,
    /// Whether only some of the patients of the level are exported. Who they are, the population says.
    #[serde(default)]
    pub patients_listed: bool,
    /// The deployment's own parameters, for its data source.
    #[serde(default)]
    pub vendor_parameters: BTreeMap<String, Vec<String>>,
    /// Where the format is documented, for the manifest of an EHI export.
    #[serde(default)]
    pub documentation_url: Option<String>,
    /// Which types.
    pub types: TypeSelection,
    /// `_typeFilter` queries, and those of the grant; a type with queries exports what meets one of them.
    #[serde(default)]
    pub type_filters: Vec<String>,
    /// The canonicals of the ValueSets that `type_filters` and `chains` ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub value_sets: Vec<String>,
    /// What `type_filters` ask about resources that exported ones refer to. One that another asks for stands before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<Chain>,
    /// The rows of those search parameters of `type_filters` that this program does not know by itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub search_parameters: String,
    /// Types of which only a part was granted: the queries of that part, which `type_filters` has taken in already.
    #[serde(default)]
    pub granted_filters: BTreeMap<ResourceType, BTreeSet<String>>,
    /// The queries of the FHIR subset that the deployment exports, of these types (BD-KICK-17). `type_filters` has taken them
    /// in already; what goes by no `_typeFilter`, such as supporting resources, goes by these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subset: Vec<String>,
    /// Only what changed after this instant (BD-SINCE-02).
    pub since: Option<Timestamp>,
    /// Whether `since` does not hold for what is a new member's of the group (BD-SINCE-03).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new_members_whole: bool,
    /// Only what changed before this instant (BD-UNTIL-02).
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Whether a resource without `meta.lastUpdated` is within `_since` and `_until` (BD-SINCE-06).
    #[serde(default = "yes")]
    pub undated_included: bool,
    /// Nothing that changed after this instant (BD-MAN-02); set when the job begins.
    pub transaction_time: Option<Timestamp>,
    /// Whose shapes.
    pub edition: Edition,
    /// The server's own base, below which absolute references are local.
    pub base_url: String,
    /// Which elements of resources; none listed, all.
    #[serde(default)]
    pub elements: Elements,
    /// Whether what is in the compartments of a listed and of an unlisted patient is exported.
    pub export_shared: bool,
    /// Which Provenance.
    #[serde(default)]
    pub provenance: Provenance,
    /// Which resources outside the compartment that exported ones refer to (BD-SINCE-05, BD-TYPE-05).
    #[serde(default)]
    pub supporting: Supporting,
    /// Security labels whose resources are left out, each `system|code`.
    #[serde(default)]
    pub withheld_labels: BTreeSet<String>,
    /// Whether a set of vetoes must be given.
    #[serde(default)]
    pub vetoes: bool,
    /// Whether a patient's Binary may be exported, which is done as a DocumentReference (BD-KICK-11).
    #[serde(default)]
    pub binary_documents: bool,
    /// Where the URLs of Attachments lead.
    #[serde(default)]
    pub attachments: Attachments,
    /// How resources are dealt into files.
    #[serde(default)]
    pub organize: Organize,
    /// How large files are to be.
    #[serde(default, skip_serializing_if = "FileSizes::is_free")]
    pub file_sizes: FileSizes,
    /// What the kick-off tolerated, for the error files.
    #[serde(default)]
    pub notices: Vec<Issue>,
    /// The kick-off URL, for the manifest.
    pub request: String,
}

/// Like that of a [`KickOff`].
impl fmt::Debug for ExportPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, level, types, .. } = self;
        let mut shown = f.debug_struct("ExportPlan");
        shown.field("operation", operation).field("level", level).field("types", types).finish_non_exhaustive()
    }
}

/// Which resource types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TypeSelection {
    /// All that there are.
    All,
    /// These.
    Only(BTreeSet<ResourceType>),
    /// All but these.
    AllBut(BTreeSet<ResourceType>),
}

impl TypeSelection {
    /// Whether resources of that type are selected.
    pub fn has(&self, resource_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(types) => types.contains(resource_type),
            Self::AllBut(types) => !types.contains(resource_type),
        }
    }

    pub(crate) fn without(self, withheld: &BTreeSet<ResourceType>) -> Self {
        match self {
            selection if withheld.is_empty() => selection,
            Self::All => Self::AllBut(withheld.clone()),
            Self::Only(types) => Self::Only(types.difference(withheld).cloned().collect()),
            Self::AllBut(types) => Self::AllBut(types.union(withheld).cloned().collect()),
        }
    }
}

/// Which Provenance is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Provenance {
    /// No value was given: that of the compartments, or all of it at system level, if `_type` lets it (BD-IAD-07).
    #[default]
    Unasked,
    /// `LatestProvenanceResources`: the newest of each exported resource (BD-IAD-04).
    Latest,
    /// `RelevantProvenanceResources`: all of each exported resource (BD-IAD-05).
    Relevant,
}

/// Which resources outside the Patient compartment accompany those inside that refer to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Supporting {
    /// None.
    #[default]
    Off,
    /// Those of these types. US Core's profiles refer to Practitioner, PractitionerRole, Organization, Location,
    /// Medication and Device.
    Types(#[cfg_attr(feature = "schema", schemars(with = "BTreeSet<String>"))] BTreeSet<ResourceType>),
    /// Those of all types.
    All,
}

impl Supporting {
    /// Whether resources of that type accompany others.
    pub fn has(&self, resource_type: &str) -> bool {
        match self {
            Self::Off => false,
            Self::Types(types) => types.contains(resource_type),
            Self::All => true,
        }
    }

    fn without<T>(self, left: &BTreeMap<ResourceType, T>, definitions: &Definitions<'_>) -> Self {
        if left.is_empty() || self == Self::Off {
            return self;
        }
        let types = definitions.resource_types().filter(|name| self.has(name) && !left.contains_key(*name));
        Self::Types(types.filter_map(|name| definitions.resource_type(name)).collect())
    }
}

/// Where the URLs of Attachments lead. In any case they are absolute (BD-ATT-02).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Attachments {
    /// Where they led before.
    #[default]
    Link,
    /// Those to a Binary of this server lead to a file of the export (BD-ATT-05); others where they led before.
    Serve {
        /// What stands before a file's name in its URL, with the final `/`.
        files_url: String,
    },
}

/// How resources are dealt into files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Organize {
    /// Each file holds one type (BD-ORG-03).
    #[default]
    ByType,
    /// `organizeOutputBy=Patient`: a block for each patient (BD-ORG-04).
    ByPatient,
}

impl Organize {
    /// The type whose instances have blocks.
    pub(crate) fn resource_type(self, definitions: &Definitions<'_>) -> Option<ResourceType> {
        match self {
            Self::ByType => None,
            Self::ByPatient => definitions.resource_type("Patient"),
        }
    }
}

/// How large files are to be, in bytes (BD4-08).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FileSizes {
    /// `_minimumFileSize`: no file is smaller but the last of its kind, and one that another resource would make too large.
    pub min: Option<u32>,
    /// `_maximumFileSize`: no file is larger, but for one that holds a single resource.
    pub max: Option<u32>,
}

impl FileSizes {
    /// Whether nothing is said.
    fn is_free(&self) -> bool {
        *self == Self::default()
    }
}

impl ExportPlan {
    pub(crate) fn new(config: &EndpointConfig, kick_off: KickOff, grant: Grant) -> Self {
        let Grant { types, type_filters, granted_filters, subset, value_sets, chains, .. } = grant;
        Self {
            operation: kick_off.operation,
            documentation_url: config
                .ehi
                .as_ref()
                .filter(|_| kick_off.operation == Operation::EhiExport)
                .map(|ehi| ehi.documentation_url.clone()),
            vendor_parameters: kick_off.vendor_parameters,
            level: kick_off.level,
            patients_listed: false,
            types: types.without(&kick_off.withheld),
            type_filters,
            value_sets,
            chains,
            search_parameters: String::new(),
            subset,
            since: kick_off.since,
            new_members_whole: config.new_members == NewMembers::Whole,
            until: kick_off.until,
            undated_included: config.undated_included,
            transaction_time: None,
            edition: match kick_off.operation {
                Operation::Export => kick_off.edition,
                // The Argonaut guide builds on the asynchronous pattern, whose manifest is that of 2.0.
                Operation::EhiExport => Edition::Stu2,
            },
            base_url: config.base_url.clone(),
            elements: kick_off.elements,
            export_shared: config.export_shared,
            provenance: kick_off.provenance,
            // They go by no query, so they are of types that were granted whole.
            supporting: config.supporting.clone().without(&granted_filters, &Definitions::R4),
            granted_filters,
            withheld_labels: config.withheld_labels.clone(),
            vetoes: config.vetoes,
            binary_documents: false,
            attachments: Attachments::Link,
            organize: kick_off.organize,
            file_sizes: kick_off.file_sizes,
            notices: kick_off.notices,
            request: kick_off.request,
        }
    }

    /// The FHIR version whose resources are exported.
    pub fn definitions(&self) -> Definitions<'static> {
        Definitions::R4
    }

    /// The instant after which a membership makes a patient new: one of whom older data are exported too. Say it of each
    /// when the population is made, see [`PopulationBuilder::push_new`](crate::population::PopulationBuilder::push_new).
    /// `None` where `_since` holds for everybody.
    pub fn new_after(&self) -> Option<Timestamp> {
        self.since.filter(|_| self.new_members_whole && matches!(self.level, Level::Group(_)))
    }

    /// The passes that the export takes, the main one first.
    pub fn passes(&self) -> Vec<Pass> {
        let context = self.has_context_provenance() || self.has_supporting();
        let deleted = self.since.is_some() && self.edition != Edition::Stu1;
        let all = [
            (Pass::Main, true),
            (Pass::Context, context),
            (Pass::Deleted, deleted),
            (Pass::Binaries, self.has_binaries()),
            (Pass::Attachments, self.attachments != Attachments::Link),
        ];
        all.into_iter().filter_map(|(pass, taken)| taken.then_some(pass)).collect()
    }

    /// The sets that a pass needs, in the order in which they are made.
    pub fn sets(&self, pass: Pass) -> Vec<SetWanted> {
        let known = self.vetoes.then_some(SetWanted::Vetoes).into_iter();
        let known = known.chain(self.value_sets.iter().cloned().map(SetWanted::ValueSet));
        let chains = (0..).zip(&self.chains).map(|(number, _)| SetWanted::Collected(Collection::Chained(number)));
        // Every pass that judges by the queries is given what they ask for.
        let asked = known.chain(chains);
        let collected: &[(Collection, bool)] = match pass {
            // A collecting pass is given what comes before its own.
            Pass::Collect(collection) => {
                let own = SetWanted::Collected(collection);
                let of_passes = [Pass::Context, Pass::Binaries, Pass::Attachments].map(|pass| self.sets(pass));
                let list = of_passes.into_iter().find(|sets| sets.contains(&own));
                let list = list.unwrap_or_else(|| asked.collect());
                return list.into_iter().take_while(|set| *set != own).collect();
            }
            // Of what is gone no query can be asked.
            Pass::Deleted => return self.vetoes.then_some(SetWanted::Vetoes).into_iter().collect(),
            Pass::Main => &[],
            Pass::Context => {
                let (supporting, provenance) = (self.has_supporting(), self.has_context_provenance());
                &[
                    (Collection::Supporting, supporting),
                    (Collection::SupportingOfSupporting, supporting),
                    (Collection::Subjects, provenance),
                    (Collection::Compartment, provenance && self.has_listed_patients()),
                    (Collection::LatestProvenance, provenance && self.provenance == Provenance::Latest),
                ]
            }
            Pass::Binaries => &[(Collection::SecurityContexts, true), (Collection::SecurityContextsFound, true)],
            Pass::Attachments => &[
                (Collection::SecurityContexts, true),
                (Collection::SecurityContextsFound, true),
                (Collection::Attachments, true),
            ],
        };
        let wanted = collected.iter().filter(|(_, wanted)| *wanted).map(|(set, _)| SetWanted::Collected(*set));
        asked.chain(wanted).collect()
    }

    /// The types without any of which a pass writes or finds nothing, if there are such: data without these need not be
    /// gone through.
    pub fn types_of(&self, pass: Pass) -> Option<BTreeSet<ResourceType>> {
        let definitions = self.definitions();
        let types = |has: &dyn Fn(&str) -> bool| {
            let names = definitions.resource_types().filter(|name| has(name));
            names.filter_map(|name| definitions.resource_type(name)).collect()
        };
        match pass {
            Pass::Context => Some(types(&|name| match name {
                "Provenance" => self.has_context_provenance(),
                _ => self.has_supporting() && self.supporting.has(name) && self.types.has(name),
            })),
            Pass::Binaries
            | Pass::Attachments
            | Pass::Collect(
                Collection::SecurityContexts | Collection::SecurityContextsFound | Collection::Attachments,
            ) => Some(types(&|name| name == "Binary")),
            Pass::Collect(Collection::Chained(number)) => {
                let asked = self.of_chain(number).map(|plan| plan.types);
                Some(types(&|name| asked.as_ref().is_some_and(|types| types.has(name))))
            }
            Pass::Main | Pass::Deleted | Pass::Collect(_) => None,
        }
    }

    /// The plan of the main pass: without what the context pass writes.
    pub(crate) fn of_main_pass(&self) -> Self {
        let left = self.definitions().resource_type("Provenance").filter(|_| self.has_context_provenance());
        Self { types: self.types.clone().without(&left.into_iter().collect()), ..self.clone() }
    }

    /// The plan of those resources that meet the question of a chain and may be asked about: in any state in which they
    /// are, and of the export's patients if their type can be a patient's at all.
    pub(crate) fn of_chain(&self, number: u32) -> Option<Self> {
        let chain = usize::try_from(number).ok().and_then(|number| self.chains.get(number))?;
        let resource_type = self.definitions().resource_type(chain.resource_type())?;
        let name = resource_type.as_str();
        let is_of_patients = name == "Patient" || self.definitions().in_patient_compartment(name);
        Some(Self {
            level: if is_of_patients { self.level.clone() } else { Level::System },
            types: TypeSelection::Only([resource_type].into()),
            type_filters: chain.queries().to_vec(),
            since: None,
            until: None,
            undated_included: true,
            ..self.clone()
        })
    }

    /// Whether some patients are part of the export and others are not.
    pub(crate) fn has_listed_patients(&self) -> bool {
        match self.level {
            Level::System => false,
            Level::AllPatients => self.patients_listed,
            Level::Group(_) | Level::Practitioner(_) | Level::Patient(_) => true,
        }
    }

    /// Whether members of the group that are no patients are exported: they have no place in blocks of patients.
    pub(crate) fn has_resource_members(&self) -> bool {
        matches!(self.level, Level::Group(_)) && self.organize == Organize::ByType
    }

    /// Whether a patient's Binary is exported. `_type` names what the files hold, so that it is DocumentReference which
    /// selects it. The rule came with 2.0.
    pub(crate) fn has_binary_documents(&self) -> bool {
        // No block is that of a Binary: whose it is, is told by another resource.
        let by_type = self.organize == Organize::ByType;
        self.binary_documents && by_type && self.edition != Edition::Stu1 && self.types.has("DocumentReference")
    }

    /// Whether Binary resources are exported as one thing or another.
    fn has_binaries(&self) -> bool {
        let standalone = self.level == Level::System && self.organize == Organize::ByType;
        standalone && self.edition != Edition::Stu1 && self.types.has("Binary") || self.has_binary_documents()
    }

    fn has_supporting(&self) -> bool {
        // What belongs to no patient has no place in blocks of patients.
        self.level.is_of_patients() && self.supporting != Supporting::Off && self.organize == Organize::ByType
    }

    /// Whether it takes the context pass to tell which Provenance is exported: at system level without a value, all is.
    fn has_context_provenance(&self) -> bool {
        match self.provenance {
            // Refused at kick-off together with a value.
            _ if self.organize == Organize::ByPatient => false,
            Provenance::Latest | Provenance::Relevant => true,
            // The rule came with 2.0.
            Provenance::Unasked => {
                self.level.is_of_patients() && self.edition != Edition::Stu1 && self.types.has("Provenance")
            }
        }
    }

    /// The search parameters that its queries may ask by.
    pub(crate) fn search_definitions(&self) -> Definitions<'_> {
        let known = Definitions::US_CORE_SEARCH_PARAMETERS;
        let added = if self.search_parameters.is_empty() { known } else { &self.search_parameters };
        self.definitions().with_added_search_parameters(added)
    }

    /// Those rows of a deployment's search parameters that the queries ask by; none if this program knows them all by
    /// itself.
    pub(crate) fn search_parameters_used(&self, added: &str) -> String {
        let is_used = |row: &&str| {
            let mut columns = row.split('\t');
            let (base, code) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
            let is_of =
                |query: &str| matches!(base, "DomainResource" | "Resource") || query.split('?').next() == Some(base);
            // A name that only holds the code costs a row too many.
            let chained = self.chains.iter().flat_map(Chain::queries);
            self.type_filters
                .iter()
                .chain(&self.subset)
                .chain(chained)
                .any(|query| is_of(query) && query.contains(code))
        };
        let used: Vec<&str> = added.lines().filter(is_used).collect();
        let is_known = |row: &&str| Definitions::US_CORE_SEARCH_PARAMETERS.lines().any(|known| known == *row);
        if used.iter().all(is_known) { String::new() } else { used.iter().flat_map(|row| [row, "\n"]).collect() }
    }

    /// What an export leaves out though a client may expect it; said at kick-off and in the manifest.
    ///
    /// The same whether or not there are such data: a statement that depends on what was withheld would disclose it.
    pub fn left_out(&self) -> Option<String> {
        let of_patients = self.level.is_of_patients();
        let left_out = [
            // BD-ORG-08 lets them be left out.
            (NOBODYS, !of_patients && self.organize == Organize::ByPatient),
            (BINARIES, of_patients && self.organize == Organize::ByPatient),
            (MEMBERS, matches!(self.level, Level::Group(_)) && !self.has_resource_members()),
            (SUPPORTING, of_patients && !self.has_supporting()),
            (UNLISTED, self.has_supporting() && matches!(self.supporting, Supporting::Types(_))),
            (PROVENANCE, of_patients && !self.has_context_provenance()),
            (SHARED, self.has_listed_patients() && !self.export_shared),
            (SUBSET, !self.subset.is_empty()),
            (WITHHELD, !self.withheld_labels.is_empty() || self.vetoes),
        ];
        let left_out = left_out.into_iter().filter(|(_, left_out)| *left_out).map(|(text, _)| text.to_owned());
        let left_out: Vec<_> = left_out.chain(self.partly_granted()).collect();
        (!left_out.is_empty()).then(|| left_out.join("; "))
    }

    fn partly_granted(&self) -> Option<String> {
        let types: Vec<_> = self.granted_filters.keys().map(ResourceType::as_str).collect();
        let text = "what the scopes of the token do not select, and all deletions, of";
        (!types.is_empty()).then(|| format!("{text} {}", types.join(", ")))
    }
}

fn yes() -> bool {
    true
}

const SUPPORTING: &str = "resources outside the Patient compartment that exported ones refer to (such as Practitioner, \
    Organization, Location, Medication)";
const UNLISTED: &str = "resources outside the Patient compartment of other types than this server adds to exports";
const NOBODYS: &str = "resources that are in no patient's compartment, since the output is organized by patient";
const BINARIES: &str = "Binary resources, since the output is organized by patient";
const MEMBERS: &str = "members of the group that are not patients, since the output is organized by patient";
const PROVENANCE: &str = "Provenance of exported resources other than Patient";
const WITHHELD: &str = "resources with security labels that are withheld, or that a patient's consent does not release";
const SUBSET: &str =
    "resources outside the FHIR subset that this server exports, which its CapabilityStatement describes";
const SHARED: &str = "resources that are also in the compartment of a patient who is not part of this export";

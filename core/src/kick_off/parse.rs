//! From given parameters to a kick-off, collecting every problem on the way.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    KickOff, Level, Operation, ValueSetAsked, associated, from_parameters,
    from_query::{self, shown},
    parameter, patients,
};
use crate::{
    Definitions, Edition, Refusal, ResourceType,
    elements::Elements,
    endpoint::{EndpointConfig, VendorParameter},
    http::{Handling, Prefer, Request, Target},
    outcome::{Issue, IssueCode},
    plan::{FileSizes, Organize, Provenance},
    time::Timestamp,
    type_filter::{self, AskedSets, Filter, FilterContext, FilterSets, TypeFilterSource},
};

/// One parameter as it was given.
pub(super) struct Given<'m> {
    pub(super) name: String,
    /// Decoded once.
    pub(super) text: String,
    /// Undecoded, where it stood in a URL.
    pub(super) raw: Option<&'m str>,
    /// Its place in `Parameters.parameter`, where it stood in a body.
    pub(super) index: Option<usize>,
}

/// What the deployment lets a kick-off be read with.
pub(crate) struct Reader<'d> {
    pub(crate) edition: Edition,
    pub(crate) definitions: Definitions<'d>,
    pub(super) base_url: &'d str,
    operation: Operation,
    vendor: &'d BTreeMap<String, VendorParameter>,
    unsupported: &'d BTreeSet<String>,
    filter_sets: FilterSets,
    lenient: bool,
    problems: Vec<Issue>,
    notices: Vec<Issue>,
}

impl<'d> Reader<'d> {
    pub(crate) fn new(
        config: &'d EndpointConfig,
        definitions: Definitions<'d>,
        operation: Operation,
        edition: Edition,
        request: &Request<'_>,
    ) -> Self {
        Self {
            edition,
            definitions,
            base_url: config.base_url.as_str(),
            operation,
            vendor: &config.vendor_parameters,
            unsupported: &config.unsupported_parameters,
            filter_sets: config.filter_sets,
            lenient: Prefer::of(request).handling == Some(Handling::Lenient),
            problems: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The deployment's own parameter of that name, if it is one of this operation.
    pub(super) fn vendor_parameter(&self, name: &str) -> Option<&'d VendorParameter> {
        self.vendor.get(name).filter(|parameter| parameter.operations.contains(&self.operation))
    }

    pub(super) fn problem(&mut self, issue: Issue) {
        self.problems.push(issue);
    }

    /// A problem that lenient handling turns into a notice.
    pub(super) fn tolerable(&mut self, issue: Issue) {
        if self.lenient { self.notices.push(issue.as_warning()) } else { self.problem(issue) }
    }
}

/// Reads a kick-off request whose route has been found. `url` is the absolute kick-off URL.
pub(crate) fn read(
    mut reader: Reader<'_>,
    request: &Request<'_>,
    level: Level,
    url: String,
) -> Result<KickOff, Refusal> {
    let target = Target::parse(request.target);
    let given = if request.method == "POST" {
        if !target.query.is_empty() {
            let diagnostics = "the parameters of a POST kick-off belong in its body, not in the URL";
            reader.problem(Issue::error(IssueCode::Invalid, diagnostics));
        }
        from_parameters::given(request.body, &mut reader)
    } else {
        from_query::given(&target, &mut reader)
    };
    let besides_patients = given.iter().filter(|one| one.name != "patient").count();
    if besides_patients > PARAMETERS_MAX {
        return Err(Refusal::new(
            400,
            Issue::error(IssueCode::TooLong, format!("more than {PARAMETERS_MAX} parameters")),
        ));
    }
    let mut kick_off = KickOff {
        operation: reader.operation,
        edition: reader.edition,
        separate_status: false,
        lenient: reader.lenient,
        vendor_parameters: BTreeMap::new(),
        level,
        patients: None,
        request: url,
        types: None,
        type_filters: Vec::new(),
        value_sets: Vec::new(),
        withheld: BTreeSet::new(),
        since: None,
        until: None,
        elements: Elements::default(),
        provenance: Provenance::default(),
        organize: Organize::default(),
        file_sizes: FileSizes::default(),
        partial_manifests: false,
        notices: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for one in &given {
        if seen.insert(one.name.as_str()) {
            let values: Vec<_> = given.iter().filter(|other| other.name == one.name).collect();
            read_parameter(&mut reader, &mut kick_off, &one.name, &values);
        }
    }
    check_compartment(&mut reader, &kick_off);
    check_window(&mut reader, &kick_off);
    check_organized(&mut reader, &mut kick_off);
    check_file_sizes(&mut reader, &kick_off);
    kick_off.notices = reader.notices;
    if reader.problems.is_empty() {
        Ok(kick_off)
    } else {
        Err(Refusal { status: 400, issues: reader.problems, headers: Vec::new() })
    }
}

fn read_parameter(reader: &mut Reader<'_>, kick_off: &mut KickOff, name: &str, values: &[&Given<'_>]) {
    if let Some(declared) = reader.vendor_parameter(name) {
        return read_vendor_parameter(reader, kick_off, name, declared, values);
    }
    if reader.operation == Operation::EhiExport && name != "_outputFormat" {
        let own: Vec<_> = reader.vendor.iter().filter(|(name, _)| reader.vendor_parameter(name).is_some()).collect();
        let own = own.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let own =
            if own.is_empty() { String::from("this server has none") } else { format!("this server's are {own}") };
        let diagnostics = format!("`{}` is no parameter of `$ehi-export`; {own}", shown(name));
        return reader.tolerable(Issue::error(IssueCode::NotSupported, diagnostics).about(shown(name)));
    }
    let Some(parameter) = parameter::find(name) else {
        let supported = parameter::supported_names(reader.edition, reader.unsupported);
        let diagnostics = format!("unknown parameter `{}`; supported are {supported}", shown(name));
        return reader.tolerable(Issue::error(IssueCode::NotSupported, diagnostics).about(shown(name)));
    };
    if values.len() > 1 && !parameter.repeats {
        let diagnostics = format!("`{name}` may be given once");
        return reader.problem(Issue::error(IssueCode::Value, diagnostics).about(name));
    }
    if reader.unsupported.contains(name) {
        let diagnostics = format!("`{name}` is not supported by this server");
        let issue = Issue::error(IssueCode::NotSupported, diagnostics).about(name);
        // To ignore what narrows an export would export what was not asked for.
        return if parameter.narrows { reader.problem(issue) } else { reader.tolerable(issue) };
    }
    if reader.edition < parameter.since {
        let came = if parameter.since == Edition::Stu3 { "3.0" } else { "the ballot of 4.0" };
        let diagnostics = format!("`{name}` is no parameter of this edition; it came with {came}");
        return reader.tolerable(Issue::error(IssueCode::NotSupported, diagnostics).about(name));
    }
    // Of those that do not repeat there is one value.
    let each = values.iter().map(|value| value.text.as_str());
    match name {
        "_outputFormat" => each.for_each(|text| read_output_format(reader, text)),
        "_since" => each.for_each(|text| kick_off.since = read_instant(reader, name, text)),
        "_until" => each.for_each(|text| kick_off.until = read_instant(reader, name, text)),
        "_minimumFileSize" => each.for_each(|text| kick_off.file_sizes.min = read_size(reader, name, text)),
        "_maximumFileSize" => each.for_each(|text| kick_off.file_sizes.max = read_size(reader, name, text)),
        "allowPartialManifests" => each.for_each(|text| kick_off.partial_manifests = read_truth(reader, name, text)),
        "organizeOutputBy" => each.for_each(|text| kick_off.organize = read_organize(reader, text)),
        "_elements" => kick_off.elements = read_elements(reader, values),
        "includeAssociatedData" => kick_off.provenance = associated::read(reader, values),
        "_type" => kick_off.types = Some(read_types(reader, values)),
        "patient" => kick_off.patients = Some(patients::read(reader, &kick_off.level, values)),
        _ => read_type_filters(reader, kick_off, values),
    }
}

/// A parameter of the deployment's own: taken as it is, if it is one of the values that it may have (EHI-KICK-03).
fn read_vendor_parameter(
    reader: &mut Reader<'_>,
    kick_off: &mut KickOff,
    name: &str,
    declared: &VendorParameter,
    values: &[&Given<'_>],
) {
    for value in values {
        let fits = declared.values.is_empty() && value.text.len() <= VENDOR_VALUE_BYTES_MAX;
        if !fits && !declared.values.contains(&value.text) {
            let known = declared.values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
            let known =
                if known.is_empty() { format!("a text of at most {VENDOR_VALUE_BYTES_MAX} bytes") } else { known };
            let diagnostics = format!("`{name}` takes {known}");
            reader.problem(Issue::error(IssueCode::Value, diagnostics).about(name));
        }
        kick_off.vendor_parameters.entry(name.to_owned()).or_default().push(value.text.clone());
    }
}

/// BD-OUTF-03, where a `+` may have become a space on the way.
fn read_output_format(reader: &mut Reader<'_>, text: &str) {
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().replace(' ', "+");
    if !OUTPUT_FORMATS.contains(&media_type.as_str()) {
        let diagnostics = format!(
            "unsupported `_outputFormat`; supported are {}",
            OUTPUT_FORMATS.map(|f| format!("`{f}`")).join(", ")
        );
        reader.problem(Issue::error(IssueCode::NotSupported, diagnostics).about("_outputFormat"));
    }
}

/// BD-SINCE-01.
fn read_instant(reader: &mut Reader<'_>, name: &str, text: &str) -> Option<Timestamp> {
    let instant = Timestamp::parse_instant(text);
    if let Err(error) = &instant {
        reader.problem(Issue::error(IssueCode::Value, format!("`{name}` is {error}")).about(name));
    }
    instant.ok()
}

/// A FHIR `boolean`.
fn read_truth(reader: &mut Reader<'_>, name: &str, text: &str) -> bool {
    let truth = text.parse();
    if truth.is_err() {
        reader.problem(Issue::error(IssueCode::Value, format!("`{name}` is `true` or `false`")).about(name));
    }
    truth.unwrap_or_default()
}

/// A FHIR `positiveInt` (BD4-08).
fn read_size(reader: &mut Reader<'_>, name: &str, text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let size = text.parse().ok().filter(|size| digits && (1..=POSITIVE_INT_MAX).contains(size));
    if size.is_none() {
        let diagnostics = format!("`{name}` is a number of bytes from 1 to {POSITIVE_INT_MAX}");
        reader.problem(Issue::error(IssueCode::Value, diagnostics).about(name));
    }
    size
}

/// BD-TYPE-01, BD-TYPE-07, BD-KICK-08: repeats are one comma list (4.0: one type each), empty items are harmless.
fn read_types(reader: &mut Reader<'_>, values: &[&Given<'_>]) -> BTreeSet<ResourceType> {
    let mut types = BTreeSet::new();
    if values.iter().all(|value| value.text.split(',').all(|name| name.trim().is_empty())) {
        reader.problem(Issue::error(IssueCode::Value, "`_type` names no resource type").about("_type"));
    }
    for value in values {
        if reader.edition == Edition::Stu4Ballot && value.text.contains(',') {
            let diagnostics = "`_type` holds a list: in this edition it names one type and is repeated";
            reader.problem(Issue::error(IssueCode::Value, diagnostics).about("_type"));
        }
        for name in value.text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match reader.definitions.resource_type(name) {
                Some(resource_type) => {
                    types.insert(resource_type);
                }
                None => {
                    let diagnostics = format!("unknown resource type `{}` in `_type`", shown(name));
                    reader.tolerable(Issue::error(IssueCode::Value, diagnostics).about("_type"));
                }
            }
        }
    }
    types
}

/// BD-TF-13: what cannot be read or evaluated is refused by name. Under lenient handling such a query is dropped whole
/// and reported (BD-TF-14); a type left without any query then exports nothing. What cannot be told to be one query of
/// one type cannot be dropped.
fn read_type_filters(reader: &mut Reader<'_>, kick_off: &mut KickOff, values: &[&Given<'_>]) {
    let sources: Vec<_> = values
        .iter()
        .map(|value| value.raw.map_or(TypeFilterSource::Post(&value.text), TypeFilterSource::Get))
        .collect();
    let (mut kept, mut dropped) = (BTreeSet::new(), BTreeSet::new());
    let mut sets = AskedSets::new(reader.filter_sets);
    // When it is evaluated makes no difference to whether it can be.
    let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
    for query in type_filter::parse_each(&sources, reader.edition, &reader.definitions) {
        // What a query asks for that is dropped is not asked for.
        let mut with_it = sets.clone();
        let checked = query.map_err(|error| vec![error]).and_then(|query| {
            let queries = std::slice::from_ref(&query);
            Filter::compile_with_sets(queries, &reader.definitions, &context, &mut with_it).map(|_| query)
        });
        match checked {
            Ok(query) => {
                let number = u32::try_from(kick_off.type_filters.len()).unwrap_or(u32::MAX);
                let asked = with_it.take_unknown().into_iter();
                kick_off.value_sets.extend(asked.map(|(url, error)| ValueSetAsked {
                    url,
                    query: number,
                    unknown: error.to_string(),
                }));
                sets = with_it;
                kept.insert(query.resource_type().clone());
                kick_off.type_filters.push(query.with_targets(&reader.definitions).to_string());
            }
            Err(errors) => {
                for error in errors {
                    let issue = Issue::error(IssueCode::Value, error.to_string()).about("_typeFilter");
                    match error.resource_type().filter(|_| error.concerns_one_query()) {
                        Some(resource_type) => {
                            dropped.insert(resource_type.clone());
                            reader.tolerable(issue);
                        }
                        None => reader.problem(issue),
                    }
                }
            }
        }
    }
    kick_off.withheld.extend(dropped.difference(&kept).cloned());
}

/// BD-TYPE-04: a patient-level request for nothing that the Patient compartment holds.
fn check_compartment(reader: &mut Reader<'_>, kick_off: &KickOff) {
    let Some(types) = kick_off.types.as_ref().filter(|types| kick_off.level.is_of_patients() && !types.is_empty())
    else {
        return;
    };
    if !types.iter().any(|t| reader.definitions.in_patient_compartment(t.as_str())) {
        let diagnostics =
            "none of the types in `_type` is in the Patient compartment, which is what this level exports";
        reader.tolerable(Issue::error(IssueCode::NotSupported, diagnostics).about("_type"));
    }
}

/// BD-ELEM-03. Under lenient handling the parameter is dropped whole: more may be returned than was asked for (BD-ELEM-07).
fn read_elements(reader: &mut Reader<'_>, values: &[&Given<'_>]) -> Elements {
    let texts: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
    Elements::parse(&texts, &reader.definitions).unwrap_or_else(|errors| {
        for error in errors {
            reader.tolerable(Issue::error(IssueCode::Value, error.to_string()).about("_elements"));
        }
        Elements::default()
    })
}

/// BD-UNTIL-04: a window in which nothing can lie was not meant.
fn check_window(reader: &mut Reader<'_>, kick_off: &KickOff) {
    if kick_off.since.zip(kick_off.until).is_some_and(|(since, until)| until <= since) {
        let diagnostics = "`_until` is not later than `_since`, so nothing can lie between them";
        reader.problem(Issue::error(IssueCode::Value, diagnostics).about("_until"));
    }
}

/// BD4-08.
fn check_file_sizes(reader: &mut Reader<'_>, kick_off: &KickOff) {
    let FileSizes { min, max } = kick_off.file_sizes;
    if min.zip(max).is_some_and(|(min, max)| max <= min) {
        let diagnostics = "`_maximumFileSize` is not greater than `_minimumFileSize`";
        reader.problem(Issue::error(IssueCode::Value, diagnostics).about("_maximumFileSize"));
    }
}

/// BD-ORG-01. Under lenient handling output is then by type.
fn read_organize(reader: &mut Reader<'_>, text: &str) -> Organize {
    let diagnostics = match text {
        "Patient" => return Organize::ByPatient,
        _ if reader.definitions.resource_type(text).is_some() => {
            "this server organizes output by `Patient` only, not by the type in `organizeOutputBy`"
        }
        _ => "`organizeOutputBy` names no resource type; this server organizes output by `Patient`",
    };
    reader.tolerable(Issue::error(IssueCode::NotSupported, diagnostics).about("organizeOutputBy"));
    Organize::ByType
}

/// Blocks hold what the Patient compartment holds. Associated data are found by what was exported, which takes files by type.
fn check_organized(reader: &mut Reader<'_>, kick_off: &mut KickOff) {
    if kick_off.organize == Organize::ByPatient && kick_off.provenance != Provenance::Unasked {
        let diagnostics = "`includeAssociatedData` is not supported together with `organizeOutputBy`";
        reader.tolerable(Issue::error(IssueCode::NotSupported, diagnostics).about("includeAssociatedData"));
        kick_off.provenance = Provenance::Unasked;
    }
}

/// Of a FHIR `positiveInt`.
const POSITIVE_INT_MAX: u32 = 2_147_483_647;

const OUTPUT_FORMATS: [&str; 3] = ["application/fhir+ndjson", "application/ndjson", "ndjson"];

/// Enough for a name or a date; a document belongs elsewhere.
const VENDOR_VALUE_BYTES_MAX: usize = 1_000;

/// More than the longest request that makes sense: one `_typeFilter` for each search parameter of a few types (BD-SEC-10).
const PARAMETERS_MAX: usize = 1_000;

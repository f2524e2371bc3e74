//! A chain is the join that it looks like.

use std::collections::BTreeSet;

use super::*;

/// A small hospital, from which both the lines and the naive join are made.
#[derive(Clone, Debug)]
struct Hospital {
    /// Family name, and whether withheld.
    practitioners: Vec<(usize, bool)>,
    /// Family name, gender, whether withheld, and references to practitioners.
    patients: Vec<(usize, bool, bool, Vec<Reference>)>,
    /// Reference to a patient, references to practitioners, and a code.
    observations: Vec<(Reference, Vec<Reference>, usize)>,
}

/// To the resource of that number, in a form that may lead nowhere.
#[derive(Clone, Debug)]
struct Reference(usize, usize);

impl Reference {
    fn json(&self, resource_type: &str, prefix: &str) -> serde_json::Value {
        let Self(number, form) = self;
        let text = match form {
            0 => format!("{resource_type}/{prefix}{number}"),
            1 => format!("{BASE}/{resource_type}/{prefix}{number}"),
            2 => format!("{resource_type}/{prefix}{number}/_history/7"),
            3 => format!("https://other.example/fhir/{resource_type}/{prefix}{number}"),
            _ => format!("#{prefix}{number}"),
        };
        json!({ "reference": text })
    }

    fn target(&self) -> Option<usize> {
        (self.1 < 3).then_some(self.0)
    }
}

impl Hospital {
    fn lines(&self) -> String {
        let name = |number: &usize| json!([{ "family": NAMES[*number] }]);
        let meta = |withheld: bool| {
            let label = withheld.then(|| json!({ "system": "s", "code": "R" }));
            json!({ "security": label.into_iter().collect::<Vec<_>>() })
        };
        let all = |references: &[Reference]| references.iter().map(|r| r.json("Practitioner", "d")).collect::<Vec<_>>();
        let practitioners = self.practitioners.iter().enumerate().map(|(n, (family, withheld))| {
            json!({ "resourceType": "Practitioner", "id": format!("d{n}"), "meta": meta(*withheld), "name": name(family) })
        });
        let patients = self.patients.iter().enumerate().map(|(n, (family, male, withheld, general))| {
            json!({ "resourceType": "Patient", "id": format!("p{n}"), "meta": meta(*withheld), "name": name(family),
                "gender": if *male { "male" } else { "female" }, "generalPractitioner": all(general) })
        });
        let observations = self.observations.iter().enumerate().map(|(n, (subject, performers, code))| {
            json!({ "resourceType": "Observation", "id": format!("o{n}"), "subject": subject.json("Patient", "p"),
                "performer": all(performers), "code": { "coding": [{ "system": "http://s", "code": CODES[*code] }] } })
        });
        // Whatever is referred to comes last.
        let lines = observations.chain(patients).chain(practitioners);
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The Observations that a query selects, found by following references.
    fn selected(&self, listed: &dyn Fn(usize) -> bool, holds: &Question) -> Vec<String> {
        let practitioner = |reference: &Reference| {
            let found = reference.target().and_then(|number| self.practitioners.get(number));
            found.filter(|(_, withheld)| !withheld).map(|(family, _)| *family)
        };
        let patient = |reference: &Reference| {
            let number = reference.target().filter(|number| listed(*number))?;
            self.patients.get(number).filter(|(_, _, withheld, _)| !withheld)
        };
        let is_selected = |(subject, performers, code): &(Reference, Vec<Reference>, usize)| {
            let families: Vec<_> = performers.iter().filter_map(practitioner).collect();
            let subject = patient(subject).map(|(family, male, _, general)| {
                (*family, *male, general.iter().filter_map(practitioner).collect::<Vec<_>>())
            });
            holds(subject.as_ref(), &families, *code)
        };
        let is_in = |reference: &Reference| reference.target().is_some_and(listed);
        let numbered = self.observations.iter().enumerate().filter(|(_, one)| is_in(&one.0) && is_selected(one));
        let mut names: Vec<_> = numbered.map(|(n, _)| format!("Observation/o{n}")).collect();
        names.sort();
        names
    }
}

/// Asked of the patient (name, gender, names of general practitioners), the names of the performers, and the code.
type Question = dyn Fn(Option<&(usize, bool, Vec<usize>)>, &[usize], usize) -> bool;

const NAMES: [&str; 2] = ["Nye", "Doe"];
const CODES: [&str; 3] = ["a", "b", "c"];

fn questions() -> Vec<(&'static [&'static str], Box<Question>)> {
    vec![
        (&["Observation?subject:Patient.name=nye"], Box::new(|who, _, _| who.is_some_and(|who| who.0 == 0))),
        (&["Observation?patient.gender:not=male"], Box::new(|who, _, _| who.is_some_and(|who| !who.1))),
        (&["Observation?performer:Practitioner.name=doe"], Box::new(|_, performers, _| performers.contains(&1))),
        (
            &["Observation?performer:Practitioner.name=doe&performer:Practitioner.name=nye"],
            Box::new(|_, performers, _| performers.contains(&1) && performers.contains(&0)),
        ),
        (
            &["Observation?subject:Patient.general-practitioner:Practitioner.name=doe"],
            Box::new(|who, _, _| who.is_some_and(|who| who.2.contains(&1))),
        ),
        (&["Observation?patient.name=nye,doe&code:in=http://v"], Box::new(|who, _, code| who.is_some() && code < 2)),
        (
            &["Observation?code:not-in=http://v", "Observation?patient.gender=male&performer:Practitioner.name=nye"],
            Box::new(|who, performers, code| code == 2 || who.is_some_and(|who| who.1) && performers.contains(&0)),
        ),
    ]
}

fn hospital() -> impl Strategy<Value = Hospital> {
    let reference = || (0..4_usize, 0..5_usize).prop_map(|(number, form)| Reference(number, form));
    let references = || prop::collection::vec(reference(), 0..3);
    let withheld = || prop::sample::select(vec![false, false, true]);
    (
        prop::collection::vec((0..2_usize, withheld()), 0..4),
        prop::collection::vec((0..2_usize, any::<bool>(), withheld(), references()), 0..4),
        prop::collection::vec((reference(), references(), 0..3_usize), 0..8),
    )
        .prop_map(|(practitioners, patients, observations)| Hospital { practitioners, patients, observations })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_chain_is_the_join_that_it_looks_like(hospital in hospital(), of_group in any::<bool>()) {
        let deployment = Deployment::new().with("withheldLabels", json!(["s|R"]));
        let (level, listed): (_, &dyn Fn(usize) -> bool) = if of_group { (GROUP, &|number| number < 2) } else { ("/Patient", &|_| true) };
        let data = hospital.lines();
        for (queries, question) in questions() {
            let plan = deployment.plan(level, queries).unwrap();
            let host = Host::new(&plan, &data);
            let exported: BTreeSet<_> = host.export().into_iter().filter(|name| name.starts_with("Observation")).collect();
            let expected: BTreeSet<_> = hospital.selected(listed, &*question).into_iter().collect();
            prop_assert_eq!(exported, expected, "{:?}", queries);
        }
    }
}

//! Groups of patients: about half of them, a few, and nobody.

use super::SampleOptions;
use super::chart::{padded, patient_address};
use super::directory::SITES;
use super::elements::{identifier, named_reference, reference, shared_resource};
use super::json::Object;
use super::output::{Kind, Output};
use super::random::{Draw, Subject};

/// Writes the groups. Their members are counted first and streamed then, since there may be very many.
pub(super) fn write(options: &SampleOptions, output: &mut Output) -> anyhow::Result<()> {
    let mut draw = Draw::new(options.seed, Subject::Group, 0);
    for group in &GROUPS {
        let count = group.members(options).count();
        output.part(Kind::Group, &head(group, count, &mut draw).into_unclosed_text())?;
        for (nth, number) in group.members(options).enumerate() {
            output.part(Kind::Group, if nth == 0 { ",\"member\":[" } else { "," })?;
            output.part(Kind::Group, &member(number))?;
        }
        // FHIR knows no empty array, so a group of nobody has no members at all.
        output.part(Kind::Group, if count == 0 { "}" } else { "]}" })?;
        output.end_line(Kind::Group)?;
    }
    Ok(())
}

struct Group {
    id: &'static str,
    name: &'static str,
    membership: Membership,
}

impl Group {
    /// The numbers of the patients who belong to the group.
    fn members(&self, options: &SampleOptions) -> impl Iterator<Item = u32> {
        let seed = options.seed;
        (1..=options.patients).filter(move |number| self.membership.includes(*number, seed))
    }
}

enum Membership {
    AboutHalf,
    AFew,
    Nobody,
}

impl Membership {
    fn includes(&self, number: u32, seed: u64) -> bool {
        match self {
            Self::AboutHalf => Draw::new(seed, Subject::Membership, number).chance(50),
            Self::AFew => number <= FEW_COME_FROM && number % 3 == 1,
            Self::Nobody => false,
        }
    }
}

fn head(group: &Group, count: usize, draw: &mut Draw) -> Object {
    let site = &SITES.first;
    shared_resource(Kind::Group, group.id, draw)
        .list("identifier", [identifier("group", group.id)])
        .field("active", true)
        .field("type", "person")
        .field("actual", true)
        .field("name", group.name)
        .field("quantity", count)
        .field("managingEntity", named_reference(&site.organization(), site.name))
}

fn member(number: u32) -> String {
    Object::new().field("entity", reference(&patient_address(&padded(number)))).into_text()
}

/// The few are every third of the first patients, so that even a small set has some.
const FEW_COME_FROM: u32 = 13;

static GROUPS: [Group; 3] = [
    Group { id: "group-a", name: "About half of all patients", membership: Membership::AboutHalf },
    Group { id: "group-b", name: "A few \"VIP\" patients ⭐", membership: Membership::AFew },
    Group { id: "group-empty", name: "Nobody", membership: Membership::Nobody },
];

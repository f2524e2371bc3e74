//! Groups of patients: about half of them, a few, and nobody.

use super::SampleOptions;
use super::chart::{padded, patient_address};
use super::directory::SITES;
use super::elements::{identifier, named_reference, reference, shared_resource};
use super::json::Object;
use super::output::{Kind, Output};
use super::random::{Draw, Subject};

/// Writes the groups. Their members are counted first and then streamed, since there may be very many.
pub(super) fn write(options: &SampleOptions, output: &mut Output) -> anyhow::Result<()> {
    let mut draw = Draw::new(options.seed, Subject::Group, 0);
    for kind in GROUPS {
        let head = head(&kind, options, &mut draw).into_unclosed_text();
        output.part(Kind::Group, &head)?;
        for (nth, number) in kind.members(options).enumerate() {
            output.part(Kind::Group, if nth == 0 { ",\"member\":[" } else { "," })?;
            output.part(Kind::Group, &member(number))?;
        }
        let is_empty = kind.members(options).next().is_none();
        output.part(Kind::Group, if is_empty { "}" } else { "]}" })?;
        output.end_line(Kind::Group)?;
    }
    Ok(())
}

struct GroupKind {
    id: &'static str,
    name: &'static str,
    membership: Membership,
}

enum Membership {
    AboutHalf,
    AFew,
    Nobody,
}

impl GroupKind {
    /// The numbers of those who belong to the group.
    fn members(&self, options: &SampleOptions) -> impl Iterator<Item = u32> {
        let seed = options.seed;
        let last = match self.membership {
            Membership::AboutHalf => options.patients,
            Membership::AFew => options.patients.min(FEW_COME_FROM),
            Membership::Nobody => 0,
        };
        let is_half = matches!(self.membership, Membership::AboutHalf);
        (1..=last).filter(move |number| {
            if is_half { Draw::new(seed, Subject::Membership, *number).chance(50) } else { number % 3 == 1 }
        })
    }
}

fn head(kind: &GroupKind, options: &SampleOptions, draw: &mut Draw) -> Object {
    let site = &SITES.first;
    shared_resource(Kind::Group, kind.id, draw)
        .list("identifier", [identifier("group", kind.id)])
        .field("active", true)
        .field("type", "person")
        .field("actual", true)
        .field("name", kind.name)
        .field("quantity", kind.members(options).count())
        .field("managingEntity", named_reference(&site.organization(), site.name))
}

fn member(number: u32) -> String {
    Object::new().field("entity", reference(&patient_address(&padded(number)))).into_text()
}

/// The few are every third of the first patients, so that even a small set has some.
const FEW_COME_FROM: u32 = 13;

const GROUPS: [GroupKind; 3] = [
    GroupKind { id: "group-a", name: "About half of all patients", membership: Membership::AboutHalf },
    GroupKind { id: "group-b", name: "A few \"VIP\" patients ⭐", membership: Membership::AFew },
    GroupKind { id: "group-empty", name: "Nobody", membership: Membership::Nobody },
];

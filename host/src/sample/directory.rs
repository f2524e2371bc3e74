//! What the patients share: the sites, the insurers, the clinicians and the formulary. It depends on the seed alone.

use super::calendar::Zone;
use super::codes::{Code, hl7, nucc, snomed};
use super::elements::{address, fictitious_phone, identifier, named_reference, reference, shared_resource};
use super::json::{Decimal, Object};
use super::medications::{Drug, formulary};
use super::names::Name;
use super::output::{Kind, Output};
use super::random::{Draw, Subject, Table, table};

/// Writes the whole directory.
pub(super) fn write(seed: u64, output: &mut Output) -> anyhow::Result<()> {
    let mut draw = Draw::new(seed, Subject::Directory, 0);
    for site in SITES.entries() {
        output.resource(Kind::Organization, site_organization(site, &mut draw))?;
        output.resource(Kind::Location, site_location(site, &mut draw))?;
        for clinician in site.clinicians(seed) {
            output.resource(Kind::Practitioner, practitioner(&clinician, &mut draw))?;
            output.resource(Kind::PractitionerRole, practitioner_role(&clinician, &mut draw))?;
        }
    }
    for insurer in INSURERS.entries() {
        output.resource(Kind::Organization, insurer_organization(insurer, &mut draw))?;
    }
    for drug in formulary() {
        output.resource(Kind::Medication, medication(drug, &mut draw))?;
    }
    Ok(())
}

/// A place where patients are seen.
pub(super) struct Site {
    key: &'static str,
    pub(super) name: &'static str,
    kind: Code,
    pub(super) area: &'static str,
    pub(super) city: &'static str,
    pub(super) state: &'static str,
    pub(super) postal_code: &'static str,
    pub(super) country: &'static str,
    pub(super) language: Code,
    pub(super) zone: Zone,
    latitude: Decimal,
    longitude: Decimal,
    first_clinician: u32,
}

impl Site {
    pub(super) fn organization(&self) -> String {
        address(Kind::Organization, &format!("org-{}", self.key))
    }

    pub(super) fn location(&self) -> String {
        address(Kind::Location, &format!("loc-{}", self.key))
    }

    /// One of those who work here.
    pub(super) fn clinician(&'static self, seed: u64, draw: &mut Draw) -> Clinician {
        Clinician::new(seed, self, draw.below(CLINICIANS_PER_SITE))
    }

    fn clinicians(&'static self, seed: u64) -> impl Iterator<Item = Clinician> {
        (0..CLINICIANS_PER_SITE).map(move |nth| Clinician::new(seed, self, nth))
    }
}

/// Someone who treats patients. Made anew from the seed whenever needed, so that nobody has to be kept.
pub(super) struct Clinician {
    id: String,
    gender: &'static str,
    name: Name,
    specialty: &'static Code,
    pub(super) site: &'static Site,
}

impl Clinician {
    pub(super) fn address(&self) -> String {
        address(Kind::Practitioner, &format!("prac-{}", self.id))
    }

    pub(super) fn reference(&self) -> Object {
        named_reference(&self.address(), &self.display())
    }

    pub(super) fn display(&self) -> String {
        format!("Dr. {}", self.name.display())
    }

    fn new(seed: u64, site: &'static Site, nth: u32) -> Self {
        let number = site.first_clinician + nth;
        let mut draw = Draw::new(seed, Subject::Clinician, number);
        let gender = if draw.chance(55) { "female" } else { "male" };
        Self {
            id: format!("{number:02}"),
            gender,
            name: Name::drawn(gender, &mut draw),
            specialty: draw.pick(&SPECIALTIES),
            site,
        }
    }
}

/// Who pays.
pub(super) struct Insurer {
    key: &'static str,
    pub(super) name: &'static str,
    pub(super) plan: Code,
}

impl Insurer {
    pub(super) fn address(&self) -> String {
        address(Kind::Organization, &format!("org-{}", self.key))
    }
}

fn site_organization(site: &Site, draw: &mut Draw) -> Object {
    shared_resource(Kind::Organization, &format!("org-{}", site.key), draw)
        .list("identifier", [identifier("organization", site.key)])
        .field("active", true)
        .list("type", [site.kind.concept()])
        .field("name", site.name)
        .list("telecom", [fictitious_phone(site.area, "work", draw)])
        .list("address", [site_address(site, draw)])
}

fn site_location(site: &Site, draw: &mut Draw) -> Object {
    let position = Object::new().field("longitude", site.longitude).field("latitude", site.latitude);
    shared_resource(Kind::Location, &format!("loc-{}", site.key), draw)
        .field("status", "active")
        .field("name", format!("{}, main building", site.name))
        .field("mode", "instance")
        .list("type", [hl7("v3-RoleCode", "HOSP", "Hospital").concept()])
        .list("telecom", [fictitious_phone(site.area, "work", draw)])
        .field("address", site_address(site, draw))
        .field("physicalType", hl7("location-physical-type", "bu", "Building").concept())
        .field("position", position)
        .field("managingOrganization", named_reference(&site.organization(), site.name))
}

fn site_address(site: &Site, draw: &mut Draw) -> Object {
    let line = format!("{} Fictional Way", 1 + draw.below(900));
    Object::new()
        .field("use", "work")
        .list("line", [line])
        .field("city", site.city)
        .field("state", site.state)
        .field("postalCode", site.postal_code)
        .field("country", site.country)
}

fn practitioner(clinician: &Clinician, draw: &mut Draw) -> Object {
    let email = format!("prac-{}@example.org", clinician.id);
    let email = Object::new().field("system", "email").field("value", email).field("use", "work");
    let qualification = hl7("v2-0360/2.7", "MD", "Doctor of Medicine").concept();
    shared_resource(Kind::Practitioner, &format!("prac-{}", clinician.id), draw)
        .list("identifier", [identifier("practitioner", &clinician.id)])
        .field("active", true)
        .list("name", clinician.name.human_names(Some("Dr.")))
        .list("telecom", [fictitious_phone(clinician.site.area, "work", draw), email])
        .field("gender", clinician.gender)
        .list("qualification", [Object::new().field("code", qualification)])
}

fn practitioner_role(clinician: &Clinician, draw: &mut Draw) -> Object {
    let hours = Object::new()
        .list("daysOfWeek", ["mon", "tue", "thu"])
        .field("availableStartTime", "08:30:00")
        .field("availableEndTime", "16:00:00");
    shared_resource(Kind::PractitionerRole, &format!("role-{}", clinician.id), draw)
        .field("active", true)
        .field("practitioner", clinician.reference())
        .field("organization", named_reference(&clinician.site.organization(), clinician.site.name))
        .list("code", [hl7("practitioner-role", "doctor", "Doctor").concept()])
        .list("specialty", [clinician.specialty.concept()])
        .list("location", [reference(&clinician.site.location())])
        .list("telecom", [fictitious_phone(clinician.site.area, "work", draw)])
        .list("availableTime", [hours])
}

fn insurer_organization(insurer: &Insurer, draw: &mut Draw) -> Object {
    shared_resource(Kind::Organization, &format!("org-{}", insurer.key), draw)
        .list("identifier", [identifier("organization", insurer.key)])
        .field("active", true)
        .list("type", [hl7("organization-type", "pay", "Payer").concept()])
        .field("name", insurer.name)
}

fn medication(drug: &Drug, draw: &mut Draw) -> Object {
    let batch = Object::new().field("lotNumber", format!("L{:05}", draw.below(100_000)));
    shared_resource(Kind::Medication, drug.id, draw)
        .field("code", drug.code.concept())
        .field("status", "active")
        .field("form", TABLET.concept())
        .field("batch", batch)
}

const CLINICIANS_PER_SITE: u32 = 4;

const PROVIDER: Code = hl7("organization-type", "prov", "Healthcare Provider");
const TEACHING: Code = hl7("organization-type", "edu", "Educational Institute");
const ENGLISH: Code = super::codes::language("en", "English");
static TABLET: Code = snomed("385055001", "Tablet");

pub(super) static SITES: Table<Site> = table![
    Site {
        key: "boston",
        name: "Harbor & Hill Clinic",
        kind: PROVIDER,
        area: "617",
        city: "Boston",
        state: "MA",
        postal_code: "02108",
        country: "US",
        language: ENGLISH,
        zone: Zone::new(-300, "-05:00"),
        latitude: Decimal { units: 423_600, scale: 4 },
        longitude: Decimal { units: -710_600, scale: 4 },
        first_clinician: 1,
    },
    Site {
        key: "denver",
        name: "\"Mile High\" Family Practice",
        kind: PROVIDER,
        area: "303",
        city: "Denver",
        state: "CO",
        postal_code: "80202",
        country: "US",
        language: ENGLISH,
        zone: Zone::new(-420, "-07:00"),
        latitude: Decimal { units: 3_974, scale: 2 },
        longitude: Decimal { units: -104_990, scale: 3 },
        first_clinician: 5,
    },
    Site {
        key: "honolulu",
        name: "Hale Ola Pono Hoʻokahi",
        kind: PROVIDER,
        area: "808",
        city: "Honolulu",
        state: "HI",
        postal_code: "96813",
        country: "US",
        language: super::codes::language("haw", "Hawaiian"),
        zone: Zone::new(-600, "-10:00"),
        latitude: Decimal { units: 21_310, scale: 3 },
        longitude: Decimal { units: -15_786, scale: 2 },
        first_clinician: 9,
    },
    Site {
        key: "san-juan",
        name: "Clínica Nuestra Señora del Año Nuevo",
        kind: PROVIDER,
        area: "787",
        city: "San Juan",
        state: "PR",
        postal_code: "00901",
        country: "US",
        language: super::codes::language("es", "Spanish"),
        zone: Zone::new(-240, "-04:00"),
        latitude: Decimal { units: 1_847, scale: 2 },
        longitude: Decimal { units: -661_000, scale: 4 },
        first_clinician: 13,
    },
    Site {
        key: "montreal",
        name: "Hôpital Sainte-Cécile-de-l’Érable",
        kind: TEACHING,
        area: "514",
        city: "Montréal",
        state: "QC",
        postal_code: "H2X 1Y4",
        country: "CA",
        language: super::codes::language("fr", "French"),
        zone: Zone::new(-300, "-05:00"),
        latitude: Decimal { units: 4_550, scale: 2 },
        longitude: Decimal { units: -7_357, scale: 2 },
        first_clinician: 17,
    },
    Site {
        key: "st-johns",
        name: "Signal Cove Health Centre",
        kind: PROVIDER,
        area: "709",
        city: "St. John's",
        state: "NL",
        postal_code: "A1C 5M3",
        country: "CA",
        language: ENGLISH,
        zone: Zone::new(-210, "-03:30"),
        latitude: Decimal { units: 475_600, scale: 4 },
        longitude: Decimal { units: -527_100, scale: 4 },
        first_clinician: 21,
    },
];

pub(super) static INSURERS: Table<Insurer> = table![
    Insurer {
        key: "payer-commonwealth",
        name: "Commonwealth Mutual",
        plan: hl7("v3-ActCode", "EHCPOL", "extended healthcare"),
    },
    Insurer {
        key: "payer-public",
        name: "Public Health Plan",
        plan: hl7("v3-ActCode", "PUBLICPOL", "public healthcare")
    },
    Insurer {
        key: "payer-wellness",
        name: "Très Bien & Söhne Santé",
        plan: hl7("v3-ActCode", "HIP", "health insurance plan policy"),
    },
];

static SPECIALTIES: Table<Code> = table![
    nucc("207Q00000X", "Family Medicine Physician"),
    nucc("207R00000X", "Internal Medicine Physician"),
    nucc("208000000X", "Pediatrics Physician"),
    nucc("207RC0000X", "Cardiovascular Disease Physician"),
    nucc("208D00000X", "General Practice Physician"),
    nucc("207P00000X", "Emergency Medicine Physician"),
];

//! Names for people. They are awkward on purpose: whoever copies records must not change a byte of them.

use super::json::Object;
use super::random::{Draw, Table, table};

/// What a person is called.
pub(super) struct Name {
    family: &'static str,
    given: Vec<&'static str>,
    nickname: Option<&'static str>,
}

impl Name {
    /// A name fit for a gender code; any, if the code is neither `female` nor `male`.
    pub(super) fn drawn(gender: &str, draw: &mut Draw) -> Self {
        let table = match gender {
            "female" => &FEMALE_NAMES,
            "male" => &MALE_NAMES,
            _ if draw.chance(50) => &FEMALE_NAMES,
            _ => &MALE_NAMES,
        };
        Self { family: draw.word(&FAMILY_NAMES), given: vec![draw.word(table)], nickname: None }
    }

    /// A full name: one given name or two, and a nickname now and then.
    pub(super) fn drawn_in_full(gender: &str, draw: &mut Draw) -> Self {
        let mut name = Self::drawn(gender, draw);
        if draw.chance(40) {
            name.given.push(draw.word(&MIDDLE_NAMES));
        }
        if draw.chance(12) {
            name.nickname = Some(draw.word(&NICKNAMES));
        }
        name
    }

    /// Another person of the same family.
    pub(super) fn relative(&self, gender: &str, draw: &mut Draw) -> Self {
        Self { family: self.family, ..Self::drawn(gender, draw) }
    }

    /// Given name and family name.
    pub(super) fn display(&self) -> String {
        match self.given.first() {
            Some(given) => format!("{given} {}", self.family),
            None => self.family.to_owned(),
        }
    }

    /// As HumanNames: the official one, then a nickname.
    pub(super) fn human_names(&self, prefix: Option<&str>) -> Vec<Object> {
        let text = match self.nickname {
            Some(nickname) => format!("{} \"{nickname}\" {}", self.given.join(" "), self.family),
            None => format!("{} {}", self.given.join(" "), self.family),
        };
        let official = Object::new()
            .field("use", "official")
            .field("text", text)
            .field("family", self.family)
            .list("given", &self.given)
            .list("prefix", prefix);
        let nickname = self.nickname.map(|nickname| Object::new().field("use", "nickname").list("given", [nickname]));
        std::iter::once(official).chain(nickname).collect()
    }
}

static FEMALE_NAMES: Table<&str> = table![
    "Maria",
    "Zoë",
    "Zoe\u{308}",
    "Søren-Marie",
    "Þórdís",
    "Nguyệt",
    "Renée",
    "Ángela",
    "Jūratė",
    "Zsófia",
    "Ayşe",
    "Malia",
    "Anne-Sophie",
    "Grace",
    "Ιωάννα",
    "Ольга",
    "美咲",
    "आशा",
    "ليلى",
    "Chloé",
    "Ines",
    "Ruth",
    "Wanjirũ",
    "Ngozi",
    "Florence",
];

static MALE_NAMES: Table<&str> = table![
    "James",
    "José",
    "Jose\u{301}",
    "Björn",
    "Łukasz",
    "Đặng",
    "François",
    "Ólafur",
    "Jānis",
    "György",
    "Çağan",
    "Keoni",
    "Jean-Luc",
    "Samuel",
    "Νίκος",
    "Дмитрий",
    "健太",
    "अर्जुन",
    "يوسف",
    "Noël",
    "Iñigo",
    "Amos",
    "Kofi",
    "Chukwuemeka",
    "Walter",
];

static MIDDLE_NAMES: Table<&str> =
    table!["A.", "Lee", "Marie", "Kai", "Jo", "Ève", "Ángel", "Sun-hee", "del Carmen", "Ō", "T’Challa", "Quinn"];

static NICKNAMES: Table<&str> =
    table!["Sunny 🌻", "Bo", "Ch\"é", "El Niño", "Flash ⚡", "👩🏽‍🚀", "Back\\slash", "Mimi", "🎻", "J & J", "<3"];

static FAMILY_NAMES: Table<&str> = table![
    "Smith",
    "O'Brien",
    "Müller",
    "Muñoz",
    "Nuñez-Ibáñez",
    "Ångström",
    "Sørensen",
    "Łukasiewicz",
    "Dvořák",
    "Nguyễn",
    "D’Angelo",
    "van der Berg",
    "Kahananui",
    "Lefèvre",
    "Fitzgerald",
    "Šimkutė",
    "Kovács",
    "Yılmaz",
    "Παπαδόπουλος",
    "Иванова",
    "田中",
    "शर्मा",
    "حداد",
    "Ndiaye",
    "Okonkwo",
    "Tremblay",
    "MacGhille",
    "Jones",
    "Begay",
    "Ó Súilleabháin",
];

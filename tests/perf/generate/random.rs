//! Randomness that follows from a seed, and what is made of it: ids, instants, prose, base64.

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(mix(seed))
    }
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545F4914F6CDD1D)
    }
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
    pub(crate) fn pick<'a>(&mut self, members: &[&'a str]) -> &'a str {
        members[self.below(members.len() as u64) as usize]
    }
}

fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D049BB133111EB);
    z ^ (z >> 31)
}
pub(crate) fn patient_id(i: u64) -> String {
    let a = mix(i * 2 + 1);
    let b = mix(i * 2 + 2);
    uuid(a, b)
}
fn uuid(a: u64, b: u64) -> String {
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        0x8000 | (b >> 50),
        b & 0xffff_ffff_ffff
    )
}
pub(crate) fn random_id(random: &mut Random) -> String {
    let a = random.next();
    let b = random.next();
    uuid(a, b)
}
pub(crate) fn date(random: &mut Random, y0: u64, y1: u64) -> (u64, u64, u64) {
    (y0 + random.below(y1 - y0 + 1), 1 + random.below(12), 1 + random.below(28))
}
pub(crate) fn instant(random: &mut Random, y0: u64, y1: u64) -> String {
    loop {
        let (y, m, d) = date(random, y0, y1);
        // A few days clear of the bounds that are asked for, so that comparing texts and comparing instants agree.
        if y == 2018 && ((m == 6 && d > 26) || (m == 7 && d < 5)) {
            continue;
        }
        if (y == 2019 && m == 12 && d > 25) || (y == 2020 && m == 1 && d < 4) {
            continue;
        }
        let tz = random.pick(&["-05:00", "-04:00", "Z", "+00:00", "+01:00"]);
        return format!(
            "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}{}{tz}",
            random.below(24),
            random.below(60),
            random.below(60),
            if random.percent(50) { format!(".{:03}", random.below(1000)) } else { String::new() }
        );
    }
}
pub(crate) fn prose(random: &mut Random, n: u64) -> String {
    let mut t = String::new();
    for i in 0..n {
        if i > 0 {
            t.push(' ')
        }
        t.push_str(random.pick(WORDS));
        if random.below(40) == 0 {
            t.push('\n')
        }
        if random.below(60) == 0 {
            t.push_str(" \"quoted\"")
        }
        if random.below(150) == 0 {
            t.push_str(" Müller é ")
        }
    }
    t
}
pub(crate) fn base64(random: &mut Random, n: u64) -> String {
    const A: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut o = String::with_capacity(n as usize);
    let mut w = 0u64;
    for i in 0..n {
        if i % 10 == 0 {
            w = random.next()
        }
        o.push(A[(w & 63) as usize] as char);
        w >>= 6
    }
    o.push_str("==");
    o
}
const WORDS: &[&str] = &[
    "patient",
    "presents",
    "with",
    "history",
    "of",
    "hypertension",
    "laboratory",
    "results",
    "pending",
    "denies",
    "chest",
    "pain",
    "follow-up",
    "in",
    "two",
    "weeks",
    "prescribed",
    "active",
    "medication",
    "normal",
    "limits",
    "blood",
    "pressure",
    "stable",
    "the",
    "and",
    "was",
    "noted",
    "today",
    "final",
];

//! Makes NDJSON as servers in the field write it: ten resource types mixed, order of members and white space varied,
//! escapes, contained resources that look like what is asked for. The same arguments make the same bytes.
//!
//! `generate BYTES OUT [ONLY-TYPE]`, or `generate patients N` for ids that occur in it, one a line, on stdout.
//!
//! Built by `cargo xtask bench`, with rustc alone: it needs no crate.

mod documents;
mod elements;
mod random;
mod resources;
mod write;

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, BufWriter, Write},
};

use random::{Random, patient_id};
use resources::{KINDS, resource};
use write::{Members, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["patients", count] => patients(count.parse()?),
        [bytes, out] => records(bytes.parse()?, out, None),
        [bytes, out, only] => records(bytes.parse()?, out, Some(only)),
        _ => Err("generate BYTES OUT [ONLY-TYPE], or generate patients N".into()),
    }
}

fn patients(count: u64) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(io::stdout());
    for number in 0..count {
        writeln!(out, "{}", patient_id(number))?;
    }
    Ok(out.flush()?)
}

fn records(bytes: u64, out: &str, only: Option<&str>) -> Result<(), Box<dyn Error>> {
    let mut random = Random::from_seed(SEED);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(out)?);
    let mut made = 0;
    let mut line = Vec::new();
    while made < bytes {
        let kind = kind(&mut random);
        let mut members = resource(&mut random, kind);
        reorder(&mut random, &mut members);
        let style = match random.below(100) {
            0..=59 => 0,
            60..=91 => 1,
            92..=96 => 2,
            _ => 3,
        };
        if only.is_some_and(|only| only != KINDS[kind].0) {
            continue;
        }
        line.clear();
        write::write(&mut line, &Value::Object(members), style);
        line.push(b'\n');
        out.write_all(&line)?;
        made += line.len() as u64;
    }
    Ok(out.flush()?)
}

fn kind(random: &mut Random) -> usize {
    let mut number = random.below(1000);
    let of = |(_, share): &(&str, u64)| match number.checked_sub(*share) {
        Some(rest) => {
            number = rest;
            false
        }
        None => true,
    };
    KINDS.iter().position(of).unwrap_or_default()
}

/// Some servers keep no order of members, some write them by name.
fn reorder(random: &mut Random, members: &mut Members) {
    if random.percent(25) {
        for last in (1..members.len()).rev() {
            let other = random.below(last as u64 + 1) as usize;
            members.swap(last, other);
        }
    } else if random.percent(15) {
        members.sort_by_key(|(name, _)| *name);
    }
}

const SEED: u64 = 42;

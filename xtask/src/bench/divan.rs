//! The benches of core, and what their tables say.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::{command, workspace::Workspace};

/// Medians of each bench, by its place in the tables: `writer/split`, `filter/alternatives/1000`.
#[derive(Default)]
pub(super) struct Benches {
    /// Bytes per second, of those that count bytes.
    speeds: BTreeMap<String, f64>,
    seconds: BTreeMap<String, f64>,
}

impl Benches {
    pub(super) fn run(workspace: &Workspace) -> Result<Self> {
        let mut tables = String::new();
        for (package, benches) in BENCHES {
            let mut cargo = workspace.cargo();
            cargo.args(["bench", "-p", package]).args(benches.iter().flat_map(|bench| ["--bench", bench]));
            tables += &command::capture(&mut cargo)?;
        }
        eprintln!("{tables}");
        Ok(Self::read(&tables))
    }

    /// Bytes per second.
    pub(super) fn speed(&self, bench: &str) -> Option<f64> {
        self.speeds.get(bench).copied()
    }

    /// How long one takes.
    pub(super) fn seconds(&self, bench: &str) -> Option<f64> {
        self.seconds.get(bench).copied()
    }

    /// How many times as fast the one is as the other.
    pub(super) fn ratio(&self, one: &str, other: &str) -> Option<f64> {
        Some(self.speeds.get(one)? / self.speeds.get(other)?)
    }

    /// Reads divan's tables: a tree by indents of three characters, a row `name fastest │ slowest │ median │ …` for each
    /// bench, and below it rows without a name, of which one is its throughput.
    fn read(tables: &str) -> Self {
        let mut benches = Self::default();
        let mut path: Vec<&str> = Vec::new();
        for line in tables.lines() {
            let (depth, row, named) = node(line);
            let median = row.split('│').nth(2).map(str::trim);
            let name = row.split_whitespace().next();
            if let Some(name) = name.filter(|_| named) {
                path.truncate(depth);
                path.push(name);
                benches.seconds.extend(median.and_then(seconds).map(|seconds| (path.join("/"), seconds)));
            } else if let Some(speed) = median.and_then(bytes_per_second) {
                benches.speeds.insert(path.join("/"), speed);
            }
        }
        benches
    }
}

/// How deep a row stands in the tree, the row, and whether it has a name.
fn node(line: &str) -> (usize, &str, bool) {
    let (mut rest, mut depth, mut named) = (line, 0, true);
    while let Some((below, branches)) =
        MARKS.iter().find_map(|(mark, branches)| Some((rest.strip_prefix(mark)?, *branches)))
    {
        (rest, named) = (below, branches);
        depth += 1;
    }
    (depth, rest, named)
}

fn bytes_per_second(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let unit = match unit {
        "B/s" => 1.0,
        "KB/s" => 1e3,
        "MB/s" => 1e6,
        "GB/s" => 1e9,
        "TB/s" => 1e12,
        _ => return None,
    };
    Some(number * unit)
}

fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let unit = match unit {
        "ns" => 1e-9,
        "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(number * unit)
}

/// What indents are made of, and whether a name follows.
const MARKS: [(&str, bool); 4] = [("├─ ", true), ("╰─ ", true), ("│  ", false), ("   ", false)];

const BENCHES: [(&str, &[&str]); 2] = [("ehi-core", &["writer", "json", "filter", "job"]), ("ehi-host", &["poll"])];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_from_the_tree() {
        let tables = "\
Timer precision: 20 ns
writer           fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ split         812.3 µs      │ 1.2 ms        │ 850 µs        │ 870 µs        │ 20      │ 20
│                20.6 GB/s     │ 13.9 GB/s     │ 19.7 GB/s     │ 19.2 GB/s     │         │
├─ clauses                     │               │               │               │         │
│  ├─ 1          1.1 ms        │ 1.3 ms        │ 1.2 ms        │ 1.2 ms        │ 20      │ 20
│  │             6.1 GB/s      │ 5.9 GB/s      │ 2 GB/s        │ 6.2 GB/s      │         │
│  ╰─ 1000       2.1 ms        │ 2.3 ms        │ 2.4 ms        │ 2.2 ms        │ 20      │ 20
│                6.1 GB/s      │ 5.9 GB/s      │ 500 MB/s      │ 6.2 GB/s      │         │
╰─ last          1 s           │ 1 s           │ 1.5 s         │ 1 s           │ 1       │ 1
                 1 GB/s        │ 1 GB/s        │ 1 GB/s        │ 1 GB/s        │         │
";
        let benches = Benches::read(tables);
        let names: Vec<&str> = benches.speeds.keys().map(String::as_str).collect();
        assert_eq!(names, ["writer/clauses/1", "writer/clauses/1000", "writer/last", "writer/split"]);
        assert_eq!(benches.seconds("writer/split"), Some(850.0 * 1e-6));
        assert_eq!(benches.seconds("writer/clauses"), None);
        assert_eq!(benches.ratio("writer/clauses/1000", "writer/clauses/1"), Some(0.25));
        assert_eq!(benches.ratio("writer/split", "writer/gone"), None);
    }
}

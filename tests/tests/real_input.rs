//! Data that others made: every resource comes out exactly once, byte for byte, from the command line and over HTTP.
//!
//! `cargo xtask data` makes one set with a package from the Python index. Another, exported by a Synthea server, is
//! used where a folder `shared/data` with it lies beside the checkout.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ehi_tests::server::{Server, ehi, run_ehi};
use tempfile::TempDir;

#[test]
fn carebundle_data() {
    let target = ehi().ancestors().nth(2).unwrap().to_owned();
    let data = target.join("data").join("carebundle");
    if std::env::var_os("EHI_WITHOUT_REGISTRY_DATA").is_some() {
        println!("not run: the Python index cannot be reached, and with it the data");
        return;
    }
    assert!(data.is_dir(), "`{}` is missing: `cargo xtask data` makes it", data.display());
    assert_eq!(comes_out(&data), 9052);
}

#[test]
fn synthea_data() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/synthea-bulk-10patients");
    if !data.is_dir() {
        println!("not run: there is no folder shared/data beside the checkout; carebundle's data take its place");
        return;
    }
    // Its export log lies among the files: four lines that are no resources, each reported.
    assert_eq!(comes_out(&data), 7160);
}

/// How many resources came out.
fn comes_out(data: &Path) -> u64 {
    let expected = resources(data);
    for engine in ["component", "native"] {
        let out = TempDir::new().unwrap();
        let out = out.path().join("out");
        let arguments = ["export", "--data", path(data), "--out", path(&out), "--engine", engine];
        let exported = run_ehi(&arguments);
        assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
        assert_eq!(resources(&out), expected, "{engine}");
    }
    let server = Server::start(data, &[]);
    let (_, manifest) = server.export("$export");
    let mut served = BTreeMap::new();
    server.lines(&manifest, "output").into_iter().for_each(|line| *served.entry(line).or_default() += 1);
    assert_eq!(served, expected, "over HTTP");
    expected.values().sum()
}

/// Every line that is a resource, and how often it stands there. Error files are not counted.
fn resources(folder: &Path) -> BTreeMap<String, u64> {
    let mut lines = BTreeMap::new();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
    for file in files.filter(|file| name(file).ends_with(".ndjson") && !name(file).starts_with("error-")) {
        let text = fs::read_to_string(file).unwrap();
        for line in text.lines().filter(|line| line.contains("\"resourceType\"")) {
            *lines.entry(line.to_owned()).or_default() += 1;
        }
    }
    lines
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

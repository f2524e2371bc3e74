//! What the README shows is what the code has: its Rust example is the one that runs as a doc test.

use std::{fs, path::Path};

#[test]
fn the_rust_example_is_the_one_that_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let library = fs::read_to_string(root.join("core/src/lib.rs")).unwrap();
    let shown = block(&readme.lines().collect::<Vec<_>>(), "```rust");
    let documentation: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("//!")).map(|line| line.trim_start_matches(' ')).collect();
    let tested: Vec<String> = block(&documentation, "```").into_iter().filter(|line| !line.starts_with("# ")).collect();
    assert!(shown.len() > 20, "the README has no Rust example");
    assert_eq!(shown, tested);
}

/// The lines of the first block that such a line opens, without what only indents them.
fn block(lines: &[&str], opening: &str) -> Vec<String> {
    let begun = lines.iter().skip_while(|line| line.trim_end() != opening).skip(1);
    begun.take_while(|line| !line.starts_with("```")).map(|line| line.trim().to_owned()).collect()
}

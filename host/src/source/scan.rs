//! Going through the resources of one type as they are now: for questions that the catalogue has no answer to.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result};
use ehi_core::Timestamp;

use super::catalogue::{Catalogue, Spot};

/// Hands over id and line of every resource of a type, in the order of the ids. One line is in memory at a time.
pub(super) fn each(
    catalogue: &Catalogue,
    folder: &Path,
    resource_type: &str,
    at: Timestamp,
    look: &mut dyn FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut open: Option<(String, File)> = None;
    let mut line = Vec::new();
    catalogue.each(resource_type, at, &mut |id, spot| {
        let mut file = match open.take() {
            Some((name, file)) if name == spot.file => file,
            _ => File::open(folder.join(&spot.file)).with_context(|| format!("cannot read `{}`", spot.file))?,
        };
        read(&mut file, spot, &mut line).with_context(|| format!("cannot read `{}`", spot.file))?;
        open = Some((spot.file.clone(), file));
        look(id, bare(&line))
    })
}

fn read(file: &mut File, spot: &Spot, line: &mut Vec<u8>) -> std::io::Result<()> {
    line.clear();
    file.seek(SeekFrom::Start(spot.offset))?;
    file.take(spot.length).read_to_end(line)?;
    Ok(())
}

/// Without byte order mark and line end.
fn bare(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}

//! Where a writer stands when a file is closed, so that another can go on.
//!
//! Files of many types are open at once, so one cursor is not enough: resuming at the last line taken would lose what
//! stood in files that were still open. A checkpoint names the first line of the oldest open file, and per kind of file
//! how many of the records from there on are published already. Both are exact and say nothing of the data's order.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{ResourceType, manifest::Section};

/// Where a writer stands when a file is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where to read from.
    pub resume: Resume,
    /// What of it is published already.
    pub kinds: Vec<KindProgress>,
}

/// Where to read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resume {
    /// From the beginning.
    Start,
    /// From a line on.
    At {
        /// The embedder's cursor.
        #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
        cursor: Vec<u8>,
        /// Bytes after the cursor.
        offset: u64,
        /// The name of the source.
        source: String,
        /// The number of the line, from 1.
        line: u64,
    },
}

/// How far one kind of file is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KindProgress {
    /// Which array of the manifest.
    pub section: Section,
    /// Which type, unless such files hold several.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<ResourceType>,
    /// How many records of this kind, from the resumption on, are published.
    pub published: u64,
    /// The number of the next file.
    pub next: u32,
}

fn to_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    serializer.collect_str(&digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect::<String>())
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect::<Option<_>>().ok_or_else(|| D::Error::custom("not hexadecimal"))
}

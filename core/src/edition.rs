//! The editions of the Bulk Data guide, which disagree in parsing and in the manifest.

use serde::{Deserialize, Serialize};

/// An edition of the Bulk Data Access implementation guide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Edition {
    /// 1.0.1 (STU1).
    #[serde(rename = "1.0.1")]
    Stu1,
    /// 2.0.0 (STU2).
    #[serde(rename = "2.0")]
    Stu2,
    /// 3.0.0 (STU3), what a deployment speaks unless told otherwise.
    #[default]
    #[serde(rename = "3.0")]
    Stu3,
    /// The 4.0 ballot of July 2026, still moving.
    #[serde(rename = "4.0-ballot")]
    Stu4Ballot,
}

impl Edition {
    /// The version of the guide's definitions, as canonicals name it.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Stu1 => "1.0.1",
            Self::Stu2 => "2.0.0",
            Self::Stu3 => "3.0.0",
            Self::Stu4Ballot => "4.0.0-ballot",
        }
    }

    /// What `$export` of this edition is called beside that of another, which has the plain name.
    pub(crate) fn operation_name(self) -> &'static str {
        match self {
            Self::Stu1 => "export-v1",
            Self::Stu2 => "export-v2",
            Self::Stu3 => "export-v3",
            Self::Stu4Ballot => "export-v4",
        }
    }
}

//! A file of variables as it is named in a manifest: a path, or a table of a path and whether the
//! file has to exist.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A file with more variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvFile {
    /// Its path; a relative one is below the folder of the manifest.
    pub(crate) path: String,
    /// Whether the manifest is refused if there is no such file.
    pub(crate) is_required: bool,
}

impl EnvFile {
    /// A file that has to exist.
    pub(crate) const fn required(path: String) -> Self {
        Self { path, is_required: true }
    }
}

/// One file, or a list of files.
#[derive(Default)]
pub(super) struct EnvFiles(pub(super) Vec<EnvFile>);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    path: String,
    required: Option<bool>,
}

impl<'de> Deserialize<'de> for EnvFiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ManyVisitor)
    }
}

impl<'de> Deserialize<'de> for EnvFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneVisitor)
    }
}

struct ManyVisitor;

impl<'de> Visitor<'de> for ManyVisitor {
    type Value = EnvFiles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, a table of path and required, or a list of these")
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<EnvFiles, E> {
        OneVisitor.visit_str(path).map(|file| EnvFiles(vec![file]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EnvFiles, A::Error> {
        OneVisitor.visit_map(map).map(|file| EnvFiles(vec![file]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<EnvFiles, A::Error> {
        let mut files = Vec::new();
        while let Some(file) = list.next_element()? {
            files.push(file);
        }
        Ok(EnvFiles(files))
    }
}

struct OneVisitor;

impl<'de> Visitor<'de> for OneVisitor {
    type Value = EnvFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or a table of path and required")
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<EnvFile, E> {
        Ok(EnvFile::required(path.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EnvFile, A::Error> {
        let Table { path, required } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(EnvFile { path, is_required: required.unwrap_or(true) })
    }
}

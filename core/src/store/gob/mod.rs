//! Reads the state file of the Go master, to import its instances and its key.
//!
//! Owns: the gob format, as far as a state uses it, and the conversion of its fields. Does not own:
//! when a file is imported. Nothing writes gob.
//!
//! The format has no checksum and is not designed for hostile input, so the reader is strict: it
//! checks a count against the remaining bytes before it allocates anything, and refuses everything
//! that the Go master cannot have written.

#[cfg(test)]
mod damage_tests;
mod error;
#[cfg(test)]
mod fixture_tests;
mod import;
mod reader;
mod schema;
mod value;

pub use error::GobError;

use super::image::Image;
use reader::Reader;
use schema::{Schema, TypeId};
use value::Values;

/// The state in a file of the Go master: a gob stream of one map from ids to instances
/// (Contract §11).
///
/// Fields are found by name; unknown ones are skipped and missing ones are zero. Numbers out of
/// range become the nearest one in range. Fields of a past process (status, ping, pool,
/// connections) are ignored: instances are stopped after an import.
///
/// The master's id and alias may be empty. The key is not checked.
///
/// # Errors
/// A file that is damaged, of another program, without a key, or with an invalid entry is refused
/// as a whole. No error repeats a URL or the key.
pub fn decode_gob(file: &[u8]) -> Result<Image, GobError> {
    let mut stream = Reader::new(file);
    let mut schema = Schema::new();
    let (id, message) = loop {
        let mut message = stream.message()?;
        let offset = message.offset();
        let id = message.int()?;
        if id >= 0 {
            break (TypeId(id), message);
        }
        let defined = id.checked_neg().ok_or(GobError::format(offset, "no type has such an id"))?;
        schema.define(TypeId(defined), &mut message)?;
    };
    let image = import::image(Values::new(message, &schema), id)?;
    stream.expect_end("more bytes follow the value")?;
    Ok(image)
}

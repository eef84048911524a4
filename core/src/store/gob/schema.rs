//! The types that a gob stream defines before its value.
//!
//! Definitions may refer to later ones and to themselves; whether they lead anywhere is seen when
//! a value is read.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::error::GobError;
use super::reader::{FieldNumbers, Reader};

/// The minimum size of the description of a field: two announcements, a name of one byte with its
/// length, an id and the end.
const FIELD_MIN_BYTES: usize = 6;

/// The id of a type within one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TypeId(pub(super) i64);

/// How the values of a type are laid out.
#[derive(Debug)]
pub(super) enum Type<'a> {
    Bool,
    Int,
    Uint,
    Float,
    Bytes,
    Text,
    Complex,
    Interface,
    /// The fields in the order of their numbers.
    Struct(Vec<Field<'a>>),
    /// A slice or an array.
    List(TypeId),
    Map {
        key: TypeId,
        element: TypeId,
    },
    /// Written by code of its own, as a byte string.
    Opaque,
}

/// One field of a struct.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) id: TypeId,
}

/// Every type known so far.
#[derive(Debug)]
pub(super) struct Schema<'a> {
    types: BTreeMap<TypeId, Type<'a>>,
}

impl<'a> Schema<'a> {
    /// The types that every stream has.
    pub(super) fn new() -> Self {
        let builtin = [
            (1, Type::Bool),
            (2, Type::Int),
            (3, Type::Uint),
            (4, Type::Float),
            (5, Type::Bytes),
            (6, Type::Text),
            (7, Type::Complex),
            (8, Type::Interface),
        ];
        Self { types: builtin.into_iter().map(|(id, of)| (TypeId(id), of)).collect() }
    }

    /// Takes in the definition that is all of the rest of `message`.
    pub(super) fn define(&mut self, id: TypeId, message: &mut Reader<'a>) -> Result<(), GobError> {
        let start = message.clone();
        let defined = definition(message)?;
        message.expect_end("more bytes follow the definition of a type")?;
        match self.types.insert(id, defined) {
            None => Ok(()),
            Some(_) => Err(start.error("a type is defined twice")),
        }
    }

    pub(super) fn get(&self, id: TypeId) -> Option<&Type<'a>> {
        self.types.get(&id)
    }
}

/// A definition is a struct with a field for each sort of type, of which one is set.
fn definition<'a>(reader: &mut Reader<'a>) -> Result<Type<'a>, GobError> {
    let mut numbers = FieldNumbers::default();
    let mut found = None;
    let start = reader.clone();
    while let Some(number) = numbers.next(reader)? {
        let defined = match number {
            0 | 1 => list(reader)?,
            2 => Type::Struct(structure(reader)?),
            3 => map(reader)?,
            4..=6 => opaque(reader)?,
            _ => return Err(reader.error("an unknown sort of type is defined")),
        };
        if found.replace(defined).is_some() {
            return Err(start.error("a type is of two sorts"));
        }
    }
    found.ok_or(start.error("a type is of no sort"))
}

/// The description of a slice, or of an array, which has its length as well.
fn list<'a>(reader: &mut Reader<'a>) -> Result<Type<'a>, GobError> {
    let mut numbers = FieldNumbers::default();
    let mut element = TypeId(0);
    while let Some(number) = numbers.next(reader)? {
        match number {
            0 => common(reader)?,
            1 => element = TypeId(reader.int()?),
            2 => drop(reader.int()?),
            _ => return Err(unknown(reader)),
        }
    }
    Ok(Type::List(element))
}

fn structure<'a>(reader: &mut Reader<'a>) -> Result<Vec<Field<'a>>, GobError> {
    let mut numbers = FieldNumbers::default();
    let mut fields = Vec::new();
    while let Some(number) = numbers.next(reader)? {
        match number {
            0 => common(reader)?,
            1 => {
                for _ in 0..reader.count(FIELD_MIN_BYTES)? {
                    fields.push(field(reader)?);
                }
            }
            _ => return Err(unknown(reader)),
        }
    }
    Ok(fields)
}

fn field<'a>(reader: &mut Reader<'a>) -> Result<Field<'a>, GobError> {
    let mut numbers = FieldNumbers::default();
    let start = reader.clone();
    let mut field = Field { name: "", id: TypeId(0) };
    while let Some(number) = numbers.next(reader)? {
        match number {
            0 => field.name = reader.text()?,
            1 => field.id = TypeId(reader.int()?),
            _ => return Err(unknown(reader)),
        }
    }
    // Not only of no use: the limit on the count of fields rests on it.
    if field.name.is_empty() || field.id == TypeId(0) {
        return Err(start.error("a field has no name or no type"));
    }
    Ok(field)
}

fn map<'a>(reader: &mut Reader<'a>) -> Result<Type<'a>, GobError> {
    let mut numbers = FieldNumbers::default();
    let (mut key, mut element) = (TypeId(0), TypeId(0));
    while let Some(number) = numbers.next(reader)? {
        match number {
            0 => common(reader)?,
            1 => key = TypeId(reader.int()?),
            2 => element = TypeId(reader.int()?),
            _ => return Err(unknown(reader)),
        }
    }
    Ok(Type::Map { key, element })
}

fn opaque<'a>(reader: &mut Reader<'a>) -> Result<Type<'a>, GobError> {
    let mut numbers = FieldNumbers::default();
    while let Some(number) = numbers.next(reader)? {
        match number {
            0 => common(reader)?,
            _ => return Err(unknown(reader)),
        }
    }
    Ok(Type::Opaque)
}

/// What every description begins with: the name of the type, which may be any, and its id again.
fn common(reader: &mut Reader<'_>) -> Result<(), GobError> {
    let mut numbers = FieldNumbers::default();
    while let Some(number) = numbers.next(reader)? {
        match number {
            0 => drop(reader.bytes()?),
            1 => drop(reader.int()?),
            _ => return Err(unknown(reader)),
        }
    }
    Ok(())
}

const fn unknown(reader: &Reader<'_>) -> GobError {
    reader.error("the definition of a type has a field that is not known")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Defines type 64.
    fn define(definition: &[u8]) -> Result<Schema<'_>, GobError> {
        let mut schema = Schema::new();
        schema.define(TypeId(64), &mut Reader::new(definition)).map(|()| schema)
    }

    #[test]
    fn the_example_of_the_format_is_understood() {
        let point = b"\x03\x01\x01\x05Point\x01\xff\x82\0\x01\x02\x01\x01X\x01\x04\0\x01\x01Y\x01\x04\0\0\0";
        let schema = define(point).expect("a good definition");
        let Some(Type::Struct(fields)) = schema.get(TypeId(64)) else { panic!("{schema:?}") };
        assert_eq!(fields.len(), 2);
        assert_eq!((fields[0].name, fields[0].id), ("X", TypeId(2)));
        assert_eq!((fields[1].name, fields[1].id), ("Y", TypeId(2)));
    }

    #[test]
    fn what_defines_no_type_is_refused() {
        let field = "the definition of a type has a field that is not known";
        for (bytes, offset, what) in [
            (&b"\0"[..], 0, "a type is of no sort"),
            (b"\x08\0", 1, "an unknown sort of type is defined"),
            (b"\x05\0\x01\0\0", 0, "a type is of two sorts"),
            (b"\x05\0\0\0", 3, "more bytes follow the definition of a type"),
            (b"\x05\x02\0\0", 2, field),
            (b"\x05\x01\x03\0\0\0", 3, field),
            (b"\x04\x04\0\0", 2, field),
            (b"\x02\x04\0\0", 2, field),
            (b"\x03\x03\0\0", 2, field),
            (b"\x03\x02\x01\x03\x01a\x01\x04\0\0\0", 4, field),
            (b"\x03\x02\x01\x01\x01a\0\0\0\0\0", 3, "a field has no name or no type"),
            (b"\x03\x02\x01\x02\x04\0\0\0\0\0\0", 3, "a field has no name or no type"),
            (b"\x03\x02\x7f\0\0\0\0\0", 2, "a count is larger than the rest of the file allows"),
        ] {
            let error = define(bytes).expect_err("it is no definition");
            assert_eq!(error, GobError::format(offset, what), "{bytes:?}");
        }
    }

    #[test]
    fn no_type_is_defined_twice() {
        let mut schema = Schema::new();
        for id in [1, 8, 64] {
            let twice = [(); 2].map(|()| schema.define(TypeId(id), &mut Reader::new(b"\x05\0\0")));
            let error = Err(GobError::format(0, "a type is defined twice"));
            assert_eq!(twice[1], error);
            assert_eq!(twice[0] == error, id < 64);
        }
    }
}

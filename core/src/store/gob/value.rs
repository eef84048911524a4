//! Reads values by the types that the stream defined for them.

use super::error::GobError;
use super::reader::{FieldNumbers, Reader};
use super::schema::{Field, Schema, Type, TypeId};

/// Maximum nesting of skipped values: far deeper than any state, and safe for every stack.
const DEPTH_MAX: usize = 32;

/// The values of one message, read from the front.
#[derive(Debug)]
pub(super) struct Values<'s, 'a> {
    reader: Reader<'a>,
    schema: &'s Schema<'a>,
}

impl<'s, 'a> Values<'s, 'a> {
    pub(super) const fn new(reader: Reader<'a>, schema: &'s Schema<'a>) -> Self {
        Self { reader, schema }
    }

    /// The primitives that come next.
    pub(super) const fn reader(&mut self) -> &mut Reader<'a> {
        &mut self.reader
    }

    /// The type `id`.
    pub(super) fn type_of(&self, id: TypeId) -> Result<&'s Type<'a>, GobError> {
        self.schema.get(id).ok_or(self.error("a value is of a type that was not defined"))
    }

    /// The next present field of a struct; `None` at its end. Its value follows.
    pub(super) fn field(
        &mut self,
        numbers: &mut FieldNumbers,
        fields: &'s [Field<'a>],
    ) -> Result<Option<&'s Field<'a>>, GobError> {
        let start = self.reader.clone();
        let Some(number) = numbers.next(&mut self.reader)? else { return Ok(None) };
        let field = usize::try_from(number).ok().and_then(|number| fields.get(number));
        field.map(Some).ok_or(start.error("a struct has a field that its type does not have"))
    }

    /// The value of `field`, a truth value.
    pub(super) fn bool(&mut self, field: &'static str, id: TypeId) -> Result<bool, GobError> {
        let Type::Bool = self.type_of(id)? else {
            return Err(self.field_type(field, "a truth value"));
        };
        let start = self.reader.clone();
        match self.reader.uint()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(start.error("a truth value is neither true nor false")),
        }
    }

    /// The value of `field`, a text.
    pub(super) fn text(&mut self, field: &'static str, id: TypeId) -> Result<&'a str, GobError> {
        let Type::Text = self.type_of(id)? else { return Err(self.field_type(field, "text")) };
        self.reader.text()
    }

    /// The value of `field`, a whole number of either signedness, wide enough for both.
    pub(super) fn number(&mut self, field: &'static str, id: TypeId) -> Result<i128, GobError> {
        if let Type::Int = self.type_of(id)? {
            return self.reader.int().map(i128::from);
        }
        let Type::Uint = self.type_of(id)? else {
            return Err(self.field_type(field, "a whole number"));
        };
        self.reader.uint().map(i128::from)
    }

    /// The fields that the value of `field`, a struct, may have.
    pub(super) fn structure(
        &self,
        field: &'static str,
        id: TypeId,
    ) -> Result<&'s [Field<'a>], GobError> {
        let Type::Struct(fields) = self.type_of(id)? else {
            return Err(self.field_type(field, "a struct"));
        };
        Ok(fields)
    }

    /// An error at the current position.
    pub(super) const fn error(&self, what: &'static str) -> GobError {
        self.reader.error(what)
    }

    /// An error about the type of the value of `field`, which comes next.
    pub(super) const fn field_type(&self, field: &'static str, expected: &'static str) -> GobError {
        GobError::FieldType { offset: self.reader.offset(), field, expected }
    }

    /// Skips a value of any type except an interface, whose content only the program that wrote it
    /// knows.
    pub(super) fn skip(&mut self, id: TypeId) -> Result<(), GobError> {
        self.skip_nested(id, DEPTH_MAX)
    }

    fn skip_nested(&mut self, id: TypeId, depth: usize) -> Result<(), GobError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.error("values are nested too deep"));
        };
        match self.type_of(id)? {
            Type::Bool | Type::Int | Type::Uint | Type::Float => drop(self.reader.uint()?),
            Type::Complex => {
                self.reader.uint()?;
                self.reader.uint()?;
            }
            Type::Bytes | Type::Text | Type::Opaque => drop(self.reader.bytes()?),
            Type::Interface => return Err(self.error("a value is of an interface type")),
            Type::Struct(fields) => {
                let mut numbers = FieldNumbers::default();
                while let Some(field) = self.field(&mut numbers, fields)? {
                    self.skip_nested(field.id, depth)?;
                }
            }
            Type::List(element) => {
                for _ in 0..self.reader.count(1)? {
                    self.skip_nested(*element, depth)?;
                }
            }
            Type::Map { key, element } => {
                for _ in 0..self.reader.count(2)? {
                    self.skip_nested(*key, depth)?;
                    self.skip_nested(*element, depth)?;
                }
            }
        }
        Ok(())
    }
}

//! The schemas of single values.

use utoipa::openapi::{
    ObjectBuilder, Type,
    schema::{SchemaFormat, SchemaType},
};

/// What a conversation may be called.
pub const WORD: &str = "^[A-Za-z0-9_-]{1,128}$";

pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

pub fn text_or_null() -> ObjectBuilder {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types)
}

/// Text of a format that JSON Schema or OpenAPI names.
pub fn formatted(format: &str) -> ObjectBuilder {
    text().format(Some(SchemaFormat::Custom(format.to_owned())))
}

/// A whole number, from 0.
pub fn whole() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
}

pub fn number() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Number)
}

pub fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

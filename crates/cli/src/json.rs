//! One JSON object on one line, with its fields in the order in which they are given.

use serde_json::Value;

/// An object under construction.
pub struct Line(Vec<(&'static str, Value)>);

impl Line {
    /// No fields yet.
    pub fn new() -> Line {
        Line(Vec::new())
    }

    /// Adds a field.
    pub fn field(mut self, name: &'static str, value: impl Into<Value>) -> Line {
        self.0.push((name, value.into()));
        self
    }
}

impl core::fmt::Display for Line {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let fields = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        write!(f, "{{{}}}", fields.collect::<Vec<_>>().join(","))
    }
}

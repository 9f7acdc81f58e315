//! A JSON value and how it is written: on one line, indented, or indented with bare
//! hexadecimal numbers for people, each as bpftool does.

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A text.
    Text(String),
    /// A number that people see in hexadecimal digits and tools as a text of them.
    Hex(String),
    /// A pointer, which tools see as a decimal number.
    Pointer(u64),
    /// `[…]`
    Array(Vec<Json>),
    /// `{…}`, in the order in which it was built. Names may repeat.
    Object(Vec<(String, Json)>),
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// On one line.
    Compact,
    /// Indented.
    Pretty,
    /// Indented, for people.
    Plain,
}

impl From<u32> for Json {
    fn from(number: u32) -> Json {
        Json::Number(number.to_string())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        Json::Number(number.to_string())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_string())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl Json {
    /// An array of numbers.
    pub fn numbers(numbers: &[u32]) -> Json {
        Json::Array(numbers.iter().map(|number| Json::from(*number)).collect())
    }

    /// Bytes as texts of two hexadecimal digits.
    pub fn bytes(bytes: &[u8]) -> Json {
        let text = |byte: &u8| Json::Text(format!("{byte:#04x}"));
        Json::Array(bytes.iter().map(text).collect())
    }

    /// The value as text, without a newline at the end.
    pub fn write(&self, style: Style) -> String {
        let mut out = String::new();
        self.put(style, 0, &mut out);
        out
    }

    fn put(&self, style: Style, depth: usize, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(text) => out.push_str(text),
            Json::Text(text) => quote(text, out),
            Json::Hex(digits) if style == Style::Plain => out.push_str(digits),
            Json::Hex(digits) => quote(digits, out),
            Json::Pointer(0) if style == Style::Plain => quote("(nil)", out),
            Json::Pointer(address) if style == Style::Plain => {
                quote(&format!("{address:#x}"), out);
            }
            Json::Pointer(address) => out.push_str(&address.to_string()),
            Json::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    element.put(style, depth + 1, out);
                }
                if !elements.is_empty() {
                    new_line(style, depth, out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    new_line(style, depth + 1, out);
                    quote(name, out);
                    out.push_str(if style == Style::Compact { ":" } else { ": " });
                    value.put(style, depth + 1, out);
                }
                if !members.is_empty() {
                    new_line(style, depth, out);
                }
                out.push('}');
            }
        }
    }
}

/// The paths at which an object is pinned, when there are any.
pub fn pinned(paths: &[String]) -> Option<Json> {
    let all = paths.iter().map(|path| Json::from(path.as_str())).collect();
    (!paths.is_empty()).then_some(Json::Array(all))
}

fn new_line(style: Style, depth: usize, out: &mut String) {
    if style != Style::Compact {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    }
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// An object under construction.
#[derive(Default)]
pub struct Fields(Vec<(String, Json)>);

impl Fields {
    /// Nothing yet.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// Adds a field.
    pub fn add(&mut self, name: &str, value: impl Into<Json>) -> &mut Fields {
        self.0.push((name.to_string(), value.into()));
        self
    }

    /// Adds a field when there is a value.
    pub fn maybe(&mut self, name: &str, value: Option<impl Into<Json>>) -> &mut Fields {
        if let Some(value) = value {
            self.add(name, value);
        }
        self
    }

    /// The object.
    pub fn done(&mut self) -> Json {
        Json::Object(std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles() {
        let mut inner = Fields::new();
        inner.add("bits", Json::Hex("0x6".to_string()));
        let inner = inner.add("at", Json::Pointer(16)).done();
        let value = Json::Array(vec![
            inner,
            Json::numbers(&[1, 2]),
            Json::Object(Vec::new()),
        ]);
        let check = |style, wanted: &str| assert_eq!(value.write(style), wanted);
        check(Style::Compact, r#"[{"bits":"0x6","at":16},[1,2],{}]"#);
        check(
            Style::Pretty,
            "[{\n        \"bits\": \"0x6\",\n        \"at\": 16\n    },[1,2\n    ],{}\n]",
        );
        check(
            Style::Plain,
            "[{\n        \"bits\": 0x6,\n        \"at\": \"0x10\"\n    },[1,2\n    ],{}\n]",
        );
        assert_eq!(Json::from("a\"\n").write(Style::Compact), r#""a\"\n""#);
        assert_eq!(Json::bytes(&[10]).write(Style::Compact), r#"["0x0a"]"#);
    }
}

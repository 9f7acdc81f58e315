//! How the header of a filetest is read, line by line.

use skep_abi::{AttachType, Capabilities, Errno, MapFlags, MapType, ProgFlags, ProgType};

use super::Expected;
use crate::case::{Case, Element, Input, MapSpec, Stored};
use crate::hex;

/// What has been read so far.
pub(super) struct Header {
    pub(super) case: Case,
    pub(super) btf: bool,
    pub(super) verdict: Option<Result<(), Errno>>,
    pub(super) log: Vec<String>,
    pub(super) states: Vec<(usize, String)>,
    pub(super) stats: Option<String>,
    pub(super) runs: Vec<Expected>,
}

impl Default for Header {
    fn default() -> Self {
        Header {
            case: Case {
                prog_type: ProgType::SocketFilter,
                attach_type: 0,
                flags: 0,
                license: "GPL".to_owned(),
                capabilities: Capabilities::ALL,
                level: 1,
                maps: Vec::new(),
                elements: Vec::new(),
                insns: Vec::new(),
                map_slots: Vec::new(),
                functions: Vec::new(),
                runs: Vec::new(),
            },
            btf: false,
            verdict: None,
            log: Vec::new(),
            states: Vec::new(),
            stats: None,
            runs: Vec::new(),
        }
    }
}

/// A number in decimal or, after `0x`, in hexadecimal; negative ones wrap.
fn number(text: &str) -> Result<u32, String> {
    let parsed = match (text.strip_prefix("0x"), text.strip_prefix('-')) {
        (Some(digits), _) => u32::from_str_radix(digits, 16),
        (None, Some(digits)) => digits.parse().map(u32::wrapping_neg),
        (None, None) => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is no number"))
}

/// A number of 64 bits, in hexadecimal after `0x`.
fn long(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x");
    let parsed = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    parsed.ok_or_else(|| format!("`{text}` is no number after 0x"))
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).ok_or_else(|| format!("`{text}` is not hexadecimal"))
}

/// Flags by name or number, with `,`, `|` or space between them.
fn flags(text: &str, by_name: impl Fn(&str) -> Option<u32>) -> Result<u32, String> {
    let mut all = 0;
    for word in text.split([',', '|', ' ']).filter(|word| !word.is_empty()) {
        all |= match by_name(word) {
            Some(bits) => bits,
            None => number(word).map_err(|_| format!("there is no flag `{word}`"))?,
        };
    }
    Ok(all)
}

impl Header {
    /// Takes in one line.
    pub(super) fn line(&mut self, line: &str) -> Result<(), String> {
        let line = match line.split_once("//") {
            Some((before, _)) => before.trim(),
            None => line.trim(),
        };
        if line.is_empty() {
            return Ok(());
        }
        if line == "accept" {
            return self.expect(Ok(()));
        }
        if let Some(name) = line.strip_prefix("reject ") {
            let errno = Errno::from_name(name.trim());
            return self.expect(Err(
                errno.ok_or_else(|| format!("there is no error `{name}`"))?
            ));
        }
        let (key, value) = line
            .split_once(':')
            .ok_or_else(|| format!("`{line}` is no `key: value`"))?;
        self.set(key.trim(), value.trim())
    }

    fn expect(&mut self, verdict: Result<(), Errno>) -> Result<(), String> {
        match self.verdict.replace(verdict) {
            None => Ok(()),
            Some(_) => Err("the expectation is said twice".to_owned()),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let case = &mut self.case;
        match key {
            "type" => {
                case.prog_type = ProgType::from_name(value)
                    .ok_or_else(|| format!("there is no program type `{value}`"))?;
            }
            "attach" => {
                let known = AttachType::from_name(value)
                    .ok_or_else(|| format!("there is no attach type `{value}`"))?;
                case.attach_type = known.into();
            }
            "license" => value.clone_into(&mut case.license),
            "flags" => case.flags = flags(value, |name| ProgFlags::from_name(name).map(|f| f.0))?,
            "caps" => {
                case.capabilities = Capabilities::parse(value)
                    .map_err(|name| format!("there is no capability `{name}`"))?;
            }
            "btf" => match value {
                "static" => self.btf = true,
                other => return Err(format!("`btf: {other}` is not static")),
            },
            "level" => case.level = number(value)?,
            "map" => self.map(value)?,
            "elem" => self.element(value)?,
            "log" => self.log.push(value.to_owned()),
            "state" => {
                let (slot, text) = value
                    .split_once(": ")
                    .ok_or_else(|| "a state is a slot, `: ` and a text".to_owned())?;
                let slot = usize::try_from(number(slot)?).map_err(|e| e.to_string())?;
                self.states.push((slot, text.to_owned()));
            }
            "stats" => self.stats = Some(value.to_owned()),
            "run" => self.run(value)?,
            other => return Err(format!("there is no key `{other}`")),
        }
        Ok(())
    }

    /// The index of a map by name.
    fn find(&self, name: &str) -> Result<usize, String> {
        let found = self.case.maps.iter().position(|map| map.name == name);
        found.ok_or_else(|| format!("there is no map `{name}` above"))
    }

    /// `NAME TYPE key=4 value=8 entries=16 [flags=…] [extra=0x…] [inner=NAME] [frozen]`
    fn map(&mut self, text: &str) -> Result<(), String> {
        let mut words = text.split_whitespace();
        let (Some(name), Some(type_name)) = (words.next(), words.next()) else {
            return Err("a map needs a name and a type".to_owned());
        };
        let map_type = MapType::from_name(type_name)
            .ok_or_else(|| format!("there is no map type `{type_name}`"))?;
        let mut spec = MapSpec {
            name: name.to_owned(),
            map_type,
            key_size: 0,
            value_size: 0,
            max_entries: 0,
            flags: 0,
            inner: None,
            frozen: false,
            extra: 0,
        };
        for word in words {
            match word.split_once('=') {
                Some(("key", size)) => spec.key_size = number(size)?,
                Some(("value", size)) => spec.value_size = number(size)?,
                Some(("entries", count)) => spec.max_entries = number(count)?,
                Some(("flags", set)) => {
                    spec.flags = flags(set, |name| MapFlags::from_name(name).map(|f| f.0))?;
                }
                Some(("inner", name)) => spec.inner = Some(self.find(name)?),
                Some(("extra", word)) => spec.extra = long(word)?,
                None if word == "frozen" => spec.frozen = true,
                _ => return Err(format!("a map has no `{word}`")),
            }
        }
        self.case.maps.push(spec);
        Ok(())
    }

    /// `MAP KEYHEX VALUEHEX`, `MAP KEYHEX self`, `MAP KEYHEX map=NAME`
    fn element(&mut self, text: &str) -> Result<(), String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [map, key, value] = words.as_slice() else {
            return Err("an element is a map, a key and a value".to_owned());
        };
        let value = match value.strip_prefix("map=") {
            Some(name) => Stored::Map(self.find(name)?),
            None if *value == "self" => Stored::Program,
            None => Stored::Bytes(bytes(value)?),
        };
        let (map, key) = (self.find(map)?, bytes(key)?);
        self.case.elements.push(Element { map, key, value });
        Ok(())
    }

    /// `INPUTHEX [ctx=HEX] -> RETVAL [out=HEX] [ctx=HEX]`
    fn run(&mut self, text: &str) -> Result<(), String> {
        let (given, wanted) = text
            .split_once("->")
            .ok_or_else(|| "a run needs `->`".to_owned())?;
        let mut input = Input::default();
        for word in given.split_whitespace() {
            match word.strip_prefix("ctx=") {
                Some(ctx) => input.ctx.extend(bytes(ctx)?),
                None => input.data.extend(bytes(word)?),
            }
        }
        let mut words = wanted.split_whitespace();
        let result = words
            .next()
            .ok_or_else(|| "a run gives a value".to_owned())?;
        let result = match Errno::from_name(result) {
            Some(errno) => Err(errno),
            None => Ok(number(result)?),
        };
        let mut expected = Expected {
            result,
            data: None,
            ctx: None,
        };
        for word in words {
            match word.split_once('=') {
                Some(("out", data)) => expected.data = Some(bytes(data)?),
                Some(("ctx", ctx)) => expected.ctx = Some(bytes(ctx)?),
                _ => return Err(format!("a run gives no `{word}`")),
            }
        }
        self.case.runs.push(input);
        self.runs.push(expected);
        Ok(())
    }
}

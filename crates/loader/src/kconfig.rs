//! What value each variable of `.kconfig` has.

use std::collections::BTreeMap;

use crate::error::LoadError;
use crate::externs::{Extern, ExternKind, KconfigKind};

/// What the loader knows of the kernel's configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelConfig {
    /// `LINUX_KERNEL_VERSION`: major, minor and patch as `major << 16 | minor << 8 | patch`.
    pub version: u32,
    /// Options by name with prefix (`CONFIG_HZ`), and their values as a config file writes
    /// them (`y`, `250`, `"text"`).
    pub options: BTreeMap<String, String>,
}

impl Default for KernelConfig {
    /// Linux 6.18.44, the release whose answers are recorded, and no options.
    fn default() -> KernelConfig {
        KernelConfig {
            version: 6 << 16 | 18 << 8 | 44,
            options: BTreeMap::new(),
        }
    }
}

impl KernelConfig {
    /// Reads the lines of a config file; lines that set nothing are passed over.
    pub fn read_options(&mut self, text: &str) {
        for line in text.lines() {
            let Some((name, value)) = line.trim().split_once('=') else {
                continue;
            };
            if name.starts_with("CONFIG_") {
                self.options.insert(name.to_string(), value.to_string());
            }
        }
    }
}

/// The value of the map that stands for `.kconfig`.
///
/// # Errors
/// [`LoadError::Kconfig`] when a variable that is not weak is unknown, or a value does not
/// fit its variable.
pub(crate) fn image(externs: &[Extern], config: &KernelConfig) -> Result<Vec<u8>, LoadError> {
    let size = crate::externs::kconfig_size(externs) as usize;
    let mut image = vec![0; size];
    for ext in externs {
        let ExternKind::Kconfig {
            kind, size, offset, ..
        } = ext.kind
        else {
            continue;
        };
        let refuse = |problem: String| LoadError::Kconfig {
            name: ext.name.clone(),
            problem,
        };
        if !ext.name.starts_with("CONFIG_") && !ext.name.starts_with("LINUX_") {
            let problem = "variables of .kconfig are called CONFIG_… or LINUX_…";
            return Err(refuse(problem.to_string()));
        }
        let bytes = match value_of(ext, config) {
            Some(value) => encode(kind, size as usize, &value).map_err(refuse)?,
            None if ext.weak => continue,
            None => {
                let problem = "the kernel's configuration does not say (declare it __weak to \
                               have it 0 then)";
                return Err(refuse(problem.to_string()));
            }
        };
        let place = image.get_mut(offset as usize..).unwrap_or(&mut []);
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = from;
        }
    }
    Ok(image)
}

fn value_of(ext: &Extern, config: &KernelConfig) -> Option<String> {
    match ext.name.as_str() {
        "LINUX_KERNEL_VERSION" => Some(config.version.to_string()),
        // Since 5.15.
        "LINUX_HAS_BPF_COOKIE" => Some("1".to_string()),
        // Since 4.17; libbpf finds out by a probe on one, which takes a kernel with probes.
        "LINUX_HAS_SYSCALL_WRAPPER" => {
            let probes = config
                .options
                .get("CONFIG_KPROBES")
                .is_some_and(|value| value == "y");
            let has = config.options.is_empty() || probes;
            Some(u32::from(has).to_string())
        }
        name => config.options.get(name).cloned(),
    }
}

fn encode(kind: KconfigKind, size: usize, value: &str) -> Result<Vec<u8>, String> {
    let mismatch = || format!("value {value} does not fit a variable of this type");
    let tristate = match value {
        "y" => Some(1u8),
        "n" => Some(0),
        "m" => Some(2),
        _ => None,
    };
    match (kind, tristate) {
        (KconfigKind::Tristate, Some(state)) => Ok(u32::from(state).to_le_bytes().to_vec()),
        (KconfigKind::Bool, Some(state)) if state < 2 => Ok(vec![state]),
        (KconfigKind::Char, Some(_)) => Ok(value.bytes().collect()),
        (KconfigKind::Text, _) => {
            let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            let text = inner.ok_or_else(mismatch)?;
            // What does not fit is cut, and the last byte stays NUL.
            Ok(text.bytes().take(size.saturating_sub(1)).collect())
        }
        (KconfigKind::Bool, None) if matches!(value, "0" | "1") => Ok(vec![u8::from(value == "1")]),
        (KconfigKind::Int { .. } | KconfigKind::Char, None) => {
            let signed = !matches!(kind, KconfigKind::Int { signed: false });
            let number = parse_number(value).ok_or_else(mismatch)?;
            let bits = u32::try_from(size * 8).unwrap_or(64);
            let (low, high) = match signed {
                true => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
                false => (0, (1i128 << bits) - 1),
            };
            if number < low || number > high {
                return Err(mismatch());
            }
            Ok(number.to_le_bytes().into_iter().take(size).collect())
        }
        _ => Err(mismatch()),
    }
}

/// A number as C writes it: decimal, hexadecimal or octal, perhaps negative.
fn parse_number(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let number = if let Some(hex) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative {
        -i128::from(number)
    } else {
        i128::from(number)
    })
}

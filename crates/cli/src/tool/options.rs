//! What stands on the command line around the words: `-j`, `-p`, `--backend` and the like.

use super::failure::{Answer, Failure};
use crate::args::Common;

/// The options.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-j`: answers are JSON.
    pub json: bool,
    /// `-p`: and indented.
    pub pretty: bool,
    /// `-f`: show where objects are pinned.
    pub bpffs: bool,
    /// Objects to load before the commands.
    pub objects: Vec<String>,
    /// Which kernel, and what it is.
    pub common: Common,
}

impl Options {
    /// Takes the options out of the words; what follows `--` is left alone.
    ///
    /// # Errors
    /// A sentence for an option that is unknown or lacks its value.
    pub fn take(words: Vec<String>) -> Answer<(Options, Vec<String>)> {
        let mut options = Options::default();
        options.common.backend = "skep".to_string();
        let mut rest = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let missing = || Failure::message(format!("option '{word}' needs a value"));
                words.next().ok_or_else(missing)
            };
            match word.as_str() {
                "-j" | "--json" => options.json = true,
                "-p" | "--pretty" => (options.json, options.pretty) = (true, true),
                "-jp" | "-pj" => (options.json, options.pretty) = (true, true),
                "-f" | "--bpffs" => options.bpffs = true,
                // What they switch off, or tell more of, is not done here to begin with.
                "-d" | "--debug" | "-m" | "--mapcompat" | "-n" | "--nomount" | "-l"
                | "--legacy" | "-L" | "--use-loader" => {}
                "-B" | "--base-btf" | "--btf" => options.common.btf = Some(value()?),
                "--kconfig" => options.common.kconfig = Some(value()?),
                "--object" => options.objects.push(value()?),
                "--backend" => {
                    options.common.backend = value()?;
                    if !matches!(options.common.backend.as_str(), "skep" | "kernel") {
                        return Err(Failure::message("--backend is 'skep' or 'kernel'"));
                    }
                }
                "--" => {
                    rest.extend(words);
                    break;
                }
                // A word of `gen core`.
                "--explain" => rest.push(word),
                option if option.starts_with('-') && option.len() > 1 => {
                    return Err(Failure::message(format!("unrecognized option '{option}'")));
                }
                _ => rest.push(word),
            }
        }
        Ok((options, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_stand_anywhere() {
        let take = |line: &str| Options::take(super::super::words::split(line));
        let (options, words) = take("-j map --backend kernel show -p id 3").unwrap();
        assert!(options.json && options.pretty);
        assert_eq!(options.common.backend, "kernel");
        assert_eq!(words, ["map", "show", "id", "3"]);
        let (options, words) = take("prog run -- data_in -").unwrap();
        assert!(!options.json);
        assert_eq!(words, ["prog", "run", "data_in", "-"]);
        for line in ["--nosuch map", "map --backend", "map --backend windows"] {
            assert!(take(line).is_err(), "{line}");
        }
    }
}

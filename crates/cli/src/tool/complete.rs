//! `completion`: a script that lets a shell complete the words.

use super::FAMILIES;
use super::failure::{Answer, Failure};
use super::session::Session;
use super::words::Words;
use crate::verify::print;

/// The shells.
pub const SHELLS: &[&str] = &["bash"];

/// What the command takes.
pub const USAGE: &str = "Usage: skep completion bash\n";

/// The commands that are not families of words.
const OTHERS: &[&str] = &["verify", "run"];

/// Prints the script.
pub fn command(_: &Session<'_>, words: &mut Words) -> Answer<()> {
    match words.next().as_deref() {
        Some("bash") => print(&bash()),
        _ => return Err(Failure::Usage),
    }
    words.end()
}

fn bash() -> String {
    let names: Vec<&str> = FAMILIES
        .iter()
        .map(|family| family.name)
        .chain(OTHERS.iter().copied())
        .collect();
    let mut cases = String::new();
    for family in FAMILIES {
        let verbs = family.verbs.join(" ");
        cases += &format!("        {}) words=\"{verbs}\" ;;\n", family.name);
    }
    format!(
        "# Completion of the skep command. Use: source <(skep completion bash)\n\
         _skep() {{\n    \
         local cur=${{COMP_WORDS[COMP_CWORD]}} words=\"\"\n    \
         if [ \"$COMP_CWORD\" -eq 1 ]; then\n        \
         words=\"{}\"\n    \
         elif [ \"$COMP_CWORD\" -eq 2 ]; then\n        \
         case ${{COMP_WORDS[1]}} in\n{cases}        esac\n    fi\n    \
         COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n    \
         [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n}}\n\
         complete -F _skep skep\n",
        names.join(" ")
    )
}

//! `completion`: a script that lets a shell complete the words.

use super::FAMILIES;
use super::failure::{Answer, Failure};
use super::session::Session;
use super::words::Words;
use crate::verify::print;

/// The shells.
pub const SHELLS: &[&str] = &["bash", "zsh", "fish"];

/// What the command takes.
pub const USAGE: &str = "Usage: skep completion { bash | zsh | fish }\n";

/// The commands that are not families of words.
const OTHERS: &[&str] = &["verify", "run"];

/// Prints the script.
pub fn command(_: &Session<'_>, words: &mut Words) -> Answer<()> {
    match words.next().as_deref() {
        Some("bash") => print(&bash()),
        Some("zsh") => print(&zsh()),
        Some("fish") => print(&fish()),
        _ => return Err(Failure::Usage),
    }
    words.end()
}

/// What may come first.
fn names() -> Vec<&'static str> {
    let families = FAMILIES.iter().map(|family| family.name);
    families.chain(OTHERS.iter().copied()).collect()
}

fn zsh() -> String {
    let mut cases = String::new();
    for family in FAMILIES {
        let verbs = family.verbs.join(" ");
        cases += &format!("        {}) compadd {verbs} ;;\n", family.name);
    }
    format!(
        "#compdef skep\n\
         # Completion of the skep command. Use: source <(skep completion zsh)\n\
         _skep() {{\n    \
         if (( CURRENT == 2 )); then\n        compadd {}\n        return\n    fi\n    \
         if (( CURRENT == 3 )); then\n        case ${{words[2]}} in\n{cases}        esac\n    fi\n    \
         _files\n}}\n\
         compdef _skep skep\n",
        names().join(" ")
    )
}

fn fish() -> String {
    let mut lines = format!(
        "# Completion of the skep command. Use: skep completion fish | source\n\
         complete -c skep -n __fish_use_subcommand -f -a '{}'\n",
        names().join(" ")
    );
    for family in FAMILIES {
        let (name, verbs) = (family.name, family.verbs.join(" "));
        lines += &format!(
            "complete -c skep -n '__fish_seen_subcommand_from {name}; and test (count (commandline -opc)) -eq 2' -a '{verbs}'\n"
        );
    }
    lines
}

fn bash() -> String {
    let names = names();
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

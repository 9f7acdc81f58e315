//! Which capabilities a task has, as `capset(2)` numbers them.

use std::fmt;

/// A set of capabilities: bit N is capability N.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capabilities(pub u64);

/// The capabilities that `bpf(2)` asks for, with the names that people write.
const NAMED: [(&str, Capabilities); 4] = [
    ("net_admin", Capabilities::NET_ADMIN),
    ("sys_admin", Capabilities::SYS_ADMIN),
    ("perfmon", Capabilities::PERFMON),
    ("bpf", Capabilities::BPF),
];

impl Capabilities {
    /// None at all.
    pub const NONE: Capabilities = Capabilities(0);
    /// `CAP_NET_ADMIN`: programs and maps that act on the network.
    pub const NET_ADMIN: Capabilities = Capabilities(1 << 12);
    /// `CAP_SYS_ADMIN`: objects by id, and whatever the three others allow.
    pub const SYS_ADMIN: Capabilities = Capabilities(1 << 21);
    /// `CAP_PERFMON`: programs that read the kernel's memory, pointers as numbers.
    pub const PERFMON: Capabilities = Capabilities(1 << 38);
    /// `CAP_BPF`: BTF, most maps, loops, functions, the large limits.
    pub const BPF: Capabilities = Capabilities(1 << 39);
    /// Every capability that Linux 6.18 knows.
    pub const ALL: Capabilities = Capabilities((1 << 41) - 1);

    /// Whether a check for `needed` passes. `CAP_SYS_ADMIN` stands for the others, as it did
    /// before they were split from it.
    #[must_use]
    pub const fn allow(self, needed: Capabilities) -> bool {
        self.0 & (needed.0 | Capabilities::SYS_ADMIN.0) != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }

    /// The set that a text names: `all`, `none`, or names such as `bpf,net_admin`, with or
    /// without `cap_`, in either case.
    ///
    /// # Errors
    /// The name that is none.
    pub fn parse(text: &str) -> Result<Capabilities, String> {
        match text {
            "all" => return Ok(Capabilities::ALL),
            "none" => return Ok(Capabilities::NONE),
            _ => {}
        }
        text.split(',')
            .try_fold(Capabilities::NONE, |set, written| {
                let name = written.trim().to_ascii_lowercase();
                let name = name.strip_prefix("cap_").unwrap_or(&name);
                let known = NAMED.iter().find(|(known, _)| *known == name);
                known
                    .map(|(_, one)| set.with(*one))
                    .ok_or_else(|| written.trim().to_owned())
            })
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Capabilities::NONE => return f.write_str("none"),
            Capabilities::ALL => return f.write_str("all"),
            _ => {}
        }
        let mut rest = self.0;
        let mut comma = "";
        for (name, one) in NAMED {
            if rest & one.0 != 0 {
                write!(f, "{comma}{name}")?;
                comma = ",";
                rest &= !one.0;
            }
        }
        if rest != 0 {
            write!(f, "{comma}{rest:#x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capabilities({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |text: &str, expected: Result<(Capabilities, &str), &str>| {
            let got = Capabilities::parse(text);
            let shown = got.as_ref().map(ToString::to_string).unwrap_or_default();
            match (expected, &got) {
                (Ok((set, back)), Ok(parsed)) => assert_eq!((*parsed, &*shown), (set, back)),
                (Err(name), Err(wrong)) => assert_eq!(wrong, name),
                _ => panic!("{text}: {got:?}"),
            }
        };
        check("all", Ok((Capabilities::ALL, "all")));
        check("none", Ok((Capabilities::NONE, "none")));
        check("bpf", Ok((Capabilities::BPF, "bpf")));
        let both = Capabilities::BPF.with(Capabilities::NET_ADMIN);
        check("CAP_BPF, net_admin", Ok((both, "net_admin,bpf")));
        check("bpf,chown", Err("chown"));
        check("", Err(""));
    }

    #[test]
    fn the_administrator_may_do_what_the_others_may() {
        let check = |has: Capabilities, needed, may| assert_eq!(has.allow(needed), may, "{has}");
        check(Capabilities::SYS_ADMIN, Capabilities::BPF, true);
        check(Capabilities::BPF, Capabilities::BPF, true);
        check(Capabilities::BPF, Capabilities::PERFMON, false);
        check(Capabilities::BPF, Capabilities::SYS_ADMIN, false);
        check(Capabilities::NONE, Capabilities::BPF, false);
    }
}

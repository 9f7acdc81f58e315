//! The structures of operations whose members programs can implement.

/// One structure of operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operations {
    /// The structure's name.
    pub name: &'static str,
    /// Members that are functions but cannot be implemented.
    pub unsupported: &'static [&'static str],
    /// The only members that may sleep; `None` when all may.
    pub sleepable: Option<&'static [&'static str]>,
    /// Arguments that may be null: the member, and a mask of its arguments.
    pub nullable: &'static [(&'static str, u16)],
    /// An argument that points at the first is known to point at the second.
    pub promoted: Option<(&'static str, &'static str)>,
    /// The structure that programs may write to.
    pub writable: &'static str,
    /// The fields of it that may be written, each as a way from the outermost structure.
    pub fields: &'static [&'static [&'static str]],
    /// Programs may call the helpers of their type, but not these in these members.
    pub withheld: Option<&'static [(&'static str, &'static [u32])]>,
    /// `BPF_PROG_TEST_RUN` runs its members, with what they work on.
    pub runs_alone: bool,
}

impl Operations {
    /// Whether the member may sleep.
    #[must_use]
    pub fn may_sleep(&self, member: &str) -> bool {
        self.sleepable.is_none_or(|only| only.contains(&member))
    }

    /// Which arguments of the member may be null, as a mask.
    #[must_use]
    pub fn nullable_args(&self, member: &str) -> u16 {
        let row = self.nullable.iter().find(|(name, _)| *name == member);
        row.map_or(0, |(_, mask)| *mask)
    }

    /// Whether the member may call a helper that its program type can call.
    #[must_use]
    pub fn may_call(&self, member: &str, helper: u32) -> bool {
        let Some(withheld) = self.withheld else {
            return false;
        };
        !withheld
            .iter()
            .any(|(name, helpers)| *name == member && helpers.contains(&helper))
    }
}

/// As Linux 6.18 answered.
static OPERATIONS: &[Operations] = &[
    Operations {
        name: "tcp_congestion_ops",
        unsupported: &["get_info"],
        sleepable: None,
        nullable: &[],
        promoted: Some(("sock", "tcp_sock")),
        writable: "tcp_sock",
        fields: &[
            &["inet_conn", "icsk_inet", "sk", "sk_pacing_status"],
            &["inet_conn", "icsk_inet", "sk", "sk_pacing_rate"],
            &["inet_conn", "icsk_ack", "pending"],
            &["inet_conn", "icsk_ca_priv"],
            &["snd_cwnd"],
            &["snd_ssthresh"],
            &["ecn_flags"],
            &["app_limited"],
            &["snd_cwnd_cnt"],
            &["snd_cwnd_stamp"],
        ],
        // Options of a socket that is going away.
        withheld: Some(&[("release", &[49, 57])]),
        runs_alone: false,
    },
    Operations {
        name: "bpf_dummy_ops",
        unsupported: &[],
        sleepable: Some(&["test_sleepable"]),
        nullable: &[("test_1", 1)],
        promoted: None,
        writable: "bpf_dummy_ops_state",
        fields: &[&["val"]],
        withheld: None,
        runs_alone: true,
    },
];

/// The structure of operations with this name.
#[must_use]
pub fn operations(name: &str) -> Option<&'static Operations> {
    OPERATIONS.iter().find(|row| row.name == name)
}

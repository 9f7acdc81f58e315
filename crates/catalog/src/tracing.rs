//! What the arguments of tracepoints and iterators are, and which fields of kernel objects
//! keep the trust of the pointer they were read through.

use crate::tracing_rows::{ITERATORS, NULLABLE, TRACEPOINTS};

/// What an iterator hands its program in one argument (the first is always trusted
/// `struct bpf_iter_meta`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IterValue {
    /// A number.
    Number,
    /// A trusted object of this type.
    Trusted(&'static str),
    /// The same, or null.
    TrustedOrNull(&'static str),
    /// An object of this type without trust, or null.
    PlainOrNull(&'static str),
    /// Memory that may only be read, bounded when the iterator is made, or null.
    ReadOnlyBufferOrNull,
    /// Memory bounded when the iterator is made, or null.
    BufferOrNull,
}

/// How trust passes through a field of a kernel object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldTrust {
    /// It is trusted when the object is.
    Trusted,
    /// It is trusted when the object is, but may be null.
    TrustedOrNull,
    /// It is valid inside an RCU section.
    Rcu,
    /// It is valid inside an RCU section, but may be null.
    RcuOrNull,
}

/// The arguments of a tracepoint (by its name without prefix) that may be null, as a mask;
/// `None` for a tracepoint that was not asked about.
#[must_use]
pub fn tracepoint_nullable(name: &str) -> Option<u16> {
    TRACEPOINTS.binary_search(&name).ok()?;
    let row = NULLABLE.binary_search_by_key(&name, |row| row.0);
    Some(row.map_or(0, |at| NULLABLE[at].1))
}

/// The arguments behind the first of the iterator with this name (without `bpf_iter_`);
/// `None` when there is no such iterator.
#[must_use]
pub fn iterator(name: &str) -> Option<&'static [IterValue]> {
    let at = ITERATORS.binary_search_by_key(&name, |row| row.0).ok()?;
    Some(ITERATORS[at].1)
}

/// What is promised of a pointer field: the structure the register points at, the field's
/// name, and the structure that the field points at must all agree.
#[must_use]
pub fn field_trust(object: &str, field: &str, target: &str) -> Option<FieldTrust> {
    use FieldTrust::{Rcu, RcuOrNull, Trusted, TrustedOrNull};
    Some(match (object, field, target) {
        ("bpf_iter_meta", "seq", "seq_file")
        | ("linux_binprm", "file", "file")
        | ("file", "f_inode", "inode") => Trusted,
        ("dentry", "d_inode", "inode") | ("socket", "sk", "sock") => TrustedOrNull,
        ("task_struct", "cpus_ptr", "cpumask")
        | ("task_struct", "cgroups", "css_set")
        | ("task_struct", "real_parent" | "group_leader", "task_struct")
        | ("cgroup", "kn", "kernfs_node")
        | ("css_set", "dfl_cgrp", "cgroup")
        | ("cgroup_subsys_state", "cgroup", "cgroup") => Rcu,
        ("mm_struct", "exe_file", "file") | ("sk_buff" | "request_sock", "sk", "sock") => RcuOrNull,
        _ => return None,
    })
}

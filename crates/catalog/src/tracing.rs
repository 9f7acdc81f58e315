//! What the arguments of tracepoints and iterators are, and which fields of kernel objects
//! keep the trust of the pointer they were read through.

use crate::tracing_rows::{ITERATORS, NULLABLE, TRACEPOINTS};

/// What an iterator hands its program in one argument (the first is always trusted
/// `struct bpf_iter_meta`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IterValue {
    /// A number.
    Number,
    /// What the types of the kernel say.
    AsTyped,
    /// A trusted object of this type, or null.
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

/// Whether programs of the iterator with this name may read and set options of the socket.
#[must_use]
pub fn iterator_has_socket_options(name: &str) -> bool {
    matches!(name, "tcp" | "unix")
}

/// Why a function must not be traced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Trampolines need it themselves.
    Always,
    /// It never comes back, so that its end cannot be traced.
    Exit,
}

/// Whether a function must not be traced, or not at its end.
#[must_use]
pub fn refuses_tracing(function: &str) -> Option<Refusal> {
    match function {
        "__rcu_read_lock"
        | "__rcu_read_unlock"
        | "migrate_disable"
        | "migrate_enable"
        | "preempt_count_add"
        | "preempt_count_sub"
        | "rcu_read_unlock_strict" => Some(Refusal::Always),
        "__ia32_sys_exit"
        | "__ia32_sys_exit_group"
        | "__x64_sys_exit"
        | "__x64_sys_exit_group"
        | "__arm64_sys_exit"
        | "__arm64_sys_exit_group"
        | "do_exit"
        | "do_group_exit"
        | "kthread_complete_and_exit"
        | "kthread_exit"
        | "make_task_dead" => Some(Refusal::Exit),
        _ => None,
    }
}

/// Whether the function is a place where errors may be injected: every system call is, and
/// what was made for it.
fn takes_injected_errors(function: &str) -> bool {
    const CALLS: [&str; 4] = ["__x64_sys_", "__ia32_sys_", "__arm64_sys_", "__s390x_sys_"];
    CALLS.iter().any(|prefix| function.starts_with(prefix))
        || matches!(
            function,
            "__filemap_add_folio"
                | "btrfs_check_leaf_full"
                | "open_ctree"
                | "should_fail_alloc_page"
                | "should_fail_bio"
                | "should_failslab"
        )
}

/// Whether programs may put their own result in place of the function's.
#[must_use]
pub fn may_modify(function: &str) -> bool {
    function.starts_with("security_")
        || takes_injected_errors(function)
        || matches!(
            function,
            "bpf_fentry_test1"
                | "bpf_modify_return_test"
                | "bpf_modify_return_test2"
                | "bpf_modify_return_test_tp"
                | "bpf_rstat_flush"
                | "update_socket_protocol"
        )
}

/// Whether programs that trace the function may sleep.
#[must_use]
pub fn may_sleep(function: &str) -> bool {
    const IN_ATOMIC: [&str; 3] = [
        "__filemap_add_folio",
        "should_fail_alloc_page",
        "should_failslab",
    ];
    function == "bpf_fentry_test1"
        || takes_injected_errors(function) && !IN_ATOMIC.contains(&function)
}

/// Whether a program that traces the function may ask for the paths of its files.
#[must_use]
pub fn sees_paths(function: &str) -> bool {
    matches!(
        function,
        "dentry_open"
            | "filp_close"
            | "security_file_open"
            | "security_file_permission"
            | "security_inode_getattr"
            | "security_path_truncate"
            | "vfs_fallocate"
            | "vfs_getattr"
            | "vfs_truncate"
    )
}

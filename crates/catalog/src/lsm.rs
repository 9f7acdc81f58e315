//! The security hooks that programs attach to: which there are, which may sleep, what their
//! programs may return, and whose arguments can be trusted.
//!
//! Names are those of the functions in the kernel's BTF without `bpf_lsm_`.

/// Functions whose names begin like a hook's and that are none.
const NOT_HOOKS: &[&str] = &[
    "find_cgroup_shim",
    "func_proto",
    "get_retval_range",
    "has_d_inode_locked",
    "hook_returns_errno",
    "init",
    "is_sleepable_hook",
    "is_trusted",
    "verify_prog",
];

/// Hooks whose results are no plain error numbers, to which nothing attaches.
const DISABLED: &[&str] = &[
    "audit_rule_match",
    "getprocattr",
    "getselfattr",
    "inode_copy_up_xattr",
    "inode_getsecurity",
    "inode_listsecurity",
    "inode_need_killpriv",
    "ismaclabel",
    "key_getsecurity",
    "setprocattr",
    "vm_enough_memory",
];

/// Hooks that answer yes or no.
const BOOLEAN: &[&str] = &[
    "audit_rule_known",
    "inode_xattr_skipcap",
    "xfrm_state_pol_flow_match",
];

/// Hooks that are handed objects before they are whole, or while they go away.
const UNTRUSTED: &[&str] = &[
    "bpf_map_free",
    "bpf_prog_free",
    "file_alloc_security",
    "file_free_security",
    "sk_alloc_security",
    "sk_free_security",
    "task_free",
];

/// Hooks whose programs may sleep.
const SLEEPABLE: &[&str] = &[
    "bpf",
    "bpf_map",
    "bpf_map_create",
    "bpf_map_free",
    "bpf_prog",
    "bpf_prog_free",
    "bpf_prog_load",
    "bpf_token_capable",
    "bpf_token_cmd",
    "bpf_token_create",
    "bpf_token_free",
    "bprm_check_security",
    "bprm_committed_creds",
    "bprm_committing_creds",
    "bprm_creds_for_exec",
    "bprm_creds_from_file",
    "capget",
    "capset",
    "cred_prepare",
    "file_ioctl",
    "file_lock",
    "file_open",
    "file_post_open",
    "file_receive",
    "inet_conn_established",
    "inode_create",
    "inode_free_security",
    "inode_getattr",
    "inode_getxattr",
    "inode_mknod",
    "inode_need_killpriv",
    "inode_post_removexattr",
    "inode_post_setxattr",
    "inode_readlink",
    "inode_remove_acl",
    "inode_removexattr",
    "inode_rename",
    "inode_rmdir",
    "inode_set_acl",
    "inode_setattr",
    "inode_setxattr",
    "inode_symlink",
    "inode_unlink",
    "kernel_module_request",
    "kernel_read_file",
    "kernfs_init_security",
    "key_free",
    "mmap_file",
    "netlink_send",
    "path_chmod",
    "path_chown",
    "path_link",
    "path_mkdir",
    "path_notify",
    "path_rename",
    "path_rmdir",
    "path_symlink",
    "path_truncate",
    "path_unlink",
    "release_secctx",
    "sb_alloc_security",
    "sb_eat_lsm_opts",
    "sb_kern_mount",
    "sb_mount",
    "sb_remount",
    "sb_set_mnt_opts",
    "sb_show_options",
    "sb_statfs",
    "sb_umount",
    "settime",
    "socket_accept",
    "socket_bind",
    "socket_connect",
    "socket_create",
    "socket_getpeername",
    "socket_getpeersec_dgram",
    "socket_getsockname",
    "socket_getsockopt",
    "socket_listen",
    "socket_post_create",
    "socket_recvmsg",
    "socket_sendmsg",
    "socket_shutdown",
    "socket_socketpair",
    "syslog",
    "task_alloc",
    "task_prctl",
    "task_setscheduler",
    "task_to_inode",
    "userns_create",
];

/// Hooks of sockets whose options programs of cgroups may read and set.
const SOCKET_OPTIONS: &[&str] = &[
    "inet_conn_established",
    "inet_csk_clone",
    "sock_graft",
    "socket_post_create",
    "socket_socketpair",
];

/// The most negative error number.
const MAX_ERRNO: i32 = 4095;

/// What programs may do at one hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hook<'n>(&'n str);

/// The hook behind a function of the kernel; `None` for a function that is none.
#[must_use]
pub fn hook(function: &str) -> Option<Hook<'_>> {
    let name = function.strip_prefix("bpf_lsm_")?;
    (!NOT_HOOKS.contains(&name)).then_some(Hook(name))
}

impl Hook<'_> {
    fn is_in(self, names: &[&str]) -> bool {
        names.contains(&self.0)
    }

    /// Nothing may be attached to it.
    #[must_use]
    pub fn is_disabled(self) -> bool {
        self.is_in(DISABLED)
    }

    /// Its programs may sleep.
    #[must_use]
    pub fn may_sleep(self) -> bool {
        self.is_in(SLEEPABLE)
    }

    /// Its arguments are whole objects.
    #[must_use]
    pub fn is_trusted(self) -> bool {
        !self.is_in(UNTRUSTED)
    }

    /// Its programs of cgroups may read and set options of sockets.
    #[must_use]
    pub fn has_socket_options(self) -> bool {
        self.is_in(SOCKET_OPTIONS)
    }

    /// What its programs return, and what those before them returned: an error number, or
    /// yes and no. Where it returns nothing this does not apply.
    #[must_use]
    pub fn results(self) -> (i32, i32) {
        if self.is_in(BOOLEAN) {
            (0, 1)
        } else {
            (-MAX_ERRNO, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BOOLEAN, DISABLED, NOT_HOOKS, SLEEPABLE, SOCKET_OPTIONS, UNTRUSTED, hook};

    #[test]
    fn lists_are_sorted() {
        for list in [
            BOOLEAN,
            DISABLED,
            NOT_HOOKS,
            SLEEPABLE,
            SOCKET_OPTIONS,
            UNTRUSTED,
        ] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }

    #[test]
    fn hooks_are_told_from_other_functions() {
        assert!(hook("bpf_lsm_file_open").is_some_and(|hook| hook.may_sleep()));
        assert!(hook("bpf_lsm_func_proto").is_none());
        assert!(hook("security_file_open").is_none());
        let results = |name| hook(name).map(|hook| hook.results());
        assert_eq!(results("bpf_lsm_inode_xattr_skipcap"), Some((0, 1)));
        assert_eq!(results("bpf_lsm_bprm_check_security"), Some((-4095, 0)));
    }
}

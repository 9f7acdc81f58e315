//! The seam by the real bpf(2) system call of a Linux host.

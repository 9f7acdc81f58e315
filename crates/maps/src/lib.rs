//! The map types of BPF and their operations.

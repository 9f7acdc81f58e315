//! Reads BPF object files: sections, symbols, relocations.

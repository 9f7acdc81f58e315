//! The facts of Linux BPF as tables: helpers, program types, map types, context fields.

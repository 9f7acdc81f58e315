//! BTF: parse, check and query type information.

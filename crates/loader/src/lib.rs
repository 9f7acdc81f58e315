//! libbpf's role: opens an object, plans what to load, and loads it through the seam.

//! The seam in process: tasks, descriptors, ids, maps, programs and test runs.

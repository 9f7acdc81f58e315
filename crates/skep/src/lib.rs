//! skep as one dependency: kernels, objects, programs and maps.

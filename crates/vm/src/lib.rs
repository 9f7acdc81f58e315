//! The interpreter: runs verified programs, trusting or checking every step.

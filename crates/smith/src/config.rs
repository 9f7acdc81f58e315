//! What kind of programs are wanted.

use skep_abi::ProgType;

/// What kind of programs are wanted.
#[derive(Clone, Debug)]
pub struct Config {
    /// Only this type; `None` for a mixture of all that the generator knows.
    pub prog_type: Option<ProgType>,
    /// Programs for a caller without capabilities.
    pub unprivileged: bool,
    /// How many of a thousand programs contain deliberate mistakes.
    pub faulty_per_mille: u32,
    /// In such a program, how many of a thousand decisions are mistakes.
    pub slips_per_mille: u32,
    /// How many of a thousand programs have some bits changed at the end.
    pub mutants_per_mille: u32,
    /// About how many statements a program has at most.
    pub statements: u32,
    /// Whether to stay away from clocks, random numbers and addresses taken as numbers, so
    /// that two kernels compute the same.
    pub repeatable: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            prog_type: None,
            unprivileged: false,
            faulty_per_mille: 400,
            slips_per_mille: 25,
            mutants_per_mille: 100,
            statements: 24,
            repeatable: false,
        }
    }
}

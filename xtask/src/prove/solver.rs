//! Puts formulas to SMT solvers, which run as processes of their own: bitwuzla and z3, through
//! their Python packages. Nothing of skep is built with them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What a solver said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// There is no solution.
    Unsat,
    /// There is one.
    Sat,
    /// It gave up or ran out of time.
    Unknown,
}

/// The solvers that are there, in the order in which they are asked.
pub struct Solvers {
    python: String,
    script: PathBuf,
    /// Name and version of each.
    pub engines: Vec<(&'static str, String)>,
    limit: u32,
}

/// An answer and where it is from.
pub struct Solved {
    /// What was said.
    pub answer: Answer,
    /// By whom, or by all when nobody knew.
    pub engine: String,
    /// Seconds, of a processor where the solver finished, else of the clock.
    pub seconds: f64,
}

impl Solvers {
    /// Looks for the solvers of this `python`; `limit` is in seconds a question.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn find(python: &str, folder: &Path, limit: u32) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let script = folder.join("solve.py");
        std::fs::write(&script, include_str!("solve.py"))?;
        let mut solvers = Self {
            python: python.to_owned(),
            script,
            engines: Vec::new(),
            limit,
        };
        for engine in ["bitwuzla", "z3"] {
            if let Some(version) = solvers.say(&[engine]) {
                solvers.engines.push((engine, version));
            }
        }
        Ok(solvers)
    }

    fn say(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("nice")
            .arg(&self.python)
            .arg(&self.script)
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    /// Asks one solver after the other until one knows.
    pub fn solve(&self, file: &Path) -> Solved {
        let start = Instant::now();
        let limit = self.limit.to_string();
        for (engine, _) in &self.engines {
            let said = self.say(&[engine, &file.to_string_lossy(), &limit]);
            let said = said.unwrap_or_default();
            let (answer, seconds) = said.split_once(' ').unwrap_or_default();
            let answer = match answer {
                "unsat" => Answer::Unsat,
                "sat" => Answer::Sat,
                _ => continue,
            };
            return Solved {
                answer,
                engine: (*engine).to_owned(),
                seconds: seconds.parse().unwrap_or_default(),
            };
        }
        let names: Vec<&str> = self.engines.iter().map(|(name, _)| *name).collect();
        Solved {
            answer: Answer::Unknown,
            engine: names.join(", "),
            seconds: start.elapsed().as_secs_f64(),
        }
    }
}

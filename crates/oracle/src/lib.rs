//! Referees: runs two kernels side by side, records and replays their answers.

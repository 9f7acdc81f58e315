//! Other engines on skep's benchmark programs: `skep-peers INPUT FOLDER NAME…` runs
//! `FOLDER/vm/NAME.o` in each and prints one JSON object per program and engine.

mod bytecode;
mod native;
mod rbpf_engines;
mod sbpf;

use std::path::Path;
use std::time::Instant;

/// Samples of each program in each engine.
const SAMPLES: usize = 15;
/// About how long one sample takes, in nanoseconds.
const SAMPLE_NS: u64 = 1_500_000;

/// A program ready to run in one engine.
pub struct Ready<'a> {
    pub engine: &'static str,
    pub run: Box<dyn FnMut() -> Result<u64, String> + 'a>,
    pub compile_us: f64,
    pub code_bytes: usize,
}

/// How long something takes in microseconds, the least of a few times.
pub fn least_us<T>(mut body: impl FnMut() -> T) -> f64 {
    let times = (0..7).map(|_| {
        let started = Instant::now();
        std::hint::black_box(body());
        started.elapsed().as_nanos() as f64 / 1000.0
    });
    times.fold(f64::INFINITY, f64::min)
}

fn measure(program: &str, insns: usize, ready: &mut Ready<'_>) -> Result<serde_json::Value, String> {
    let retval = (ready.run)()?;
    let started = Instant::now();
    (ready.run)()?;
    let once = (started.elapsed().as_nanos() as u64).max(1);
    let repeat = (SAMPLE_NS / once).clamp(10, 500_000);
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        let started = Instant::now();
        for _ in 0..repeat {
            std::hint::black_box((ready.run)()?);
        }
        times.push(started.elapsed().as_nanos() as f64 / repeat as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(serde_json::json!({
        "program": program,
        "engine": ready.engine,
        "ns_per_run": times[SAMPLES / 2],
        "ns_min": times[0],
        "insns": insns,
        "compile_us": ready.compile_us,
        "code_bytes": ready.code_bytes,
        "retval": retval as u32,
    }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, folder, names @ ..] = args.as_slice() else {
        return Err("skep-peers INPUT FOLDER NAME…".into());
    };
    let input = std::fs::read(input)?;
    for name in names {
        let path = Path::new(folder).join("vm").join(format!("{name}.o"));
        let Ok(object) = std::fs::read(&path) else {
            continue;
        };
        let Some(text) = bytecode::text(&object) else {
            eprintln!("{name}: no bytecode");
            continue;
        };
        let mut memories = vec![input.clone(); 5];
        let [a, b, c, d, e] = memories.as_mut_slice() else {
            continue;
        };
        let told = rbpf_engines::with_len(&text, input.len() as u32);
        let insns = text.len() / 8;
        let run = |engine: Result<Ready<'_>, String>| {
            let mut ready = engine?;
            let at = ready.engine;
            measure(name, insns, &mut ready).map_err(|e| format!("{at}: {e}"))
        };
        let rows: [Box<dyn FnOnce() -> _>; 5] = [
            Box::new(|| run(native::ready(name, a))),
            Box::new(|| run(rbpf_engines::interpreter(&told, b))),
            Box::new(|| run(rbpf_engines::jit(&told, c))),
            Box::new(|| run(rbpf_engines::cranelift(&told, d))),
            Box::new(|| run(sbpf::ready(&text, e))),
        ];
        for row in rows {
            // Some of them panic at what they cannot do.
            let row = std::panic::catch_unwind(std::panic::AssertUnwindSafe(row));
            match row.unwrap_or_else(|_| Err("panicked".to_string())) {
                Ok(row) => println!("{row}"),
                Err(why) => eprintln!("{name}: {why}"),
            }
        }
    }
    Ok(())
}

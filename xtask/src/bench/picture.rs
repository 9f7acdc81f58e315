//! What `bench run` found as a page and a picture, for the documentation.

use std::fmt::Write;

use super::run::Row;

/// The engine that all others are compared with.
const BASE: &str = "kernel";
/// Pixels of a bar for a ratio of one, and of a bar's height.
const UNIT: f64 = 240.0;
const BAR: usize = 13;
/// Bars longer than this ratio are cut.
const LONGEST: f64 = 2.5;

fn find<'r>(rows: &'r [Row], program: &str, engine: &str) -> Option<&'r Row> {
    rows.iter()
        .find(|r| r.program == program && r.engine == engine)
}

/// The table as Markdown: nanoseconds of a run in every engine.
pub(super) fn page(
    rows: &[Row],
    names: &[String],
    engines: &[&str],
    entering: Option<f64>,
) -> String {
    let mut out = String::from(
        "# Speed of programs\n\nNanoseconds of one run, with what an empty program costs \
         subtracted; the least of 15 samples in one run of `cargo xtask bench run --docs` on one machine, in \
         which all engines took turns. A dash: the engine does not take the program; an \
         exclamation mark: it gives another result.\n\n![Time against the kernel's JIT](speed.svg)\n\n",
    );
    let _ = writeln!(out, "| program | {} |", engines.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(engines.len()));
    for name in names {
        let expected = find(rows, name, BASE).or(find(rows, name, "skep-jit"));
        let cell = |engine: &&str| match find(rows, name, engine) {
            None => "–".to_string(),
            Some(row) => {
                let same = name.starts_with("map_helper")
                    || expected.is_none_or(|e| e.retval == row.retval);
                format!("{:.0}{}", row.ns_min, if same { "" } else { " !" })
            }
        };
        let cells: Vec<String> = engines.iter().map(cell).collect();
        let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
    }
    let _ = writeln!(
        out,
        "\nGeometric means over the compute programs that both sides run:\n"
    );
    for (ours, theirs) in [
        ("skep-jit", BASE),
        ("skep-jit", "native"),
        ("skep-jit", "rbpf-jit"),
        ("skep-jit", "rbpf-cranelift"),
        ("skep-jit", "solana-sbpf"),
        ("skep-interp", "native"),
        ("skep-bounded", "skep-jit"),
        (BASE, "native"),
    ] {
        if let Some((mean, worst)) = mean(rows, names, ours, theirs) {
            let _ = writeln!(out, "- {ours} / {theirs}: {mean:.2}, at most {worst:.2}");
        }
    }
    if let Some(ns) = entering {
        let _ = writeln!(
            out,
            "\nA run of the empty program through a `Runner`: {ns:.1} ns."
        );
    }
    out.push_str(
        "\n## Compiling\n\nMicroseconds to verify a program and to make native code of it, the \
         least of several times, and bytes of code.\n\n\
         | program | instructions | verify µs | compile µs | compile / verify | µs an \
         instruction | code bytes | kernel's |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for name in names {
        let Some(row) = find(rows, name, "skep-jit").filter(|row| row.code_bytes > 0) else {
            continue;
        };
        let theirs = find(rows, name, BASE).map_or("–".into(), |r| r.code_bytes.to_string());
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {:.2} | {:.2} | {} | {theirs} |",
            row.insns,
            short(row.verify_us),
            short(row.compile_us),
            row.compile_us / row.verify_us.max(0.1),
            row.compile_us / row.insns.max(1) as f64,
            row.code_bytes,
        );
    }
    out
}

/// A number with as many digits as matter.
fn short(us: f64) -> String {
    match us {
        10.0.. => format!("{us:.0}"),
        _ => format!("{us:.1}"),
    }
}

/// The geometric mean and the largest of the ratios of two engines' times.
pub(super) fn mean(rows: &[Row], names: &[String], a: &str, b: &str) -> Option<(f64, f64)> {
    let compute = names
        .iter()
        .filter(|n| *n != "empty" && !n.starts_with("map_"));
    let ratios: Vec<f64> = compute
        .filter_map(|name| Some(find(rows, name, a)?.ns_min / find(rows, name, b)?.ns_min))
        .collect();
    let logs: f64 = ratios.iter().map(|r| r.ln()).sum();
    let worst = ratios.iter().copied().reduce(f64::max)?;
    Some(((logs / ratios.len() as f64).exp(), worst))
}

/// Bars of skep's and the native code's time over that of the kernel's JIT.
pub(super) fn svg(rows: &[Row], names: &[String]) -> String {
    let shown: Vec<&String> = names
        .iter()
        .filter(|n| *n != "empty" && find(rows, n, BASE).is_some())
        .collect();
    let left = 150.0;
    let step = 2 * BAR + 8;
    let (width, height) = (left + UNIT * LONGEST + 60.0, shown.len() * step + 50);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{left}\" y=\"18\">time over that of the kernel's JIT: skep (gold), native \
         clang -O2 (grey)</text>\n"
    );
    for (i, name) in shown.iter().enumerate() {
        let y = 32 + i * step;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
            left - 8.0,
            y + BAR
        );
        for (n, (engine, colour)) in [("skep-jit", "#d99a00"), ("native", "#9a9a9a")]
            .into_iter()
            .enumerate()
        {
            let (Some(a), Some(b)) = (find(rows, name, engine), find(rows, name, BASE)) else {
                continue;
            };
            let ratio = a.ns_min / b.ns_min;
            let (at, bar) = (y + n * BAR, ratio.min(LONGEST) * UNIT);
            let _ = writeln!(
                out,
                "<rect x=\"{left}\" y=\"{at}\" width=\"{bar:.1}\" height=\"{}\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"10\">{ratio:.2}</text>",
                BAR - 2,
                left + bar + 4.0,
                at + BAR - 3
            );
        }
    }
    let one = left + UNIT;
    let _ = writeln!(
        out,
        "<line x1=\"{one}\" x2=\"{one}\" y1=\"26\" y2=\"{}\" stroke=\"#444\" \
         stroke-dasharray=\"3 3\"/>\n</svg>",
        height - 10
    );
    out
}

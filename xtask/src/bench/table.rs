//! How the figures of `cargo xtask bench run` are printed.

use super::run::Row;

/// One object for a program in an engine.
pub(super) fn object(row: &Row) -> serde_json::Value {
    serde_json::json!({
        "program": row.program,
        "engine": row.engine,
        "ns_per_run": row.ns,
        "ns_min": row.ns_min,
        "insns": row.insns,
        "verify_us": row.verify_us,
        "compile_us": row.compile_us,
        "code_bytes": row.code_bytes,
    })
}

/// A line for each program, and the means over all.
pub(super) fn table(rows: &[Row], names: &[String], mut shown: Vec<&str>) {
    let find = |name: &str, engine: &str| {
        rows.iter()
            .find(|r| r.program == name && r.engine == engine)
    };
    let peers = super::peers::NAMES.into_iter();
    shown.extend(peers.filter(|name| rows.iter().any(|row| row.engine == *name)));
    print!("{:<18}", "program");
    shown.iter().for_each(|engine| print!(" {engine:>12.12}"));
    println!(
        " {:>10} {:>10} {:>10} {:>10} {:>7} {:>7}",
        "jit/kernel", "jit/native", "verify", "compile", "code", "kernel"
    );
    for name in names {
        print!("{name:<18}");
        for engine in &shown {
            match find(name, engine) {
                Some(row) if row.ns < 10.0 => print!(" {:>12.2}", row.ns),
                Some(row) => print!(" {:>12.0}", row.ns),
                None => print!(" {:>12}", "-"),
            }
        }
        let (jit, kernel) = (find(name, "skep-jit"), find(name, "kernel"));
        let ratio = |a: Option<&Row>, b: Option<&Row>| Some(a?.ns / b?.ns);
        let show = |ratio: Option<f64>| ratio.map_or("-".to_string(), |r| format!("{r:.2}"));
        println!(
            " {:>10} {:>10} {:>7.0} µs {:>7.0} µs {:>7} {:>7}",
            show(ratio(jit, kernel)),
            show(ratio(jit, find(name, "native"))),
            jit.map_or(0.0, |r| r.verify_us),
            jit.map_or(0.0, |r| r.compile_us),
            jit.map_or(0, |r| r.code_bytes),
            kernel.map_or(0, |r| r.code_bytes),
        );
    }
    for (a, b) in [
        ("skep-jit", "kernel"),
        ("skep-jit", "native"),
        ("skep-bounded", "skep-jit"),
        ("skep-interp", "native"),
    ] {
        if let Some((mean, worst)) = super::picture::mean(rows, names, a, b) {
            println!("{a} / {b}: geometric mean {mean:.3}, at most {worst:.2}");
        }
    }
    let sizes: Vec<f64> = names
        .iter()
        .filter_map(|name| {
            let (ours, theirs) = (find(name, "skep-jit")?, find(name, "kernel")?);
            Some(ours.code_bytes as f64 / theirs.code_bytes as f64)
        })
        .collect();
    if !sizes.is_empty() {
        let logs: f64 = sizes.iter().map(|s| s.ln()).sum();
        let mean = (logs / sizes.len() as f64).exp();
        println!("code size / kernel's: geometric mean {mean:.2}");
    }
}

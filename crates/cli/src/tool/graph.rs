//! `prog dump xlated … visual`: the flow of control as a graph for `dot`.

use std::collections::BTreeSet;

use skep_isa::{Op, decode};

use super::dump::{Dump, Shown};

/// What leads on from an instruction: where it jumps, and whether the next one follows.
fn flow(dump: &Dump<'_>, at: usize) -> (Option<usize>, bool) {
    let to = |delta: i32| (at + 1).checked_add_signed(delta as isize);
    match decode(dump.insns, at) {
        Ok(Op::Jump { delta }) => (to(delta), false),
        Ok(Op::Branch { delta, .. } | Op::MayGoto { delta }) => (to(delta.into()), true),
        Ok(Op::Exit) => (None, false),
        _ => (None, true),
    }
}

/// Text within a record's label.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "<>{}|\"\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The program as a graph: a cluster for each function, a node for each basic block.
pub(super) fn dot(dump: &Dump<'_>, shown: Shown) -> String {
    let slots: Vec<(usize, usize)> = dump.slots().collect();
    let mut heads = BTreeSet::from([0]);
    let mut starts = BTreeSet::from([0]);
    for &(at, len) in &slots {
        let (to, follows) = flow(dump, at);
        if to.is_some() || !follows {
            heads.extend(to);
            heads.insert(at + len);
        }
        if let Ok(Op::CallSub { delta }) = decode(dump.insns, at)
            && let Some(start) = (at + 1).checked_add_signed(delta as isize)
        {
            starts.insert(start);
        }
    }
    heads.extend(&starts);
    heads.retain(|at| *at < dump.insns.len());
    let heads: Vec<usize> = heads.into_iter().collect();
    let starts: Vec<usize> = starts.into_iter().collect();
    let function = |at: usize| starts.partition_point(|start| *start <= at).max(1) - 1;
    let node = |at: usize| format!("fn_{}_bb_{at}", function(at));
    let mut out = String::from("digraph \"DOT graph for eBPF program\" {\n");
    for (index, start) in starts.iter().enumerate() {
        out += &format!(
            "\tsubgraph \"cluster_{index}\" {{\n\t\tstyle=\"dashed\";\n\t\tcolor=\"black\";\n\t\tlabel=\"func_{index} ()\";\n"
        );
        out += &format!("\t\tfn_{index}_entry [shape=Mdiamond,style=filled,label=\"ENTRY\"];\n");
        out += &format!("\t\tfn_{index}_exit [shape=Mdiamond,style=filled,label=\"EXIT\"];\n");
        let own: Vec<usize> = heads
            .iter()
            .copied()
            .filter(|at| function(*at) == index)
            .collect();
        let mut edges = format!(
            "\t\tfn_{index}_entry -> {} [style=\"solid,bold\"];\n",
            node(*start)
        );
        for head in own {
            let end = heads
                .iter()
                .copied()
                .find(|at| *at > head)
                .unwrap_or(dump.insns.len());
            let rows: Vec<(usize, usize)> = slots
                .iter()
                .copied()
                .filter(|(at, _)| (head..end).contains(at))
                .collect();
            let mut label = String::new();
            for &(at, len) in &rows {
                label += &escaped(&format!("{at:4}: {}", dump.insn(at)));
                label += "\\l\\\n";
                if shown.opcodes {
                    let bytes = dump
                        .insns
                        .iter()
                        .skip(at)
                        .take(len)
                        .flat_map(|i| i.to_bytes());
                    let digits: Vec<_> = bytes.map(|byte| format!("{byte:02x}")).collect();
                    label += &format!("      {}\\l\\\n", digits.join(" "));
                }
            }
            out += &format!(
                "\t\t{} [shape=record,style=filled,label=\"{{{label}}}\"];\n",
                node(head)
            );
            let Some(&(last, len)) = rows.last() else {
                continue;
            };
            let (to, follows) = flow(dump, last);
            let next = (follows && last + len < dump.insns.len()).then_some(last + len);
            let mut lead = |to: String| {
                edges += &format!("\t\t{} -> {to} [style=\"solid,bold\"];\n", node(head));
            };
            to.into_iter().chain(next).for_each(|to| lead(node(to)));
            if to.is_none() && next.is_none() {
                lead(format!("fn_{index}_exit"));
            }
        }
        out += &edges;
        out += "\t}\n";
    }
    out + "}\n"
}

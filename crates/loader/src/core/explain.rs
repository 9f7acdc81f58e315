//! What each relocation of an object asks, which types of a target could answer, and what is
//! chosen, for a person.

use std::sync::Arc;

use skep_btf::relo::{self, Answer, Decision, Levels, Looked, Spec, Width};
use skep_btf::{Btf, CoreKind, TypeId};

use super::candidates::Candidates;
use super::{answer, describe};
use crate::object::Object;

/// One relocation and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The program.
    pub program: String,
    /// The instruction of the linked program.
    pub insn: u32,
    /// What is asked, as libbpf prints it.
    pub asked: String,
    /// The types of the target that have the name and kind, by id.
    pub candidates: Vec<Candidate>,
    /// What goes into the instruction, or why nothing can.
    pub answer: Result<String, String>,
}

/// A type of the target that might answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its id in the target.
    pub id: TypeId,
    /// The type and the path in it, or its name if the path is not there.
    pub path: String,
    /// What it answers, or why it does not.
    pub says: Result<String, String>,
}

/// Explains the relocations of all programs of an object against a target: a kernel's types,
/// and those of its modules, which are looked into for what the kernel lacks.
pub fn explain(object: &Object, target: &Arc<Btf>, modules: &[Arc<Btf>]) -> Vec<Explanation> {
    let Some(local) = &object.btf else {
        return Vec::new();
    };
    let mut candidates = Candidates::new(Arc::clone(target));
    let mut out = Vec::new();
    for program in &object.programs {
        for record in &program.core_relos {
            let spec = Spec::parse(local, record).ok();
            let spec = spec.filter(|_| record.kind != CoreKind::TypeIdLocal);
            let places = spec
                .as_ref()
                .map(|spec| candidates.of(local, spec.root, || modules.to_vec()));
            let answered = answer(local, &mut candidates, record, || modules.to_vec());
            let mut explanation = Explanation {
                program: program.name.clone(),
                insn: record.insn_off,
                asked: describe(local, record),
                candidates: Vec::new(),
                answer: answered.map(told),
            };
            let Some(spec) = spec else {
                out.push(explanation);
                continue;
            };
            let places = places.and_then(Result::ok);
            for (target, id) in places.iter().flat_map(|places| places.iter()) {
                let (target, id, spec) = (target.as_ref(), *id, &spec);
                let name = target.type_by_id(id).map_or("", |ty| ty.name()).to_string();
                let (path, says) = match relo::find(local, spec, target, id, Levels::LIBBPF) {
                    Err(why) => (name, Err(why.to_string())),
                    Ok(Looked::Missing(_)) => {
                        (name, Err("what is asked for is not in it".to_string()))
                    }
                    Ok(Looked::Found(found)) => {
                        let of = relo::decide(record.kind, (local, spec), Some((target, &found)));
                        let says = of.map(told).map_err(|error| error.to_string());
                        (found.text(target), says)
                    }
                };
                explanation.candidates.push(Candidate { id, path, says });
            }
            out.push(explanation);
        }
    }
    out
}

fn told(decision: Decision) -> String {
    match decision.answer {
        Answer::Absent => "absent: the instruction is poisoned".to_string(),
        Answer::Number(value) => match decision.width {
            Width::Keep => value.to_string(),
            Width::Bytes(_, bytes) => format!("{value}, accessed with {bytes} bytes"),
            Width::Impossible => {
                format!("{value}, of another size and signed: the access is poisoned")
            }
        },
    }
}

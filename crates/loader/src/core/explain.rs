//! What each relocation of an object asks, which types of a target could answer, and what is
//! chosen, for a person.

use std::sync::Arc;

use skep_btf::{Btf, CoreKind, TypeId};

use super::candidates::Candidates;
use super::spec::Spec;
use super::value::{self, Answer, Width};
use super::{answer, describe, lookup};
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
        for relo in &program.core_relos {
            let spec = Spec::parse(local, relo).ok();
            let spec = spec.filter(|_| relo.kind != CoreKind::TypeIdLocal);
            let places = spec
                .as_ref()
                .map(|spec| candidates.of(local, spec.root, || modules.to_vec()));
            let answered = answer(local, &mut candidates, relo, || modules.to_vec());
            let mut explanation = Explanation {
                program: program.name.clone(),
                insn: relo.insn_off,
                asked: describe(local, relo),
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
                let (path, says) = match lookup::find(local, spec, target, id) {
                    Err(why) => (name, Err(why)),
                    Ok(None) => (name, Err("what is asked for is not in it".to_string())),
                    Ok(Some(found)) => {
                        let of = value::of(relo.kind, (local, spec), Some((target, &found)));
                        (found.text(target), of.map(told))
                    }
                };
                explanation.candidates.push(Candidate { id, path, says });
            }
            out.push(explanation);
        }
    }
    out
}

fn told(answer: Answer) -> String {
    match answer {
        Answer::Absent => "absent: the instruction is poisoned".to_string(),
        Answer::Number { value, width } => match width {
            Width::Keep => value.to_string(),
            Width::Bytes(bytes) => format!("{value}, accessed with {bytes} bytes"),
            Width::Impossible => {
                format!("{value}, of another size and signed: the access is poisoned")
            }
        },
    }
}

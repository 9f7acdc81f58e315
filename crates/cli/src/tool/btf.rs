//! `skep btf`: types of files and of what a kernel holds, as records, JSON or C.

use std::sync::Arc;

use skep_btf::dump::{c, raw};
use skep_btf::{Kind, Type, TypeId};

use super::failure::{Answer, Failure};
use super::json::{Fields, Json};
use super::session::Session;
use super::words::Words;
use crate::types::read;

pub const VERBS: &[&str] = &["dump", "help"];

pub const USAGE: &str = "\
Usage: skep [-B BASE] btf dump file FILE [root_id ID…] [format FORMAT]
       skep btf help

       FORMAT := { raw | c [unsorted] }
";

/// Carries a command of the family out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let verb = words.next().unwrap_or_default();
    match verb.as_str() {
        "dump" => dump(session, words),
        _ => Err(Failure::Usage),
    }
}

fn dump(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let what = words.next().unwrap_or_default();
    if what != "file" {
        return Err(Failure::message(format!(
            "unrecognized BTF source specifier: '{what}'"
        )));
    }
    let path = words.value_of("file")?;
    let (mut as_c, mut roots) = (false, Vec::new());
    // `-B` stands around the words.
    let mut base = session.options.common.btf.clone();
    while words.left() > 0 {
        let word = words.next().unwrap_or_default();
        match word.as_str() {
            "format" => match words.value_of("format")?.as_str() {
                "c" => as_c = true,
                "raw" => as_c = false,
                other => {
                    let text = format!(
                        "unrecognized format specifier: '{other}', possible values: raw, c"
                    );
                    return Err(Failure::message(text));
                }
            },
            "root_id" => {
                let id = words.value_of("root_id")?;
                let id = id
                    .parse()
                    .map_err(|_| Failure::message(format!("can't parse {id} as root ID")))?;
                roots.push(TypeId(id));
            }
            "base" => base = Some(words.value_of("base")?),
            // Types come in the order of their numbers to begin with.
            "unsorted" if as_c => {}
            _ => return Err(Failure::Usage),
        }
    }
    let base = match base {
        Some(path) => Some(Arc::new(read(&path, None).map_err(Failure::message)?)),
        None => None,
    };
    let btf = read(&path, base).map_err(Failure::message)?;
    if as_c {
        if session.json() {
            return Err(Failure::message(
                "JSON output for C-syntax dump is not supported".to_string(),
            ));
        }
        let text = if roots.is_empty() {
            c::all(&btf)
        } else {
            c::roots(&btf, roots.into_iter())
        };
        let text = text.map_err(|error| Failure::message(error.to_string()))?;
        session.say(&format!("{}{text}{}", c::HEADER.0, c::HEADER.1));
        return Ok(());
    }
    let wanted = |ty: &Type<'_>| roots.is_empty() || roots.contains(&ty.id());
    if session.json() {
        let types = btf.types().filter(wanted).map(|ty| json(&ty)).collect();
        session.answer(Fields::new().add("types", Json::Array(types)).done());
        return Ok(());
    }
    let mut text = String::new();
    for ty in btf.types().filter(wanted) {
        // Writing to a string cannot fail.
        let _ = raw::one(&ty, &mut text);
    }
    session.say(&text);
    Ok(())
}

/// A record with bpftool's names.
fn json(ty: &Type<'_>) -> Json {
    let kind = ty.kind();
    let mut fields = Fields::new();
    fields
        .add("id", ty.id().0)
        .add("kind", kind.name())
        .add("name", raw::shown(ty.name()));
    let third = ty.size_or_type();
    match kind {
        Kind::Int => {
            let int = ty.int();
            fields
                .add("size", third)
                .add("bits_offset", int.map_or(0, |int| int.bit_offset))
                .add("nr_bits", int.map_or(0, |int| int.bits))
                .add("encoding", raw::encoding(ty))
        }
        Kind::Array => {
            let array = ty.array();
            fields
                .add("type_id", array.map_or(0, |a| a.elem.0))
                .add("index_type_id", array.map_or(0, |a| a.index.0))
                .add("nr_elems", array.map_or(0, |a| a.count))
        }
        Kind::Struct | Kind::Union => {
            let members = ty.members().map(|member| {
                let mut fields = Fields::new();
                fields
                    .add("name", raw::shown(member.name))
                    .add("type_id", member.ty.0)
                    .add("bits_offset", member.bit_offset);
                match member.bitfield_size {
                    0 => fields.done(),
                    bits => fields.add("bitfield_size", bits).done(),
                }
            });
            fields
                .add("size", third)
                .add("vlen", ty.vlen())
                .add("members", Json::Array(members.collect()))
        }
        Kind::Enum | Kind::Enum64 => {
            let values = ty.enumerators().map(|constant| {
                // bpftool widens constants of four bytes with their sign, whatever it is.
                let value = match (ty.kind_flag(), kind) {
                    (true, _) => constant.value.cast_signed().to_string(),
                    (false, Kind::Enum) => {
                        i64::from(constant.value as i32).cast_unsigned().to_string()
                    }
                    (false, _) => constant.value.to_string(),
                };
                Fields::new()
                    .add("name", raw::shown(constant.name))
                    .add("val", Json::Number(value))
                    .done()
            });
            fields
                .add("encoding", raw::sign(ty))
                .add("size", third)
                .add("vlen", ty.vlen())
                .add("values", Json::Array(values.collect()))
        }
        Kind::Fwd => fields.add("fwd_kind", raw::forward(ty)),
        Kind::Func | Kind::Var => fields
            .add("type_id", third)
            .add("linkage", raw::linkage(ty)),
        Kind::FuncProto => {
            let params = ty.params().map(|param| {
                Fields::new()
                    .add("name", raw::shown(param.name))
                    .add("type_id", param.ty.0)
                    .done()
            });
            fields
                .add("ret_type_id", third)
                .add("vlen", ty.vlen())
                .add("params", Json::Array(params.collect()))
        }
        Kind::DataSec => {
            let vars = ty.vars().map(|var| {
                Fields::new()
                    .add("type_id", var.ty.0)
                    .add("offset", var.offset)
                    .add("size", var.size)
                    .done()
            });
            fields
                .add("size", third)
                .add("vlen", ty.vlen())
                .add("vars", Json::Array(vars.collect()))
        }
        Kind::Float => fields.add("size", third),
        Kind::DeclTag => fields.add("type_id", third).add(
            "component_idx",
            Json::Number(ty.component_idx().unwrap_or(-1).to_string()),
        ),
        _ => fields.add("type_id", third),
    };
    fields.done()
}

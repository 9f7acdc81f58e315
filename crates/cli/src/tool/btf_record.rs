//! One record of types as JSON, with bpftool's names.

use skep_btf::dump::raw;
use skep_btf::{Kind, Type};

use super::json::{Fields, Json};

/// A record with bpftool's names.
pub fn json(ty: &Type<'_>) -> Json {
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

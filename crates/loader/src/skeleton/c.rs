//! Skeletons in C, for programs that link with libbpf.
//!
//! They use the structures that libbpf's public header has for skeletons, and give the same
//! names and functions that programs written for bpftool's skeletons expect.

use std::fmt::Write;

use crate::map::{MapDef, MapOrigin};
use crate::names::data_map_name;
use crate::object::Object;

use super::decl::{alignment, declare, declare_pointer};
use super::{
    SkeletonError, check_names, has_variables, map_ident, programs, variables, variables_ident,
};

/// The maps with variables, by the name of their field.
fn sections(object: &Object) -> impl Iterator<Item = (String, &MapDef)> {
    object
        .maps
        .iter()
        .filter(|map| has_variables(map))
        .map(|map| (variables_ident(map), map))
}

/// The structure that a section's variables form.
fn section(object: &Object, map: &MapDef) -> Result<String, SkeletonError> {
    let mut out = String::new();
    let Some(btf) = &object.btf else {
        return Ok(out);
    };
    let mut end = 0u32;
    for (number, variable) in variables(btf, map).into_iter().enumerate() {
        let refuse = || SkeletonError::Type {
            section: map.section.clone(),
            variable: variable.name.to_string(),
        };
        let text = declare(btf, variable.ty, variable.name, 2).ok_or_else(refuse)?;
        let natural = end.checked_next_multiple_of(alignment(btf, variable.ty));
        if natural.is_some_and(|natural| natural < variable.offset) {
            // Writing to a string does not fail.
            let _ = writeln!(out, "\t\tchar __pad{number}[{}];", variable.offset - end);
        }
        let _ = writeln!(out, "\t\t{text};");
        let size = btf.size_of(variable.ty).unwrap_or(0);
        end = variable.offset.saturating_add(size);
    }
    Ok(out)
}

/// A list of fields of one type.
fn fields<'a>(
    out: &mut String,
    list: &str,
    ty: &str,
    names: impl Iterator<Item = std::borrow::Cow<'a, str>>,
) {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return;
    }
    let _ = writeln!(out, "\tstruct {{");
    for name in names {
        let _ = writeln!(out, "\t\tstruct {ty} *{name};");
    }
    let _ = writeln!(out, "\t}} {list};");
}

/// The bytes of a file as a text literal, some to a line.
fn literal(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 + bytes.len() / 4);
    for line in bytes.chunks(24) {
        out.push_str("\t\t\"");
        for byte in line {
            let _ = write!(out, "\\x{byte:02x}");
        }
        out.push_str("\"\n");
    }
    if bytes.is_empty() {
        out.push_str("\t\t\"\"\n");
    }
    out
}

/// The skeleton of an object: the file's bytes, and everything by name.
///
/// # Errors
/// [`SkeletonError`] for a name that C does not take, or a variable whose type cannot be
/// written down.
pub fn c(object: &Object, bytes: &[u8], name: &str) -> Result<String, SkeletonError> {
    check_names(object, name)?;
    let guard = format!("__{}_SKEL_H__", name.to_ascii_uppercase());
    let own = name;
    let mut out = format!(
        "/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause OR MIT OR Apache-2.0) */\n\
         /* Made by `skep gen skeleton`. */\n\
         #ifndef {guard}\n#define {guard}\n\n\
         #include <errno.h>\n#include <stdlib.h>\n#include <bpf/libbpf.h>\n\n\
         struct {own} {{\n\tstruct bpf_object_skeleton *skeleton;\n\tstruct bpf_object *obj;\n"
    );
    let maps = || object.maps.iter().map(|map| map_ident(map).into());
    fields(&mut out, "maps", "bpf_map", maps());
    fields(
        &mut out,
        "progs",
        "bpf_program",
        programs(object).map(Into::into),
    );
    fields(
        &mut out,
        "links",
        "bpf_link",
        programs(object).map(Into::into),
    );
    for (ident, map) in sections(object) {
        let text = section(object, map)?;
        let _ = writeln!(out, "\tstruct {own}__{ident} {{\n{text}\t}} *{ident};");
    }
    out.push_str("};\n\n");
    out += &declarations(own);
    out += &lifetime(own);
    out += &create(object, own);
    let _ = write!(
        out,
        "static inline const void *{own}__elf_bytes(size_t *sz)\n{{\n\
         \tstatic const char data[] __attribute__((__aligned__(8))) =\n{};\n\n\
         \t*sz = sizeof(data) - 1;\n\treturn (const void *)data;\n}}\n\n#endif\n",
        literal(bytes)
    );
    Ok(out)
}

fn declarations(own: &str) -> String {
    format!(
        "static inline int {own}__create_skeleton(struct {own} *obj);\n\
         static inline const void *{own}__elf_bytes(size_t *sz);\n\n"
    )
}

/// Opening, loading, attaching and freeing.
fn lifetime(own: &str) -> String {
    format!(
        "static inline void {own}__destroy(struct {own} *obj)\n{{\n\
         \tif (obj && obj->skeleton)\n\t\tbpf_object__destroy_skeleton(obj->skeleton);\n\
         \tfree(obj);\n}}\n\n\
         static inline struct {own} *{own}__open_opts(const struct bpf_object_open_opts *opts)\n{{\n\
         \tstruct {own} *obj = (struct {own} *)calloc(1, sizeof(*obj));\n\tint err;\n\n\
         \tif (!obj) {{\n\t\terrno = ENOMEM;\n\t\treturn NULL;\n\t}}\n\
         \terr = {own}__create_skeleton(obj);\n\
         \tif (!err)\n\t\terr = bpf_object__open_skeleton(obj->skeleton, opts);\n\
         \tif (err) {{\n\t\t{own}__destroy(obj);\n\t\terrno = -err;\n\t\treturn NULL;\n\t}}\n\
         \treturn obj;\n}}\n\n\
         static inline struct {own} *{own}__open(void)\n{{\n\
         \treturn {own}__open_opts(NULL);\n}}\n\n\
         static inline int {own}__load(struct {own} *obj)\n{{\n\
         \treturn bpf_object__load_skeleton(obj->skeleton);\n}}\n\n\
         static inline struct {own} *{own}__open_and_load(void)\n{{\n\
         \tstruct {own} *obj = {own}__open();\n\tint err = obj ? {own}__load(obj) : 0;\n\n\
         \tif (err) {{\n\t\t{own}__destroy(obj);\n\t\terrno = -err;\n\t\treturn NULL;\n\t}}\n\
         \treturn obj;\n}}\n\n\
         static inline int {own}__attach(struct {own} *obj)\n{{\n\
         \treturn bpf_object__attach_skeleton(obj->skeleton);\n}}\n\n\
         static inline void {own}__detach(struct {own} *obj)\n{{\n\
         \tbpf_object__detach_skeleton(obj->skeleton);\n}}\n\n"
    )
}

/// The tables that libbpf fills the fields by.
fn create(object: &Object, own: &str) -> String {
    let mut out = format!(
        "static inline int {own}__create_skeleton(struct {own} *obj)\n{{\n\
         \tstruct bpf_object_skeleton *s;\n\n\
         \ts = (struct bpf_object_skeleton *)calloc(1, sizeof(*s));\n\
         \tif (!s)\n\t\treturn -ENOMEM;\n\
         \tobj->skeleton = s;\n\
         \ts->sz = sizeof(*s);\n\ts->name = \"{own}\";\n\ts->obj = &obj->obj;\n"
    );
    if !object.maps.is_empty() {
        let _ = write!(
            out,
            "\n\ts->map_cnt = {};\n\ts->map_skel_sz = sizeof(*s->maps);\n\
             \ts->maps = (struct bpf_map_skeleton *)calloc(s->map_cnt, s->map_skel_sz);\n\
             \tif (!s->maps)\n\t\treturn -ENOMEM;\n",
            object.maps.len()
        );
    }
    for (index, map) in object.maps.iter().enumerate() {
        let ident = map_ident(map);
        // libbpf names a section's map after the skeleton.
        let name = match map.origin {
            MapOrigin::Declared | MapOrigin::StructOps => map.name.clone(),
            _ => data_map_name(own, &map.section),
        };
        let _ = write!(
            out,
            "\ts->maps[{index}].name = \"{name}\";\n\
             \ts->maps[{index}].map = &obj->maps.{ident};\n"
        );
        if has_variables(map) {
            let field = variables_ident(map);
            let _ = writeln!(out, "\ts->maps[{index}].mmaped = (void **)&obj->{field};");
        }
    }
    if !object.programs.is_empty() {
        let _ = write!(
            out,
            "\n\ts->prog_cnt = {};\n\ts->prog_skel_sz = sizeof(*s->progs);\n\
             \ts->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);\n\
             \tif (!s->progs)\n\t\treturn -ENOMEM;\n",
            object.programs.len()
        );
    }
    for (index, name) in programs(object).enumerate() {
        let _ = write!(
            out,
            "\ts->progs[{index}].name = \"{name}\";\n\
             \ts->progs[{index}].prog = &obj->progs.{name};\n\
             \ts->progs[{index}].link = &obj->links.{name};\n"
        );
    }
    let _ = write!(
        out,
        "\n\ts->data = (void *){own}__elf_bytes(&s->data_sz);\n\treturn 0;\n}}\n\n"
    );
    out
}

/// A subskeleton: the maps, programs and variables of a library's object, found by name in
/// the object that it was linked into.
///
/// # Errors
/// As [`c`].
pub fn subskeleton(object: &Object, name: &str) -> Result<String, SkeletonError> {
    check_names(object, name)?;
    let guard = format!("__{}_SUBSKEL_H__", name.to_ascii_uppercase());
    let own = name;
    let mut out = format!(
        "/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause OR MIT OR Apache-2.0) */\n\
         /* Made by `skep gen subskeleton`: a library, in the object that it is part of. */\n\
         #ifndef {guard}\n#define {guard}\n\n\
         #include <errno.h>\n#include <stdlib.h>\n#include <bpf/libbpf.h>\n\n\
         struct {own} {{\n\tstruct bpf_object *obj;\n\
         \tstruct bpf_object_subskeleton *subskel;\n"
    );
    let maps: Vec<&MapDef> = object
        .maps
        .iter()
        .filter(|map| map.origin == MapOrigin::Declared || has_variables(map))
        .collect();
    let names = maps.iter().map(|map| map_ident(map).into());
    fields(&mut out, "maps", "bpf_map", names);
    fields(
        &mut out,
        "progs",
        "bpf_program",
        programs(object).map(Into::into),
    );
    let mut tables = String::new();
    let mut count = 0usize;
    for (ident, map) in sections(object) {
        let Some(btf) = &object.btf else { break };
        let _ = writeln!(out, "\tstruct {own}__{ident} {{");
        for variable in variables(btf, map) {
            let refuse = || SkeletonError::Type {
                section: map.section.clone(),
                variable: variable.name.to_string(),
            };
            // It lies wherever the linker put it.
            let text = declare_pointer(btf, variable.ty, variable.name, 2).ok_or_else(refuse)?;
            let _ = writeln!(out, "\t\t{text};");
            let _ = write!(
                tables,
                "\ts->vars[{count}].name = \"{name}\";\n\
                 \ts->vars[{count}].addr = (void **)&obj->{ident}.{name};\n\
                 \ts->vars[{count}].map = &obj->maps.{map};\n",
                name = variable.name,
                map = map_ident(map)
            );
            count += 1;
        }
        let _ = writeln!(out, "\t}} {ident};");
    }
    out.push_str("};\n\n");
    let _ = write!(
        out,
        "static inline void {own}__destroy(struct {own} *skel)\n{{\n\
         \tif (skel && skel->subskel)\n\t\tbpf_object__destroy_subskeleton(skel->subskel);\n\
         \tfree(skel);\n}}\n\n\
         static inline int {own}__tables(struct {own} *obj, struct bpf_object_subskeleton *s)\n{{\n\
         \ts->sz = sizeof(*s);\n\
         \ts->var_skel_sz = sizeof(*s->vars);\n\ts->var_cnt = {count};\n\
         \ts->map_skel_sz = sizeof(*s->maps);\n\ts->map_cnt = {};\n\
         \ts->prog_skel_sz = sizeof(*s->progs);\n\ts->prog_cnt = {};\n\
         \ts->vars = (struct bpf_var_skeleton *)calloc(s->var_cnt + 1, s->var_skel_sz);\n\
         \ts->maps = (struct bpf_map_skeleton *)calloc(s->map_cnt + 1, s->map_skel_sz);\n\
         \ts->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt + 1, s->prog_skel_sz);\n\
         \tif (!s->vars || !s->maps || !s->progs)\n\t\treturn -ENOMEM;\n{tables}",
        maps.len(),
        object.programs.len()
    );
    for (index, map) in maps.iter().enumerate() {
        // A section's map has the name of the object that it ends up in.
        let name = match map.origin {
            MapOrigin::Declared => &map.name,
            _ => &map.section,
        };
        let ident = map_ident(map);
        let _ = write!(
            out,
            "\ts->maps[{index}].name = \"{name}\";\n\
             \ts->maps[{index}].map = &obj->maps.{ident};\n"
        );
    }
    for (index, name) in programs(object).enumerate() {
        let _ = write!(
            out,
            "\ts->progs[{index}].name = \"{name}\";\n\
             \ts->progs[{index}].prog = &obj->progs.{name};\n"
        );
    }
    let _ = write!(
        out,
        "\treturn 0;\n}}\n\n\
         static inline struct {own} *{own}__open(const struct bpf_object *src)\n{{\n\
         \tstruct {own} *obj = (struct {own} *)calloc(1, sizeof(*obj));\n\
         \tstruct bpf_object_subskeleton *s;\n\tint err = -ENOMEM;\n\n\
         \tif (!obj)\n\t\tgoto fail;\n\
         \ts = (struct bpf_object_subskeleton *)calloc(1, sizeof(*s));\n\
         \tif (!s)\n\t\tgoto fail;\n\
         \tobj->subskel = s;\n\ts->obj = src;\n\
         \terr = {own}__tables(obj, s);\n\
         \tif (!err)\n\t\terr = bpf_object__open_subskeleton(s);\n\
         \tif (!err)\n\t\treturn obj;\nfail:\n\
         \t{own}__destroy(obj);\n\terrno = -err;\n\treturn NULL;\n}}\n\n#endif\n"
    );
    Ok(out)
}

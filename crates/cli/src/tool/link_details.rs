//! What a link tells of itself, in bpftool's words.

use std::collections::BTreeMap;
use std::fmt::Write;

use skep::inspect::{self, Kind, LinkDetails, PerfLinkType};
use skep_abi::{AttachType, LinkType, ProgType, info};

use super::json::{Fields, Json};
use super::session::Session;

/// A link has only one flag that tells of a probe: it is one where the function returns.
const RETURNS: u32 = 1;
/// Names of the kinds of events (`enum perf_type_id`).
const EVENT_TYPES: [&str; 6] = [
    "hardware",
    "software",
    "tracepoint",
    "hw-cache",
    "raw",
    "breakpoint",
];
/// Names of the events of machines.
const HARDWARE: [&str; 10] = [
    "cpu-cycles",
    "instructions",
    "cache-references",
    "cache-misses",
    "branch-instructions",
    "branch-misses",
    "bus-cycles",
    "stalled-cycles-frontend",
    "stalled-cycles-backend",
    "ref-cycles",
];
/// Names of the events of the kernel.
const SOFTWARE: [&str; 12] = [
    "cpu-clock",
    "task-clock",
    "page-faults",
    "context-switches",
    "cpu-migrations",
    "minor-faults",
    "major-faults",
    "alignment-faults",
    "emulation-faults",
    "dummy",
    "bpf-output",
    "cgroup-switches",
];
const HOOKS: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];
const ORDERS: [&str; 5] = [
    "order_unspec",
    "self_only",
    "descendants_pre",
    "descendants_post",
    "ancestors_up",
];

fn link_type(link: &LinkDetails) -> Option<LinkType> {
    LinkType::from_u32(link.info.link_type())
}

fn type_name(link: &LinkDetails) -> String {
    let ty = link_type(link);
    ty.map_or_else(
        || link.info.link_type().to_string(),
        |ty| ty.name().to_string(),
    )
}

fn attach_name(number: u32) -> Json {
    match AttachType::from_u32(number) {
        Some(ty) => Json::from(ty.name()),
        None => Json::from(number),
    }
}

fn attach_text(number: u32) -> String {
    let name = AttachType::from_u32(number);
    let name = name.map_or_else(|| number.to_string(), |ty| ty.name().to_string());
    format!("attach_type {name}  ")
}

/// The type of the link's program.
fn prog_type(session: &Session<'_>, link: &LinkDetails) -> Option<ProgType> {
    let program = inspect::open(session.kernel(), Kind::Prog, link.info.prog_id())
        .and_then(|fd| inspect::prog_info(session.kernel(), fd.raw()));
    program
        .ok()
        .and_then(|info| ProgType::from_u32(info.prog_type()))
}

/// The name of a network device of this machine.
fn device(ifindex: u32) -> Option<String> {
    let folder = std::fs::read_dir("/sys/class/net").ok()?;
    folder.flatten().find_map(|entry| {
        let text = std::fs::read_to_string(entry.path().join("ifindex")).ok()?;
        let same = text.trim().parse() == Ok(ifindex);
        same.then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

fn device_text(ifindex: u32) -> String {
    let name = match (ifindex, device(ifindex)) {
        (0, _) => "(detached)".to_string(),
        (_, Some(name)) => format!("{name}({ifindex})"),
        (_, None) => "(unknown)".to_string(),
    };
    format!("\n\tifindex {name}  ")
}

fn device_json(fields: &mut Fields, ifindex: u32) {
    let name = match (ifindex, device(ifindex)) {
        (0, _) => "(detached)".to_string(),
        (_, Some(name)) => name,
        (_, None) => "(unknown)".to_string(),
    };
    fields.add("devname", name).add("ifindex", ifindex);
}

/// The functions of this machine's kernel by address, with their module.
fn functions() -> BTreeMap<u64, (String, Option<String>)> {
    let text = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let module = words.next().map(|m| m.trim_matches(['[', ']']).to_string());
        let address = u64::from_str_radix(address, 16).unwrap_or(0);
        if address != 0 {
            all.entry(address).or_insert((name.to_string(), module));
        }
    }
    all
}

/// The functions that a link is about, by address: name, module and cookie. Those that have no
/// name are left out; what is said of a function may begin a few bytes into it.
fn probed(link: &LinkDetails) -> Vec<(u64, String, Option<String>, u64)> {
    /// The longest instruction that may stand before the place.
    const BEFORE: u64 = 4;
    let names = functions();
    let mut all = Vec::new();
    for (addr, cookie) in link.addrs.iter().zip(&link.cookies) {
        let near = names.range(addr.saturating_sub(BEFORE)..=*addr).next_back();
        if let Some((begin, (name, module))) = near {
            all.push((*begin, name.clone(), module.clone(), *cookie));
        }
    }
    all.sort();
    all
}

/// The two parts of an event's name.
fn event(info: &info::LinkInfo) -> (Option<&'static str>, Option<&'static str>) {
    let of = |names: &[&'static str], at: u64| {
        let at = usize::try_from(at).ok();
        at.and_then(|at| names.get(at).copied())
    };
    let ty = info.perf_event_type();
    let config = match ty {
        0 => of(&HARDWARE, info.perf_event_config()),
        1 => of(&SOFTWARE, info.perf_event_config()),
        _ => None,
    };
    (of(&EVENT_TYPES, u64::from(ty)), config)
}

/// What the link tells, for tools.
pub fn json(session: &Session<'_>, link: &LinkDetails) -> Fields {
    let info = &link.info;
    let mut fields = Fields::new();
    fields.add("id", info.id()).add("type", type_name(link));
    let ty = link_type(link);
    if ty == Some(LinkType::StructOps) {
        fields.add("map_id", info.struct_ops_map_id());
        return fields;
    }
    fields.add("prog_id", info.prog_id());
    let name = link.name.clone().unwrap_or_default();
    match ty {
        Some(LinkType::RawTracepoint) => {
            fields
                .add("tp_name", name)
                .add("cookie", info.raw_tracepoint_cookie());
        }
        Some(LinkType::Tracing) => {
            let prog_type = prog_type(session, link);
            fields.maybe("prog_type", prog_type.map(|ty| Json::from(ty.name())));
            fields
                .add("attach_type", attach_name(info.tracing_attach_type()))
                .add("target_obj_id", info.tracing_target_obj_id())
                .add("target_btf_id", info.tracing_target_btf_id())
                .add("cookie", info.tracing_cookie());
        }
        Some(LinkType::Cgroup) => {
            fields
                .add("cgroup_id", info.cgroup_cgroup_id())
                .add("attach_type", attach_name(info.cgroup_attach_type()));
        }
        Some(LinkType::Iter) => {
            fields.add("target_name", name.as_str());
            iter_json(&mut fields, info, &name);
        }
        Some(LinkType::Netns) => {
            fields
                .add("netns_ino", info.netns_ino())
                .add("attach_type", attach_name(info.netns_attach_type()));
        }
        Some(LinkType::Xdp) => device_json(&mut fields, info.xdp_ifindex()),
        Some(LinkType::Tcx) => {
            device_json(&mut fields, info.tcx_ifindex());
            fields.add("attach_type", attach_name(info.tcx_attach_type()));
        }
        Some(LinkType::Netkit) => {
            device_json(&mut fields, info.netkit_ifindex());
            fields.add("attach_type", attach_name(info.netkit_attach_type()));
        }
        Some(LinkType::Sockmap) => {
            fields
                .add("map_id", info.sockmap_map_id())
                .add("attach_type", attach_name(info.sockmap_attach_type()));
        }
        Some(LinkType::Netfilter) => {
            let priority = Json::Number(info.netfilter_priority().to_string());
            fields
                .add("pf", info.netfilter_pf())
                .add("hook", info.netfilter_hooknum())
                .add("prio", priority)
                .add("flags", info.netfilter_flags());
        }
        Some(LinkType::KprobeMulti) => {
            let returns = info.kprobe_multi_flags() & RETURNS != 0;
            let functions = probed(link)
                .into_iter()
                .map(|(addr, name, module, cookie)| {
                    let mut function = Fields::new();
                    function.add("addr", addr).add("func", name);
                    match module {
                        Some(module) => function.add("module", module),
                        None => function.add("module", Json::Null),
                    };
                    function.add("cookie", cookie);
                    function.done()
                });
            fields
                .add("retprobe", Json::Bool(returns))
                .add("func_cnt", info.kprobe_multi_count())
                .add("missed", info.kprobe_multi_missed())
                .add("funcs", Json::Array(functions.collect()));
        }
        Some(LinkType::UprobeMulti) => {
            let returns = info.uprobe_multi_flags() & RETURNS != 0;
            let places = places(link).map(|(offset, ref_ctr, cookie)| {
                let mut place = Fields::new();
                place
                    .add("offset", offset)
                    .add("ref_ctr_offset", ref_ctr)
                    .add("cookie", cookie);
                place.done()
            });
            fields
                .add("retprobe", Json::Bool(returns))
                .add("path", name)
                .add("func_cnt", info.uprobe_multi_count())
                .add("pid", info.uprobe_multi_pid())
                .add("funcs", Json::Array(places.collect()));
        }
        Some(LinkType::PerfEvent) => perf_json(&mut fields, info, name),
        _ => {}
    }
    fields
}

fn places(link: &LinkDetails) -> impl Iterator<Item = (u64, u64, u64)> {
    let rest = link.ref_ctrs.iter().zip(&link.cookies);
    let all = link.addrs.iter().zip(rest);
    all.map(|(offset, (ref_ctr, cookie))| (*offset, *ref_ctr, *cookie))
}

fn is_of_map(target: &str) -> bool {
    matches!(target, "bpf_map_elem" | "bpf_sk_storage_map")
}

fn order(info: &info::LinkInfo) -> &'static str {
    let at = usize::try_from(info.iter_cgroup_order()).unwrap_or(usize::MAX);
    ORDERS.get(at).copied().unwrap_or("unknown")
}

fn iter_json(fields: &mut Fields, info: &info::LinkInfo, target: &str) {
    match target {
        target if is_of_map(target) => {
            fields.add("map_id", info.iter_map_id());
        }
        "task" if info.iter_task_tid() != 0 => {
            fields.add("tid", info.iter_task_tid());
        }
        "task" if info.iter_task_pid() != 0 => {
            fields.add("pid", info.iter_task_pid());
        }
        "cgroup" => {
            fields
                .add("cgroup_id", info.iter_cgroup_id())
                .add("order", order(info));
        }
        _ => {}
    }
}

fn perf_json(fields: &mut Fields, info: &info::LinkInfo, name: String) {
    use PerfLinkType::*;
    let kind = PerfLinkType::from_u32(info.perf_event_event_type());
    match kind {
        Some(Kprobe | Kretprobe) => {
            fields
                .add("retprobe", Json::Bool(kind == Some(Kretprobe)))
                .add("addr", info.perf_kprobe_addr())
                .add("func", name)
                .add("offset", info.perf_kprobe_offset())
                .add("missed", info.perf_kprobe_missed())
                .add("cookie", info.perf_kprobe_cookie());
        }
        Some(Uprobe | Uretprobe) => {
            fields
                .add("retprobe", Json::Bool(kind == Some(Uretprobe)))
                .add("file", name)
                .add("offset", info.perf_uprobe_offset())
                .add("cookie", info.perf_uprobe_cookie())
                .add("ref_ctr_offset", info.perf_uprobe_ref_ctr_offset());
        }
        Some(Tracepoint) => {
            fields
                .add("tracepoint", name)
                .add("cookie", info.perf_tracepoint_cookie());
        }
        Some(Event) => {
            let (ty, config) = event(info);
            let ty = ty.map_or_else(|| Json::from(info.perf_event_type()), Json::from);
            let config = config.map_or_else(|| Json::from(info.perf_event_config()), Json::from);
            fields
                .add("event_type", ty)
                .add("event_config", config)
                .add("cookie", info.perf_event_cookie());
        }
        None => {}
    }
}

/// What the link tells, for people.
pub fn text(session: &Session<'_>, link: &LinkDetails) -> String {
    let info = &link.info;
    let ty = link_type(link);
    let what = match ty {
        Some(LinkType::StructOps) => format!("map {}", info.struct_ops_map_id()),
        _ => format!("prog {}", info.prog_id()),
    };
    let mut out = format!("{}: {}  {what}  ", info.id(), type_name(link));
    let name = link.name.as_deref().unwrap_or("");
    match ty {
        Some(LinkType::RawTracepoint) => {
            out += &format!("\n\ttp '{name}'  ");
            out += &unless_zero("cookie", info.raw_tracepoint_cookie());
        }
        Some(LinkType::Tracing) => {
            out += "\n\t";
            if let Some(ty) = prog_type(session, link) {
                out += &format!("prog_type {}  ", ty.name());
            }
            out += &attach_text(info.tracing_attach_type());
            let (object, id) = (info.tracing_target_obj_id(), info.tracing_target_btf_id());
            if object != 0 {
                out += &format!("\n\ttarget_obj_id {object}  target_btf_id {id}  ");
            }
            if info.tracing_cookie() != 0 {
                out += &format!("\n\tcookie {}  ", info.tracing_cookie());
            }
        }
        Some(LinkType::Cgroup) => {
            let attach = attach_text(info.cgroup_attach_type());
            out += &format!("\n\tcgroup_id {}  {attach}", info.cgroup_cgroup_id());
        }
        Some(LinkType::Iter) => out += &iter_text(info, name),
        Some(LinkType::Netns) => {
            let attach = attach_text(info.netns_attach_type());
            out += &format!("\n\tnetns_ino {}  {attach}", info.netns_ino());
        }
        Some(LinkType::Xdp) => out += &device_text(info.xdp_ifindex()),
        Some(LinkType::Tcx) => {
            out += &device_text(info.tcx_ifindex());
            out += &attach_text(info.tcx_attach_type());
        }
        Some(LinkType::Netkit) => {
            out += &device_text(info.netkit_ifindex());
            out += &attach_text(info.netkit_attach_type());
        }
        Some(LinkType::Sockmap) => {
            let attach = attach_text(info.sockmap_attach_type());
            out += &format!("\n\tmap_id {}  {attach}", info.sockmap_map_id());
        }
        Some(LinkType::Netfilter) => out += &netfilter_text(info),
        Some(LinkType::KprobeMulti) => out += &kprobes_text(link),
        Some(LinkType::UprobeMulti) => out += &uprobes_text(link),
        Some(LinkType::PerfEvent) => out += &perf_text(info, name),
        _ => {}
    }
    out
}

fn unless_zero(what: &str, value: u64) -> String {
    match value {
        0 => String::new(),
        value => format!("{what} {value}  "),
    }
}

fn iter_text(info: &info::LinkInfo, target: &str) -> String {
    let mut out = format!("target_name {target}  ");
    match target {
        target if is_of_map(target) => out += &format!("map_id {}  ", info.iter_map_id()),
        "task" if info.iter_task_tid() != 0 => out += &format!("tid {} ", info.iter_task_tid()),
        "task" if info.iter_task_pid() != 0 => out += &format!("pid {} ", info.iter_task_pid()),
        "cgroup" => {
            let order = order(info);
            out += &format!("cgroup_id {}  order {order}  ", info.iter_cgroup_id());
        }
        _ => {}
    }
    out
}

fn netfilter_text(info: &info::LinkInfo) -> String {
    const INET: [u32; 3] = [1, 2, 10];
    let (family, hook) = (info.netfilter_pf(), info.netfilter_hooknum());
    let family_name = match family {
        1 => Some("inet"),
        2 => Some("ip"),
        3 => Some("arp"),
        5 => Some("netdev"),
        7 => Some("bridge"),
        10 => Some("ip6"),
        _ => None,
    };
    let mut out = match family_name {
        Some(name) => format!("\n\t{name}"),
        None => format!("\n\tpf: {family}"),
    };
    let at = usize::try_from(hook).unwrap_or(usize::MAX);
    out += &match HOOKS.get(at).filter(|_| INET.contains(&family)) {
        Some(name) => format!(" {name}"),
        None => format!(" hook {hook},"),
    };
    out += &format!(" prio {}", info.netfilter_priority());
    if info.netfilter_flags() != 0 {
        out += &format!(" flags {:#x}", info.netfilter_flags());
    }
    out
}

fn kprobes_text(link: &LinkDetails) -> String {
    let info = &link.info;
    let word = match info.kprobe_multi_flags() & RETURNS {
        0 => "kprobe.multi",
        _ => "kretprobe.multi",
    };
    let mut out = format!("\n\t{word}  func_cnt {}  ", info.kprobe_multi_count());
    out += &unless_zero("missed", info.kprobe_multi_missed());
    out += &format!("\n\t{:<16} {:<16} func [module]", "addr", "cookie");
    for (addr, name, module, cookie) in probed(link) {
        // Writing to text cannot fail.
        let _ = write!(out, "\n\t{addr:016x} {cookie:<16x} {name}");
        if let Some(module) = module {
            let _ = write!(out, " [{module}]");
        }
        out += "  ";
    }
    out
}

fn uprobes_text(link: &LinkDetails) -> String {
    let info = &link.info;
    let word = match info.uprobe_multi_flags() & RETURNS {
        0 => "uprobe.multi",
        _ => "uretprobe.multi",
    };
    let path = link.name.as_deref().unwrap_or("");
    let count = info.uprobe_multi_count();
    let mut out = format!("\n\t{word}  path {path}  func_cnt {count}  ");
    out += &unless_zero("pid", u64::from(info.uprobe_multi_pid()));
    let head = ("offset", "ref_ctr_offset", "cookies");
    out += &format!("\n\t{:<16}   {:<16}   {:<16}", head.0, head.1, head.2);
    for (offset, ref_ctr, cookie) in places(link) {
        out += &format!("\n\t0x{offset:<16x} 0x{ref_ctr:<16x} 0x{cookie:<16x}");
    }
    out
}

fn perf_text(info: &info::LinkInfo, name: &str) -> String {
    use PerfLinkType::*;
    let kind = PerfLinkType::from_u32(info.perf_event_event_type());
    match kind {
        Some(Kprobe | Kretprobe) => {
            let word = if kind == Some(Kprobe) {
                "kprobe"
            } else {
                "kretprobe"
            };
            let mut out = format!("\n\t{word} {:x} {name}", info.perf_kprobe_addr());
            if info.perf_kprobe_offset() != 0 {
                out += &format!("+{:#x}", info.perf_kprobe_offset());
            }
            if info.perf_kprobe_missed() != 0 {
                out += &format!("  missed {}", info.perf_kprobe_missed());
            }
            if info.perf_kprobe_cookie() != 0 {
                out += &format!("  cookie {}", info.perf_kprobe_cookie());
            }
            out + "  "
        }
        Some(Uprobe | Uretprobe) => {
            let word = if kind == Some(Uprobe) {
                "uprobe"
            } else {
                "uretprobe"
            };
            let mut out = format!("\n\t{word} {name}+{:#x}  ", info.perf_uprobe_offset());
            out += &unless_zero("cookie", info.perf_uprobe_cookie());
            if info.perf_uprobe_ref_ctr_offset() != 0 {
                let place = info.perf_uprobe_ref_ctr_offset();
                out += &format!("ref_ctr_offset {place:#x}  ");
            }
            out
        }
        Some(Tracepoint) => {
            let cookie = unless_zero("cookie", info.perf_tracepoint_cookie());
            format!("\n\ttracepoint {name}  {cookie}")
        }
        Some(Event) => {
            let (ty, config) = event(info);
            let ty = ty.map_or_else(|| format!("{} ", info.perf_event_type()), str::to_string);
            let config =
                config.map_or_else(|| info.perf_event_config().to_string(), str::to_string);
            let cookie = unless_zero("cookie", info.perf_event_cookie());
            format!("\n\tevent {ty}:{config}  {cookie}")
        }
        None => String::new(),
    }
}

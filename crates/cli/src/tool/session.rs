//! What the commands of one process share: the kernel, how answers are written, and what is
//! kept open.

use std::cell::{Cell, RefCell};

use skep::inspect::{self, Kind};
use skep::{Fd, Loaded, LogOptions, Object, ProgIndex};
use skep_abi::{Backend, Buffers, Cmd, Errno, attr};
use skep_btf::Btf;

use super::failure::{Answer, Failure};
use super::json::{Json, Style};
use super::options::Options;
use super::words::{Words, parse_number};
use crate::backend::Chosen;
use crate::verify::print;

/// The commands' surroundings.
pub struct Session<'k> {
    /// What the command line says before the commands.
    pub options: &'k Options,
    /// The kernel, and how to load into it.
    pub chosen: &'k Chosen,
    /// Answers that a batch collects instead of printing them.
    pub collected: RefCell<Option<Vec<Json>>>,
    /// Objects that were loaded; they live as long as the process.
    loaded: RefCell<Vec<Loaded<'k>>>,
    /// Objects that a kernel without a file system cannot pin, by path.
    named: RefCell<Vec<(String, Kind, Fd<'k>)>>,
    /// Descriptors whose numbers stand in values that are about to be used.
    held: RefCell<Vec<Fd<'k>>>,
    said: Cell<bool>,
}

impl<'k> Session<'k> {
    /// A session in which nothing has happened yet.
    pub fn new(options: &'k Options, chosen: &'k Chosen) -> Session<'k> {
        Session {
            options,
            chosen,
            collected: RefCell::new(None),
            loaded: RefCell::default(),
            named: RefCell::default(),
            held: RefCell::default(),
            said: Cell::new(false),
        }
    }

    /// The kernel.
    pub fn kernel(&self) -> &'k dyn Backend {
        self.chosen.kernel()
    }

    /// Whether answers are JSON.
    pub fn json(&self) -> bool {
        self.options.json
    }

    /// Writes an answer for people.
    pub fn say(&self, text: &str) {
        if !self.json() {
            print(text);
        }
    }

    /// Writes a JSON answer.
    pub fn answer(&self, value: Json) {
        self.said.set(true);
        if let Some(collected) = self.collected.borrow_mut().as_mut() {
            collected.push(value);
            return;
        }
        print(&format!("{}\n", value.write(self.style())));
    }

    /// How JSON is written.
    pub fn style(&self) -> Style {
        match self.options.pretty {
            true => Style::Pretty,
            false => Style::Compact,
        }
    }

    /// Writes `null` when a command that is through had no JSON to write.
    pub fn finish(&self) {
        if self.json() && !self.said.replace(false) {
            self.answer(Json::Null);
            self.said.set(false);
        }
    }

    /// Loads an object's maps and programs, with maps that stand for its own. Programs that
    /// are refused are told of; what was loaded is kept.
    pub fn load_with(
        &self,
        path: &str,
        object: Object,
        reuse: Vec<(String, Fd<'k>)>,
    ) -> Answer<usize> {
        // What is loaded refers to the object, and lives until the process ends.
        let object: &'k Object = Box::leak(Box::new(object));
        let mut options = self.chosen.options_for(object);
        for (name, fd) in &reuse {
            options.reuse.insert(name.clone(), fd.raw());
        }
        let mut loaded = object.prepare(self.kernel(), options)?;
        let mut refused = None;
        for (index, program) in object.programs.iter().enumerate() {
            if !program.autoload {
                continue;
            }
            let index = ProgIndex(index);
            match loaded.load_program(index, &LogOptions::NONE)?.outcome {
                Ok(fd) => loaded.keep(index, fd),
                Err(errno) => {
                    let told = loaded.load_program(index, &LogOptions::BRIEF)?;
                    let text = format!("{path}: prog '{}' was refused: {errno}", program.name);
                    refused = Some(Failure::message(format!("{text}\n{}", told.log.trim_end())));
                }
            }
        }
        loaded.fill_program_arrays()?;
        let mut all = self.loaded.borrow_mut();
        all.push(loaded);
        match refused {
            Some(failure) => Err(failure),
            None => Ok(all.len() - 1),
        }
    }

    /// Does something with a loaded object.
    pub fn with_loaded<T>(&self, index: usize, work: impl FnOnce(&Loaded<'k>) -> T) -> Option<T> {
        self.loaded.borrow().get(index).map(work)
    }

    /// Keeps a descriptor open until the process ends.
    pub fn hold(&self, fd: Fd<'k>) {
        self.held.borrow_mut().push(fd);
    }

    /// Pins a descriptor. A kernel without a file system keeps it under the path until the
    /// process ends.
    pub fn pin(&self, kind: Kind, fd: Fd<'k>, path: &str) -> Answer<()> {
        match self.at_path(Cmd::ObjPin, path, Some(&fd)) {
            Ok(_) => Ok(()),
            Err(Errno::EOPNOTSUPP) => {
                self.named.borrow_mut().push((path.to_string(), kind, fd));
                Ok(())
            }
            Err(errno) => Err(Failure::because(
                format!("can't pin the object ({path})"),
                errno,
            )),
        }
    }

    fn at_path(&self, cmd: Cmd, path: &str, fd: Option<&Fd<'_>>) -> Result<u32, Errno> {
        let mut name = path.as_bytes().to_vec();
        name.push(0);
        let mut memory = Buffers::new();
        let mut object = attr::Obj::new();
        object.set_pathname(memory.input(&name));
        if let Some(fd) = fd {
            object.set_bpf_fd(fd.raw());
        }
        self.kernel().bpf(cmd.into(), object.as_attr(), &mut memory)
    }

    fn pinned(&self, kind: Kind, path: &str) -> Answer<Fd<'k>> {
        let kernel = self.kernel();
        let named = self.named.borrow();
        let known = named.iter().find(|(at, has, _)| at == path && *has == kind);
        let fd = match known {
            Some((_, _, fd)) => kernel.dup(fd.raw()),
            None => self.at_path(Cmd::ObjGet, path, None),
        };
        fd.map(|fd| Fd::of(kernel, fd))
            .map_err(|errno| Failure::because(format!("bpf obj get ({path})"), errno))
    }

    /// The numbers of all objects of a kind.
    pub fn ids(&self, kind: Kind) -> Answer<Vec<u32>> {
        inspect::ids(self.kernel(), kind).map_err(|errno| {
            Failure::with_code(format!("can't get next {}", kind_word(kind)), errno)
        })
    }

    /// The objects that a selector names: `id N`, `pinned F`, `name S`, `tag T`.
    pub fn select(&self, kind: Kind, words: &mut Words) -> Answer<Vec<(u32, Fd<'k>)>> {
        let kernel = self.kernel();
        if words.take("id") {
            let word = words.value_of("id")?;
            let id = parse_number(&word).and_then(|id| u32::try_from(id).ok());
            let id = id.ok_or_else(|| Failure::message(format!("can't parse {word} as ID")))?;
            let fd = inspect::open(kernel, kind, id).map_err(|errno| match kind {
                Kind::Map => Failure::because(format!("get map by id ({id})"), errno),
                Kind::Link => Failure::with_code(format!("failed to get link with ID {id}"), errno),
                _ => Failure::because(format!("get by id ({id})"), errno),
            })?;
            return Ok(vec![(id, fd)]);
        }
        if kind != Kind::Btf && words.take("pinned") {
            let path = words.value_of("pinned")?;
            let fd = self.pinned(kind, &path)?;
            let id = self.id_of(kind, fd.raw())?;
            return Ok(vec![(id, fd)]);
        }
        let has_name = matches!(kind, Kind::Prog | Kind::Map);
        if has_name && words.take("name") {
            let name = words.value_of("name")?;
            if name.len() > 15 {
                return Err(Failure::message("can't parse name"));
            }
            return self.matching(kind, |fd| self.name_of(kind, fd) == name.as_bytes());
        }
        if kind == Kind::Prog && words.take("tag") {
            let word = words.value_of("tag")?;
            let tag = crate::hex::decode(&word).ok().filter(|tag| tag.len() == 8);
            let tag = tag.ok_or_else(|| Failure::message("can't parse tag"))?;
            return self.matching(kind, |fd| {
                inspect::prog_info(kernel, fd.raw()).is_ok_and(|info| info.tag().as_slice() == tag)
            });
        }
        let expected = match kind {
            Kind::Prog => "'id', 'tag', 'name' or 'pinned'",
            Kind::Map => "'id', 'name' or 'pinned'",
            Kind::Btf => "'id'",
            _ => "'id' or 'pinned'",
        };
        let got = words.peek().unwrap_or("").to_string();
        Err(Failure::message(format!(
            "expected {expected}, got: '{got}'?"
        )))
    }

    /// The one object that a selector names.
    pub fn select_one(&self, kind: Kind, words: &mut Words) -> Answer<(u32, Fd<'k>)> {
        let mut found = self.select(kind, words)?;
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (None, _) => Err(Failure::message(format!("no {} found", kind_word(kind)))),
            _ => Err(Failure::message(format!(
                "several {}s match this handle",
                kind_word(kind)
            ))),
        }
    }

    fn matching(&self, kind: Kind, is: impl Fn(&Fd<'k>) -> bool) -> Answer<Vec<(u32, Fd<'k>)>> {
        let mut found = Vec::new();
        for id in self.ids(kind)? {
            // One that has gone meanwhile is no error.
            let Ok(fd) = inspect::open(self.kernel(), kind, id) else {
                continue;
            };
            if is(&fd) {
                found.push((id, fd));
            }
        }
        match found.is_empty() {
            true => Err(Failure::message(format!("no {} found", kind_word(kind)))),
            false => Ok(found),
        }
    }

    fn name_of(&self, kind: Kind, fd: &Fd<'_>) -> Vec<u8> {
        let name = match kind {
            Kind::Prog => inspect::prog_info(self.kernel(), fd.raw()).map(|info| info.name()),
            _ => inspect::map_info(self.kernel(), fd.raw()).map(|info| info.name()),
        };
        let name = name.unwrap_or([0; 16]);
        name.iter().copied().take_while(|byte| *byte != 0).collect()
    }

    /// What is pinned at a path.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn at(&self, path: &str) -> Result<Fd<'k>, Errno> {
        let fd = self.at_path(Cmd::ObjGet, path, None)?;
        Ok(Fd::of(self.kernel(), fd))
    }

    /// What this session keeps under a path: descriptors that stay its own.
    pub fn named(&self) -> Vec<(String, Kind, u32)> {
        let named = self.named.borrow();
        let all = named.iter();
        all.map(|(path, kind, fd)| (path.clone(), *kind, fd.raw()))
            .collect()
    }

    /// An object's number.
    ///
    /// # Errors
    /// A sentence with what the kernel answers.
    pub fn id_of(&self, kind: Kind, fd: u32) -> Answer<u32> {
        let id = match kind {
            Kind::Prog => inspect::prog_info(self.kernel(), fd).map(|info| info.id()),
            Kind::Link => inspect::link_info(self.kernel(), fd).map(|info| info.id()),
            _ => inspect::map_info(self.kernel(), fd).map(|info| info.id()),
        };
        id.map_err(|errno| Failure::because("can't get info", errno))
    }

    /// The types with this number; `None` for 0 and for what cannot be read.
    pub fn btf(&self, id: u32) -> Option<Btf> {
        let known = (id != 0).then_some(id)?;
        inspect::btf_by_id(self.kernel(), known).ok()
    }
}

/// What a kind of object is called.
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Prog => "program",
        Kind::Map => "map",
        Kind::Btf => "BTF object",
        Kind::Link => "link",
    }
}

/// A kernel's name for something: bytes up to the first NUL.
pub fn name_text(name: &[u8]) -> String {
    let end = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    String::from_utf8_lossy(name.get(..end).unwrap_or(&[])).into_owned()
}

/// One value of what `/proc/self/fdinfo` says.
pub fn fdinfo_value(fdinfo: &str, name: &str) -> Option<String> {
    let line = fdinfo.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(':'))
    })?;
    line.split_once(':')
        .map(|(_, value)| value.trim().to_string())
}

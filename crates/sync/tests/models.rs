//! All interleavings of small scenes; empty without `--cfg loom`.
#![cfg(loom)]

use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use skep_sync::clock::{Clock, LIVE, Table, USED};
use skep_sync::ring::{BUSY, Producers, RingMemory};
use skep_sync::{FreeList, Grace, Links, SpinLock, Timers, Uncancelled};

/// An object that says when it is dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A reader follows a link while a writer takes it out: the object is there as long as the
/// reader has a pass, and gone in the end. This is how an inner map leaves a map of maps.
fn removal(by_slot: bool) {
    loom::model(move || {
        let grace = Arc::new(Grace::new(1));
        let gone = Arc::new(AtomicBool::new(false));
        let linked = Arc::new(AtomicUsize::new(1));
        let reader = {
            let (grace, gone, linked) = (grace.clone(), gone.clone(), linked.clone());
            thread::spawn(move || {
                let slot = by_slot.then(|| grace.enter_on(0));
                let pass = (!by_slot).then(|| grace.enter());
                if linked.load(Ordering::Acquire) == 1 {
                    assert!(!gone.load(Ordering::SeqCst), "used after it was dropped");
                }
                drop((slot, pass));
            })
        };
        linked.store(0, Ordering::Release);
        grace.retire(std::sync::Arc::new(Flag(gone.clone())));
        reader.join().unwrap();
        assert!(gone.load(Ordering::SeqCst), "nobody is left to wait for");
        assert_eq!(grace.waiting(), 0);
    });
}

#[test]
fn a_pass_keeps_what_was_found() {
    removal(false);
}

#[test]
fn a_slot_keeps_what_was_found() {
    removal(true);
}

#[test]
fn a_lock_is_one_thread_s() {
    loom::model(|| {
        let lock = Arc::new(SpinLock::new(0));
        let other = {
            let lock = lock.clone();
            thread::spawn(move || *lock.lock() += 1)
        };
        *lock.lock() += 1;
        other.join().unwrap();
        assert_eq!(*lock.lock(), 2);
    });
}

/// The link of the one piece that goes round.
struct OneLink(AtomicUsize);

impl Links for OneLink {
    fn next(&self, _: usize) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set_next(&self, _: usize, next: usize) {
        self.0.store(next, Ordering::Relaxed);
    }
}

#[test]
fn free_pieces_go_round() {
    loom::model(|| {
        let shared = Arc::new((FreeList::new(2), OneLink(AtomicUsize::new(0))));
        let take = |cpu: usize, shared: &(FreeList, OneLink)| {
            let (list, links) = shared;
            let own = list.take(cpu, links);
            own.or_else(|| list.take_from_others(cpu, links))
        };
        shared.0.give(0, 7, &shared.1);
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                let piece = take(1, &shared);
                piece
                    .into_iter()
                    .for_each(|piece| shared.0.give(1, piece, &shared.1));
                piece
            })
        };
        let mine = take(0, &shared);
        let theirs = other.join().unwrap();
        assert!(mine.is_some() || theirs.is_some(), "one of both finds it");
        mine.into_iter()
            .for_each(|piece| shared.0.give(0, piece, &shared.1));
        assert_eq!(take(0, &shared), Some(7));
        assert_eq!(take(1, &shared), None);
    });
}

/// The records of the scenes: a word of bytes behind a header.
const RECORD: u64 = 16;

/// A ring of two or four records, with what its pages would hold.
struct Pages {
    consumer: AtomicU64,
    producer: AtomicU64,
    headers: Vec<AtomicU32>,
    /// The bytes of each record.
    bytes: Vec<AtomicU64>,
}

impl Pages {
    fn new(records: u64) -> Pages {
        Pages {
            consumer: AtomicU64::new(0),
            producer: AtomicU64::new(0),
            headers: (0..records).map(|_| AtomicU32::new(0)).collect(),
            bytes: (0..records).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn place(&self, position: u64) -> usize {
        assert_eq!(position % RECORD, 0, "only places of records are touched");
        (position / RECORD) as usize % self.headers.len()
    }

    /// Writes the bytes of a record, which nobody else writes meanwhile.
    fn write(&self, position: u64, value: u64) {
        let bytes = &self.bytes[self.place(position)];
        bytes.store(value, Ordering::Relaxed);
        assert_eq!(bytes.load(Ordering::Relaxed), value, "the record is ours");
    }

    fn read(&self, position: u64) -> u64 {
        self.bytes[self.place(position)].load(Ordering::Relaxed)
    }

    fn commit(&self, position: u64) {
        let header = &self.headers[self.place(position)];
        let word = header.load(Ordering::Relaxed);
        assert_ne!(word & BUSY, 0, "nobody else commits it");
        header.swap(word & !BUSY, Ordering::AcqRel);
    }
}

impl RingMemory for Pages {
    fn consumer(&self) -> u64 {
        self.consumer.load(Ordering::Acquire)
    }

    fn set_producer(&self, position: u64) {
        self.producer.store(position, Ordering::Release);
    }

    fn header(&self, position: u64) -> u32 {
        self.headers[self.place(position)].load(Ordering::Acquire)
    }

    fn set_header(&self, position: u64, word: u32) {
        self.headers[self.place(position)].store(word, Ordering::Relaxed);
    }
}

/// Producers and a consumer that writes any positions: no record is given to two at once.
#[test]
fn a_hostile_consumer_makes_no_two_producers_meet() {
    for claims in [[16, 32], [32, 16], [u64::MAX, 32], [1000, 8]] {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let pages = Arc::new(Pages::new(2));
            let producers = Arc::new(Producers::new(2 * RECORD));
            let produce = {
                let (pages, producers) = (pages.clone(), producers.clone());
                move |value: u64| {
                    if let Some(at) = producers.reserve(&*pages, 8) {
                        pages.write(at, value);
                        pages.commit(at);
                    }
                }
            };
            let other = {
                let produce = produce.clone();
                thread::spawn(move || {
                    produce(1);
                    produce(2);
                })
            };
            let consumer = {
                let pages = pages.clone();
                thread::spawn(move || {
                    for claim in claims {
                        pages.consumer.store(claim, Ordering::Release);
                    }
                })
            };
            produce(3);
            other.join().unwrap();
            consumer.join().unwrap();
            assert_eq!(producers.position(), pages.producer.load(Ordering::Acquire));
        });
    }
}

/// An honest consumer sees every record that was committed, whole and in order.
#[test]
fn records_come_whole_and_in_order() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let pages = Arc::new(Pages::new(2));
        let producers = Arc::new(Producers::new(2 * RECORD));
        let producer = {
            let (pages, producers) = (pages.clone(), producers.clone());
            thread::spawn(move || {
                let mut made = 0;
                for value in 1..=2 {
                    let Some(at) = producers.reserve(&*pages, 8) else {
                        break;
                    };
                    pages.write(at, value);
                    pages.commit(at);
                    made += 1;
                }
                made
            })
        };
        let mut at = 0;
        let mut consume = || {
            while at < pages.producer.load(Ordering::Acquire) {
                if RingMemory::header(&*pages, at) & BUSY != 0 {
                    break;
                }
                assert_eq!(pages.read(at), at / RECORD + 1);
                at += RECORD;
                pages.consumer.store(at, Ordering::Release);
            }
            at / RECORD
        };
        consume();
        let made = producer.join().unwrap();
        assert_eq!(consume(), made);
    });
}

/// A timer with a callback, started and due; its token.
fn started(timers: &Timers<u32, ()>, what: u32) -> u64 {
    let word = AtomicU64::new(0);
    assert_eq!(timers.insert(&word, what, 0), Ok(()));
    let token = word.load(Ordering::Acquire);
    timers.set_callback(token, ());
    assert!(timers.start(token, |_| 0));
    token
}

/// Who cancelled a timer finds that its callback does not run, and never runs again.
#[test]
fn a_cancelled_timer_rests() {
    loom::model(|| {
        let timers = Arc::new(Timers::new(1));
        let token = started(&timers, 0);
        let running = Arc::new(AtomicBool::new(false));
        let other = {
            let (timers, running) = (timers.clone(), running.clone());
            thread::spawn(move || {
                if timers.take_due(1, |_| 0).is_some() {
                    running.store(true, Ordering::SeqCst);
                    // What a callback does that sets its timer again.
                    timers.start(token, |_| 0);
                    running.store(false, Ordering::SeqCst);
                    timers.done(1);
                }
            })
        };
        assert!(timers.cancel(token, 0).is_ok());
        assert!(!running.load(Ordering::SeqCst), "the callback is over");
        assert!(timers.take_due(0, |_| 0).is_none());
        other.join().unwrap();
        assert!(timers.take_due(0, |_| 0).is_none());
    });
}

/// Callbacks that cancel each other's timer: none waits for ever, whoever comes first.
#[test]
fn callbacks_do_not_wait_for_each_other() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let timers = Arc::new(Timers::new(1));
        let tokens = [started(&timers, 0), started(&timers, 1)];
        let run = {
            let timers = timers.clone();
            move |cpu: u32| {
                if let Some(due) = timers.take_due(cpu, |_| 0) {
                    let other = tokens[1 - due.what as usize];
                    let cancelled = timers.cancel(other, cpu);
                    timers.done(cpu);
                    assert_ne!(cancelled, Err(Uncancelled::Missing));
                }
            }
        };
        let other = {
            let run = run.clone();
            thread::spawn(move || run(1))
        };
        run(0);
        other.join().unwrap();
    });
}

/// Two make the timer of one field, and one removes what is there: one timer is made, and a
/// removed one never runs.
#[test]
fn a_field_has_one_timer() {
    loom::model(|| {
        let timers: Arc<Timers<u32, ()>> = Arc::new(Timers::new(1));
        let word = Arc::new(AtomicU64::new(0));
        let other = {
            let (timers, word) = (timers.clone(), word.clone());
            thread::spawn(move || timers.insert(&word, 1, 0).is_ok())
        };
        let mine = timers.insert(&word, 0, 0).is_ok();
        assert!(mine != other.join().unwrap(), "one of both");
        let token = word.load(Ordering::Acquire);
        timers.set_callback(token, ());
        let other = {
            let timers = timers.clone();
            thread::spawn(move || timers.remove(token).is_some())
        };
        let was_started = timers.start(token, |_| 0);
        let ran = timers.take_due(0, |_| 0).is_some();
        assert!(was_started || !ran);
        assert!(other.join().unwrap(), "it was there");
        timers.done(0);
        assert!(timers.take_due(0, |_| 0).is_none());
    });
}

/// A table of two elements, each in its place or somebody's own.
struct Pair {
    marks: [AtomicU32; 2],
    /// Which are in their place: the bucket, which is locked as a whole.
    linked: Mutex<[bool; 2]>,
    owned: [AtomicBool; 2],
    free: Mutex<Vec<usize>>,
}

impl Pair {
    fn full() -> (Pair, Clock) {
        let pair = Pair {
            marks: [AtomicU32::new(0), AtomicU32::new(0)],
            linked: Mutex::new([false; 2]),
            owned: [AtomicBool::new(false), AtomicBool::new(false)],
            free: Mutex::default(),
        };
        let clock = Clock::default();
        for element in 1..=2 {
            let room = clock.take(|| Ok(Some((element, true))), &pair, ());
            assert_eq!(room.map(|room| room.element), Ok(element));
            pair.put_in(element);
        }
        (pair, clock)
    }

    fn put_in(&self, element: usize) {
        self.owned[element - 1].store(false, Ordering::SeqCst);
        let mut linked = self.linked.lock().unwrap();
        self.marks[element - 1].store(LIVE, Ordering::Relaxed);
        linked[element - 1] = true;
    }

    fn own(&self, element: usize) {
        let before = self.owned[element - 1].swap(true, Ordering::SeqCst);
        assert!(!before, "an element has one owner");
    }

    /// What an update does that finds the table full.
    fn replace_one(&self, clock: &Clock) {
        let fresh = || Ok(self.free.lock().unwrap().pop().map(|e| (e, false)));
        if let Ok(room) = clock.take(fresh, self, ()) {
            self.own(room.element);
            self.put_in(room.element);
        }
    }

    /// What a deletion does.
    fn delete(&self, element: usize) {
        if self.take_out(element) {
            self.own(element);
            self.marks[element - 1].store(0, Ordering::Relaxed);
            self.owned[element - 1].store(false, Ordering::SeqCst);
            self.free.lock().unwrap().push(element);
        }
    }
}

impl Table for Pair {
    fn mark(&self, element: usize) -> &AtomicU32 {
        &self.marks[element - 1]
    }

    fn take_out(&self, element: usize) -> bool {
        std::mem::replace(&mut self.linked.lock().unwrap()[element - 1], false)
    }
}

/// Two make room in a full table while an element is deleted and one is used: nobody gets what
/// is somebody else's, and nothing is lost.
#[test]
fn room_is_made_for_one_at_a_time() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Arc::new(Pair::full());
        let spawn = |work: fn(&Pair, &Clock)| {
            let shared = shared.clone();
            thread::spawn(move || work(&shared.0, &shared.1))
        };
        let others = [spawn(Pair::replace_one), spawn(|pair, _| pair.delete(1))];
        let (pair, clock) = &*shared;
        pair.marks[1].fetch_or(USED, Ordering::Relaxed);
        pair.replace_one(clock);
        for other in others {
            other.join().unwrap();
        }
        let linked = pair.linked.lock().unwrap().iter().filter(|l| **l).count();
        let free = pair.free.lock().unwrap().len();
        assert_eq!(linked + free, 2, "in the table or free");
    });
}

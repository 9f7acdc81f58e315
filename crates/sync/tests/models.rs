//! All interleavings of small scenes; empty without `--cfg loom`.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use skep_sync::{FreeList, Grace, SpinLock};

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

#[test]
fn free_pieces_go_round() {
    loom::model(|| {
        let list = Arc::new(FreeList::new(2));
        list.give(0, 7);
        let other = {
            let list = list.clone();
            thread::spawn(move || {
                let piece = list.take(1);
                piece.into_iter().for_each(|piece| list.give(1, piece));
                piece
            })
        };
        let mine = list.take(0);
        let theirs = other.join().unwrap();
        assert!(mine.is_some() || theirs.is_some(), "one of both finds it");
        mine.into_iter().for_each(|piece| list.give(0, piece));
        assert_eq!(list.take(0), Some(7));
        assert_eq!(list.take(1), None);
    });
}

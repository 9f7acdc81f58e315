//! How numbers are read and written where other threads may do the same.
//!
//! Two programs that share a value may race, as on Linux: each access is what one instruction of
//! the machine does, torn at worst, and never undefined. A plain access of Rust would be that, and
//! an atomic one wants an aligned address, which programs need not have.

/// A number of one, two, four or eight bytes.
pub(crate) trait Number: Copy {
    /// Reads it, with zeros above.
    ///
    /// # Safety
    /// Its bytes may be read at this address.
    unsafe fn read(addr: u64) -> u64;

    /// Writes the low bits of `value`.
    ///
    /// # Safety
    /// Its bytes may be written at this address.
    unsafe fn write(addr: u64, value: u64);
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use core::arch::asm;

    use super::Number;

    macro_rules! number {
        ($number:ty, $load:literal, $store:literal, $class:ident) => {
            impl Number for $number {
                #[inline(always)]
                unsafe fn read(addr: u64) -> u64 {
                    let value: u64;
                    // SAFETY: the instruction reads the bytes that the caller vouches for, and
                    // changes nothing but its register.
                    unsafe {
                        asm!($load, v = lateout(reg) value, a = in(reg) addr,
                            options(nostack, preserves_flags, readonly));
                    }
                    value
                }

                #[inline(always)]
                unsafe fn write(addr: u64, value: u64) {
                    // SAFETY: the instruction writes the bytes that the caller vouches for, and
                    // changes nothing else.
                    unsafe {
                        asm!($store, v = in($class) value as $number, a = in(reg) addr,
                            options(nostack, preserves_flags));
                    }
                }
            }
        };
    }
    number!(
        u8,
        "movzx {v:e}, byte ptr [{a}]",
        "mov byte ptr [{a}], {v}",
        reg_byte
    );
    number!(
        u16,
        "movzx {v:e}, word ptr [{a}]",
        "mov word ptr [{a}], {v:x}",
        reg
    );
    number!(
        u32,
        "mov {v:e}, dword ptr [{a}]",
        "mov dword ptr [{a}], {v:e}",
        reg
    );
    number!(
        u64,
        "mov {v:r}, qword ptr [{a}]",
        "mov qword ptr [{a}], {v:r}",
        reg
    );
}

#[cfg(not(target_arch = "x86_64"))]
mod machine {
    use core::ptr::with_exposed_provenance_mut;
    use core::sync::atomic::Ordering::Relaxed;
    use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

    use super::Number;

    /// The byte at an address.
    ///
    /// # Safety
    /// It may be accessed.
    unsafe fn byte<'a>(addr: u64) -> &'a AtomicU8 {
        // SAFETY: by the contract; a byte is always aligned.
        unsafe { AtomicU8::from_ptr(with_exposed_provenance_mut(addr as usize)) }
    }

    macro_rules! number {
        ($number:ty, $cell:ty) => {
            impl Number for $number {
                #[inline]
                unsafe fn read(addr: u64) -> u64 {
                    if addr.is_multiple_of(size_of::<$number>() as u64) {
                        // SAFETY: the caller vouches for the bytes, and they are aligned.
                        let cell = unsafe {
                            <$cell>::from_ptr(with_exposed_provenance_mut(addr as usize))
                        };
                        return cell.load(Relaxed).into();
                    }
                    let mut bytes = [0; size_of::<$number>()];
                    for (i, out) in bytes.iter_mut().enumerate() {
                        // SAFETY: the caller vouches for the bytes.
                        *out = unsafe { byte(addr + i as u64) }.load(Relaxed);
                    }
                    <$number>::from_ne_bytes(bytes).into()
                }

                #[inline]
                unsafe fn write(addr: u64, value: u64) {
                    let value = value as $number;
                    if addr.is_multiple_of(size_of::<$number>() as u64) {
                        // SAFETY: the caller vouches for the bytes, and they are aligned.
                        let cell = unsafe {
                            <$cell>::from_ptr(with_exposed_provenance_mut(addr as usize))
                        };
                        cell.store(value, Relaxed);
                        return;
                    }
                    for (i, part) in value.to_ne_bytes().into_iter().enumerate() {
                        // SAFETY: the caller vouches for the bytes.
                        unsafe { byte(addr + i as u64) }.store(part, Relaxed);
                    }
                }
            }
        };
    }
    number!(u8, AtomicU8);
    number!(u16, AtomicU16);
    number!(u32, AtomicU32);
    number!(u64, AtomicU64);
}

//! How a C structure becomes a typed view over its bytes, and what Linux demands of the
//! bytes that lie behind it.

use crate::attr::ATTR_SIZE;
use crate::{Errno, OBJ_NAME_LEN};

/// The most bytes of an attribute that Linux looks at (one page).
const ATTR_LIMIT: usize = 4096;

/// A value of fixed size in native byte order.
pub trait Field: Sized {
    /// Its bytes.
    const SIZE: usize;
    /// Reads it from the front of `bytes`; zero where `bytes` ends too early.
    fn load(bytes: &[u8]) -> Self;
    /// Writes it to the front of `bytes`, as far as they reach.
    fn store(&self, bytes: &mut [u8]);
}

macro_rules! number_fields {
    ($($ty:ty),*) => {$(
        impl Field for $ty {
            const SIZE: usize = core::mem::size_of::<$ty>();
            #[inline]
            fn load(bytes: &[u8]) -> Self {
                if let Some(raw) = bytes.first_chunk() {
                    return <$ty>::from_ne_bytes(*raw);
                }
                let mut raw = [0; core::mem::size_of::<$ty>()];
                copy_front(bytes, &mut raw);
                <$ty>::from_ne_bytes(raw)
            }
            #[inline]
            fn store(&self, bytes: &mut [u8]) {
                copy_front(&self.to_ne_bytes(), bytes);
            }
        }
    )*};
}
number_fields!(u8, u16, u32, i32, u64);

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    const SIZE: usize = N * T::SIZE;
    fn load(bytes: &[u8]) -> Self {
        let mut all = [T::default(); N];
        for (to, from) in all.iter_mut().zip(bytes.chunks(T::SIZE)) {
            *to = T::load(from);
        }
        all
    }
    fn store(&self, bytes: &mut [u8]) {
        for (from, to) in self.iter().zip(bytes.chunks_mut(T::SIZE)) {
            from.store(to);
        }
    }
}

/// The name of an object as it lies in an attribute: 16 bytes, NUL-padded.
pub type Name = [u8; OBJ_NAME_LEN];

/// The field for a name: cut to 15 bytes, and with every byte that Linux would refuse
/// (it takes letters, digits, `_` and `.`) replaced by `_`.
pub fn object_name(name: &str) -> Name {
    let mut field = [0; OBJ_NAME_LEN];
    for (to, from) in field.iter_mut().zip(name.bytes().take(OBJ_NAME_LEN - 1)) {
        let fits = from.is_ascii_alphanumeric() || from == b'_' || from == b'.';
        *to = if fits { from } else { b'_' };
    }
    field
}

/// Linux's first look at an attribute, whatever the command: bytes that this kernel does
/// not know must be zero.
///
/// # Errors
/// `E2BIG` for more than a page, or for a nonzero byte behind the known union.
pub fn check_attr_size(attr: &[u8]) -> Result<(), Errno> {
    if attr.len() > ATTR_LIMIT || any_set(attr, ATTR_SIZE) {
        return Err(Errno::E2BIG);
    }
    Ok(())
}

/// Copies an attribute of any length into a view's bytes: short ones are continued with
/// zeros, long ones must pass [`check_attr_size`] and be zero behind the view.
pub(crate) fn copy_attr(attr: &[u8], view: &mut [u8]) -> Result<(), Errno> {
    check_attr_size(attr)?;
    if any_set(attr, view.len()) {
        return Err(Errno::EINVAL);
    }
    copy_front(attr, view);
    Ok(())
}

/// Copies a structure of any length into a view's bytes; `E2BIG` when something behind
/// the view is set.
pub(crate) fn copy_info(bytes: &[u8], view: &mut [u8]) -> Result<(), Errno> {
    if any_set(bytes, view.len()) {
        return Err(Errno::E2BIG);
    }
    copy_front(bytes, view);
    Ok(())
}

/// Copies as many bytes as both have.
#[inline]
pub(crate) fn copy_front(from: &[u8], to: &mut [u8]) {
    let len = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
}

/// Whether a byte from `start` on is not zero. Most attributes are longer than their command
/// needs, so this looks at words.
#[inline]
fn any_set(bytes: &[u8], start: usize) -> bool {
    let (words, tail) = bytes.get(start..).unwrap_or_default().as_chunks::<8>();
    let all = words
        .iter()
        .fold(0, |all, word| all | u64::from_ne_bytes(*word));
    all != 0 || tail.iter().any(|byte| *byte != 0)
}

/// Declares a view: `pub struct Name: attr|info [bytes] { field, setter: type = offset; }`.
macro_rules! layout {
    (@check attr) => { $crate::layout::copy_attr };
    (@check info) => { $crate::layout::copy_info };
    (@checked_doc attr) => {
        "Reads the caller's bytes once. Short ones mean zeros.\n\n# Errors\n`E2BIG` for a \
         set byte that Linux 6.18 does not know at all, `EINVAL` for one that this command \
         does not use."
    };
    (@checked_doc info) => {
        "Reads the caller's bytes once. Short ones mean zeros.\n\n# Errors\n`E2BIG` for a \
         set byte behind the structure."
    };
    ($(#[$meta:meta])* pub struct $ty:ident: $kind:ident [$size:literal] {
        $($field:ident, $setter:ident: $fty:ty = $offset:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $ty {
            bytes: [u8; $size],
        }

        // `__sk_buff` has a field `len`, which is not the length of the view.
        #[allow(clippy::len_without_is_empty)]
        impl $ty {
            /// Bytes of the structure.
            pub const SIZE: usize = $size;

            /// The name, offset and size in bytes of each field.
            pub const FIELDS: &'static [(&'static str, usize, usize)] =
                &[$((stringify!($field), $offset, <$fty as $crate::layout::Field>::SIZE),)*];

            /// All zero.
            pub const fn new() -> Self {
                Self { bytes: [0; $size] }
            }

            #[doc = layout!(@checked_doc $kind)]
            #[inline]
            pub fn checked(bytes: &[u8]) -> Result<Self, $crate::Errno> {
                let mut view = Self::new();
                (layout!(@check $kind))(bytes, &mut view.bytes)?;
                Ok(view)
            }

            /// The view over as much of `bytes` as it covers, whatever lies behind.
            pub fn prefix(bytes: &[u8]) -> Self {
                let mut view = Self::new();
                $crate::layout::copy_front(bytes, &mut view.bytes);
                view
            }

            /// The bytes.
            pub fn bytes(&self) -> &[u8] {
                &self.bytes
            }

            /// The bytes, to be handed to a kernel that may answer in them.
            pub fn as_attr(&mut self) -> &mut [u8] {
                &mut self.bytes
            }

            /// Copies the view back over the front of `bytes`, as far as they reach.
            pub fn write_back(&self, bytes: &mut [u8]) {
                $crate::layout::copy_front(&self.bytes, bytes);
            }

            $(
                #[doc = concat!("The field `", stringify!($field), "` at offset ", $offset, ".")]
                #[inline]
                pub fn $field(&self) -> $fty {
                    let from = self.bytes.get($offset..).unwrap_or(&[]);
                    $crate::layout::Field::load(from)
                }

                #[doc = concat!("Sets the field `", stringify!($field), "`.")]
                pub fn $setter(&mut self, value: $fty) -> &mut Self {
                    if let Some(to) = self.bytes.get_mut($offset..) {
                        $crate::layout::Field::store(&value, to);
                    }
                    self
                }
            )*
        }

        impl Default for $ty {
            fn default() -> Self {
                Self::new()
            }
        }

        impl core::fmt::Debug for $ty {
            /// The fields that are not zero.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut out = f.debug_struct(stringify!($ty));
                $(
                    if self.$field() != <$fty as $crate::layout::Field>::load(&[]) {
                        out.field(stringify!($field), &self.$field());
                    }
                )*
                out.finish()
            }
        }
    };
}
pub(crate) use layout;

//! How a table of numbers becomes an enum, and a table of bits a set of flags.

/// Declares an enum over `u32` from rows `Variant = number, "C_SUFFIX", "name";`.
macro_rules! numbers {
    ($(#[$meta:meta])* pub enum $ty:ident, $prefix:literal {
        $($variant:ident = $value:literal, $c:literal, $name:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum $ty {
            $(#[doc = concat!("`", $prefix, $c, "`")] $variant = $value,)*
        }

        impl $ty {
            /// Every member, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The member with this number, when Linux 6.18 has one.
            pub const fn from_u32(number: u32) -> Option<Self> {
                match number {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The member that bpftool prints under this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The number.
            pub const fn as_u32(self) -> u32 {
                self as u32
            }

            /// The name that bpftool and libbpf print.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The name in the C header.
            pub const fn c_name(self) -> &'static str {
                match self { $(Self::$variant => concat!($prefix, $c),)* }
            }
        }

        impl core::fmt::Display for $ty {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.name())
            }
        }

        impl From<$ty> for u32 {
            fn from(value: $ty) -> u32 {
                value as u32
            }
        }
    };
}
pub(crate) use numbers;

/// Declares a set of flags from rows `NAME = bits, "C_NAME", "name";`.
macro_rules! flags {
    ($(#[$meta:meta])* pub struct $ty:ident($raw:ty) {
        $($flag:ident = $value:expr, $c:literal, $name:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $ty(pub $raw);

        impl $ty {
            $(#[doc = concat!("`", $c, "`")] pub const $flag: Self = Self($value);)*

            /// Every flag with its own name and the one in the C header.
            pub const NAMES: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$flag, $name, $c),)*];

            /// The bits that have a name.
            pub const KNOWN: Self = Self(0 $(| $value)*);

            /// The flag of this name, short (`rdonly_prog`) or from the C header.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::NAMES
                    .iter()
                    .find(|(_, short, c)| *short == name || *c == name)
                    .map(|row| row.0)
            }

            /// Whether all bits of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether some bit of `other` is set.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// The bits that are not among `allowed`.
            pub const fn beyond(self, allowed: Self) -> Self {
                Self(self.0 & !allowed.0)
            }

            /// Whether no bit is set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Both sets together.
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl core::ops::BitOr for $ty {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }

        impl core::ops::BitOrAssign for $ty {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl core::fmt::Debug for $ty {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut left = self.0;
                let mut first = true;
                for (flag, name, _) in Self::NAMES {
                    if flag.0 != 0 && left & flag.0 == flag.0 {
                        if !first {
                            f.write_str("|")?;
                        }
                        f.write_str(name)?;
                        left &= !flag.0;
                        first = false;
                    }
                }
                if left != 0 || first {
                    if !first {
                        f.write_str("|")?;
                    }
                    write!(f, "{left:#x}")?;
                }
                Ok(())
            }
        }
    };
}
pub(crate) use flags;

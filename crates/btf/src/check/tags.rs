//! Type tags stand next to the pointer: no other adornment may come between.

use skep_abi::Errno;

use super::log::Log;
use super::records::{Record, Records};
use crate::kind::Kind;

/// Refuses a tag behind a modifier or typedef. Linear: what is known of a type is kept.
pub(super) fn check(records: &Records<'_>, log: &mut Log) -> Result<(), Errno> {
    // For each type, whether a tag comes before the end of its chain of adornments.
    let mut tagged: Vec<Option<bool>> = vec![None; records.count() as usize];
    let mut path = Vec::new();
    for id in 1..records.count() {
        let mut at = id;
        let mut found = loop {
            if let Some(known) = tagged.get(at as usize).copied().flatten() {
                break known;
            }
            match records.get(at).filter(adorns) {
                Some(ty) => {
                    path.push(ty);
                    at = ty.size_or_type;
                }
                None => break false,
            }
        };
        while let Some(ty) = path.pop() {
            if ty.kind == Kind::TypeTag {
                found = true;
            } else if found {
                log.say(format_args!("Type tags don't precede modifiers"));
                return Err(Errno::EINVAL);
            }
            if let Some(place) = tagged.get_mut(ty.id as usize) {
                *place = Some(found);
            }
        }
    }
    Ok(())
}

fn adorns(ty: &Record<'_>) -> bool {
    ty.kind.is_modifier() || ty.kind == Kind::Typedef
}

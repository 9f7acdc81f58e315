//! How code under construction becomes bytes: jumps as short as they can be, and filling.

use super::{Asm, Label, Piece};

impl Asm {
    /// Fixes all distances. Gives the code and where each label lies in it.
    ///
    /// Jumps begin short and only ever grow, so the search ends.
    pub(crate) fn finish(mut self) -> Finished {
        self.close();
        let mut long = vec![false; self.pieces.len()];
        let mut places = vec![0; self.labels as usize];
        loop {
            self.places(&long, &mut places);
            let mut grown = false;
            let mut at = 0usize;
            let mut from = 0;
            for (piece, long) in self.pieces.iter().zip(&mut long) {
                let size = self.size(piece, &mut from, at, *long);
                at += size;
                if let Piece::Jump { to, .. } = piece
                    && !*long
                {
                    let distance = places[to.0 as usize] as i64 - at as i64;
                    if i8::try_from(distance).is_err() {
                        (*long, grown) = (true, true);
                    }
                }
            }
            if !grown {
                return self.write(&long, places);
            }
        }
    }

    /// Bytes of a piece that begins at `at`; `from` is how far the finished bytes are used.
    fn size(&self, piece: &Piece, from: &mut usize, at: usize, long: bool) -> usize {
        match *piece {
            Piece::Bytes { end } => end - std::mem::replace(from, end),
            Piece::Bind(_) => 0,
            Piece::Jump { .. } if !long => 2,
            Piece::Jump { cc: Some(_), .. } => 6,
            Piece::Jump { cc: None, .. } | Piece::Call { .. } => 5,
            Piece::Align { most } => match at.wrapping_neg() & 15 {
                gap if gap <= usize::from(most) => gap,
                _ => 0,
            },
        }
    }

    fn places(&self, long: &[bool], places: &mut [usize]) {
        let (mut at, mut from) = (0, 0);
        for (piece, long) in self.pieces.iter().zip(long) {
            if let Piece::Bind(label) = piece {
                places[label.0 as usize] = at;
            }
            at += self.size(piece, &mut from, at, *long);
        }
    }

    fn write(&self, long: &[bool], places: Vec<usize>) -> Finished {
        let mut code: Vec<u8> = Vec::with_capacity(self.bytes.len() + 6 * self.pieces.len());
        let mut from = 0;
        for (piece, long) in self.pieces.iter().zip(long) {
            let start = from;
            let size = self.size(piece, &mut from, code.len(), *long);
            let distance =
                |to: Label| (places[to.0 as usize] as i64 - (code.len() + size) as i64) as i32;
            match *piece {
                Piece::Bytes { end } => code.extend_from_slice(&self.bytes[start..end]),
                Piece::Bind(_) => {}
                Piece::Align { .. } => nops(&mut code, size),
                Piece::Call { to } => {
                    let distance = distance(to);
                    code.push(0xe8);
                    code.extend_from_slice(&distance.to_le_bytes());
                }
                Piece::Jump { cc, to } => {
                    let distance = distance(to);
                    match (cc, *long) {
                        (Some(cc), false) => code.extend_from_slice(&[0x70 | cc, distance as u8]),
                        (None, false) => code.extend_from_slice(&[0xeb, distance as u8]),
                        (Some(cc), true) => {
                            code.extend_from_slice(&[0x0f, 0x80 | cc]);
                            code.extend_from_slice(&distance.to_le_bytes());
                        }
                        (None, true) => {
                            code.push(0xe9);
                            code.extend_from_slice(&distance.to_le_bytes());
                        }
                    }
                }
            }
        }
        Finished { code, places }
    }
}

/// Code with all distances known.
pub(crate) struct Finished {
    pub code: Vec<u8>,
    /// Where each label lies.
    pub places: Vec<usize>,
}

impl Finished {
    pub(crate) fn place(&self, label: Label) -> usize {
        self.places[label.0 as usize]
    }
}

/// `count` bytes (15 at most) that do nothing, in few instructions.
fn nops(code: &mut Vec<u8>, mut count: usize) {
    const LONG: [&[u8]; 9] = [
        &[0x90],
        &[0x66, 0x90],
        &[0x0f, 0x1f, 0x00],
        &[0x0f, 0x1f, 0x40, 0x00],
        &[0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
        &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    ];
    while count > 0 {
        let step = count.min(LONG.len());
        code.extend_from_slice(LONG[step - 1]);
        count -= step;
    }
}

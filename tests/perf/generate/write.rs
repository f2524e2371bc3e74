//! JSON values with ordered members, and the ways in which servers write them.

#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    Number(String),
    Flag(bool),
    List(Vec<Value>),
    Object(Members),
}

/// In their order.
pub(crate) type Members = Vec<(&'static str, Value)>;

use Value::{Flag, List, Number, Object, Text};

/// Writes a value in a style: 0 compact, 1 with blanks and escapes, 2 with odd white space, 3 with escaped slashes.
pub(crate) fn write(o: &mut Vec<u8>, j: &Value, style: u8) {
    match j {
        Text(x) => write_text(o, x, style),
        Number(x) => o.extend_from_slice(x.as_bytes()),
        Flag(b) => o.extend_from_slice(if *b { b"true" } else { b"false" }),
        List(members) => {
            o.push(b'[');
            for (i, x) in members.iter().enumerate() {
                if i > 0 {
                    o.push(b',');
                    if style >= 1 {
                        o.push(b' ')
                    }
                }
                write(o, x, style)
            }
            o.push(b']')
        }
        Object(members) => {
            o.push(b'{');
            if style == 2 {
                o.push(b' ')
            }
            for (i, (k, x)) in members.iter().enumerate() {
                if i > 0 {
                    if style == 2 {
                        o.push(b' ')
                    }
                    o.push(b',');
                    if style >= 1 {
                        o.push(b' ')
                    }
                }
                write_text(o, k, 0);
                if style == 2 {
                    o.push(b'\t')
                }
                o.push(b':');
                if style >= 1 {
                    o.push(b' ')
                }
                write(o, x, style)
            }
            if style == 2 {
                o.push(b' ')
            }
            o.push(b'}')
        }
    }
}
fn write_text(o: &mut Vec<u8>, x: &str, style: u8) {
    o.push(b'"');
    for c in x.chars() {
        match c {
            '"' => o.extend_from_slice(b"\\\""),
            '\\' => o.extend_from_slice(b"\\\\"),
            '\n' => o.extend_from_slice(b"\\n"),
            '/' if style == 3 => o.extend_from_slice(b"\\/"),
            c if (c as u32) > 127 && style >= 1 => o.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => {
                let mut b = [0u8; 4];
                o.extend_from_slice(c.encode_utf8(&mut b).as_bytes())
            }
        }
    }
    o.push(b'"');
}

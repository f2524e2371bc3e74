//! Where values and strings end. Says nothing of whether they are valid.

/// The text between the quotes of the string that stands here, and what follows it.
pub(super) fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"\"")?;
    let end = string_end(inner)?;
    Some((inner.get(..end)?, inner.get(end + 1..)?))
}

/// The value that stands here, and what follows it.
pub(super) fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match text.first()? {
        b'"' => string_end(text.get(1..)?)? + 2,
        b'{' | b'[' => container_end(text)?,
        b',' | b':' | b'}' | b']' => return None,
        _ => text
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
            .unwrap_or(text.len()),
    };
    text.split_at_checked(end)
}

/// What follows white space and a comma.
pub(super) fn after_comma(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    text.strip_prefix(b",").unwrap_or(text).trim_ascii_start()
}

/// What follows white space and a colon, which must be there.
pub(super) fn after_colon(text: &[u8]) -> Option<&[u8]> {
    Some(text.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

/// The offset of the quote that ends a string whose inside begins here.
fn string_end(inner: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', inner.get(from..)?)?;
        if inner.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

/// The offset after the bracket that closes the object or array that begins here.
fn container_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => at += string_end(text.get(at + 1..)?)? + 1,
            _ => {}
        }
        at += 1;
    }
}

//! What a file is, by its bytes, and whether it may be sent.

use crate::refusal::Refusal;

/// Bytes of a file.
pub const FILE_BYTES_MAX: u64 = 25 << 20;
/// Characters of a file's name.
const NAME_CHARS_MAX: usize = 255;

/// What a file is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// In its place in the chat.
    Inline,
    /// As a file to be saved; a browser never opens it by itself.
    Saved,
}

/// The types that may be sent, and how they are shown. HTML, SVG, scripts and programs are not
/// among them.
const ALLOWED: &[(&str, Shown)] = &[
    ("application/gzip", Shown::Saved),
    ("application/msword", Shown::Saved),
    ("application/pdf", Shown::Saved),
    ("application/rtf", Shown::Saved),
    ("application/vnd.ms-excel", Shown::Saved),
    ("application/vnd.ms-powerpoint", Shown::Saved),
    ("application/vnd.oasis.opendocument.presentation", Shown::Saved),
    ("application/vnd.oasis.opendocument.spreadsheet", Shown::Saved),
    ("application/vnd.oasis.opendocument.text", Shown::Saved),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", Shown::Saved),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Shown::Saved),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Shown::Saved),
    ("application/zip", Shown::Saved),
    ("audio/aac", Shown::Inline),
    ("audio/amr", Shown::Inline),
    ("audio/m4a", Shown::Inline),
    ("audio/mpeg", Shown::Inline),
    ("audio/ogg", Shown::Inline),
    ("audio/opus", Shown::Inline),
    ("audio/x-flac", Shown::Inline),
    ("audio/x-wav", Shown::Inline),
    ("image/avif", Shown::Inline),
    ("image/bmp", Shown::Inline),
    ("image/gif", Shown::Inline),
    ("image/heif", Shown::Saved),
    ("image/jpeg", Shown::Inline),
    ("image/png", Shown::Inline),
    ("image/webp", Shown::Inline),
    ("text/csv", Shown::Saved),
    ("text/plain", Shown::Saved),
    ("video/mp4", Shown::Inline),
    ("video/quicktime", Shown::Saved),
    ("video/webm", Shown::Inline),
];

/// Names of a type that mean the same as the one that the bytes show.
const SAME: &[(&str, &str)] = &[
    ("application/x-gzip", "application/gzip"),
    ("application/x-zip-compressed", "application/zip"),
    ("audio/flac", "audio/x-flac"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/mp4", "audio/m4a"),
    ("audio/ogg", "audio/opus"),
    ("audio/wav", "audio/x-wav"),
    ("audio/wave", "audio/x-wav"),
    ("audio/x-m4a", "audio/m4a"),
    ("image/heic", "image/heif"),
    ("image/jpg", "image/jpeg"),
    ("text/csv", "text/plain"),
    ("text/rtf", "application/rtf"),
];

/// The type of a file that may be sent, by its bytes. The declared type is believed only where the
/// bytes leave it open. The whole file or its first 8 KiB do.
///
/// # Errors
/// A refusal of `mime_type` if it is declared as what it is not, or may not be sent.
pub fn sniff(bytes: &[u8], declared: &str) -> Result<(&'static str, Shown), Refusal> {
    let declared = declared.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let found = match infer::get(bytes) {
        Some(found) => found.mime_type(),
        None if is_plain_text(bytes) => "text/plain",
        None => return Err(Refusal::field("mime_type", "a type that is known")),
    };
    let is_open = declared.is_empty() || declared == "application/octet-stream";
    let is_named = SAME.contains(&(declared.as_str(), found));
    if !is_open && declared != found && !is_named {
        return Err(Refusal::field("mime_type", "what the bytes are"));
    }
    let kept = if declared == "text/csv" { "text/csv" } else { found };
    let allowed = ALLOWED.iter().find(|(name, _)| *name == kept);
    allowed.copied().ok_or(Refusal::field("mime_type", "a type that may be sent"))
}

/// Whether it is text, and no markup that a browser might run.
fn is_plain_text(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // A character that the end of the sample cuts is no fault.
        Err(error) if error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or(&[]);
            std::str::from_utf8(whole).unwrap_or("\0")
        }
        Err(_) => return false,
    };
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_markup = start.starts_with('<') || start.to_ascii_lowercase().contains("<script");
    !is_markup && !text.contains('\0')
}

/// The name of a file as it is kept: its last part, without what would fool a reader or a disk.
///
/// # Errors
/// A refusal of `file_name` if nothing is left.
pub fn file_name(given: &str) -> Result<String, Refusal> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or("");
    let is_kept = |c: &char| {
        !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '"')
    };
    let name: String = last.chars().filter(is_kept).take(NAME_CHARS_MAX).collect();
    let name = name.trim().trim_start_matches('.').to_owned();
    if name.is_empty() { Err(Refusal::field("file_name", "a name")) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const PDF: &[u8] = b"%PDF-1.7\n";
    const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn the_bytes_decide_what_a_file_is() {
        assert_eq!(sniff(PNG, "image/png"), Ok(("image/png", Shown::Inline)));
        assert_eq!(sniff(PNG, ""), Ok(("image/png", Shown::Inline)));
        assert_eq!(sniff(PDF, "application/octet-stream"), Ok(("application/pdf", Shown::Saved)));
        assert_eq!(sniff(b"\xff\xd8\xff\xe0", "image/jpg"), Ok(("image/jpeg", Shown::Inline)));
        assert_eq!(
            sniff("ก,ข\n1,2".as_bytes(), "text/csv; charset=utf-8"),
            Ok(("text/csv", Shown::Saved))
        );
        assert_eq!(sniff(&"ก".as_bytes()[..2], "text/plain"), Ok(("text/plain", Shown::Saved)));
    }

    #[test]
    fn a_file_that_lies_about_its_type_is_refused() {
        for (bytes, declared) in [(ELF, "image/png"), (PDF, "image/jpeg"), (PNG, "text/plain")] {
            assert!(sniff(bytes, declared).is_err(), "{declared}");
        }
    }

    #[test]
    fn what_a_browser_or_a_machine_would_run_is_refused() {
        let bad: [&[u8]; 7] = [
            ELF,
            b"<html><body>hi</body></html>",
            b"  \n<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"<?xml version='1.0'?><svg/>",
            b"text first <SCRIPT>alert(1)</SCRIPT>",
            b"#!/bin/sh\nrm -rf x",
            b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff",
        ];
        for bytes in bad {
            assert!(sniff(bytes, "").is_err(), "{bytes:?}");
            assert!(sniff(bytes, "text/plain").is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_name_has_no_path_and_no_tricks() {
        assert_eq!(file_name("../../etc/passwd").unwrap(), "passwd");
        assert_eq!(file_name("C:\\a\\ใบเสร็จ.pdf").unwrap(), "ใบเสร็จ.pdf");
        assert_eq!(file_name("photo\u{202e}gpj.exe").unwrap(), "photogpj.exe");
        assert!(file_name("a/..").is_err());
        assert_eq!(file_name(&"x".repeat(999)).unwrap().len(), 255);
    }
}

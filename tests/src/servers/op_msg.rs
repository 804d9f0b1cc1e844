//! As much of MongoDB's protocol as it takes to set a server up: one command, one answer.

use std::io::{Error, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What a command's field holds.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i32),
    Fields(&'a [(&'a str, Value<'a>)]),
    List(&'a [Value<'a>]),
}

/// Sends a command to the database `admin`; the bytes of the answer.
pub(super) fn ask(address: &str, command: &[(&str, Value<'_>)]) -> Result<Vec<u8>, Error> {
    let mut fields = command.to_vec();
    fields.push(("$db", Value::Text("admin")));
    let mut message = vec![0; 16];
    message[12..].copy_from_slice(&2013_i32.to_le_bytes());
    // No flags, and one section that is a document.
    message.extend([0; 5]);
    message.extend(document(fields.into_iter().map(|(name, value)| (name.to_owned(), value))));
    let length = i32::try_from(message.len()).map_err(Error::other)?;
    message[..4].copy_from_slice(&length.to_le_bytes());
    let mut server = TcpStream::connect(address)?;
    server.set_read_timeout(Some(Duration::from_secs(30)))?;
    server.write_all(&message)?;
    let mut length = [0; 4];
    server.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_le_bytes(length).saturating_sub(4).min(1 << 20) as usize];
    server.read_exact(&mut answer)?;
    Ok(answer)
}

fn document<'a>(fields: impl Iterator<Item = (String, Value<'a>)>) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for (name, value) in fields {
        let (kind, value) = encoded(value);
        bytes.push(kind);
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(value);
    }
    bytes.push(0);
    let length = u32::try_from(bytes.len()).expect("short");
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// A value's type and its bytes.
fn encoded(value: Value<'_>) -> (u8, Vec<u8>) {
    match value {
        Value::Text(text) => {
            let length = u32::try_from(text.len() + 1).expect("short").to_le_bytes();
            (2, [&length, text.as_bytes(), &[0]].concat())
        }
        Value::Fields(fields) => {
            (3, document(fields.iter().map(|(name, value)| ((*name).to_owned(), *value))))
        }
        Value::List(values) => {
            let numbered = values.iter().enumerate().map(|(at, value)| (at.to_string(), *value));
            (4, document(numbered))
        }
        Value::Number(number) => (16, number.to_le_bytes().to_vec()),
    }
}

//! Moving a directory aside, so that whoever wants to know can look at it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Directories moved aside that are kept.
const KEPT: u64 = 3;

/// Gives a directory the next free name of `NAME.bad.N`, and removes older ones beyond a few.
pub(super) fn move_aside(path: &Path) -> io::Result<()> {
    let mut earlier = earlier(path)?;
    let next = earlier.last().map_or(1, |last| last.saturating_add(1));
    match fs::rename(path, bad(path, next)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => earlier.retain(|number| number.saturating_add(KEPT) <= next),
    }
    // What cannot be removed is in nobody's way.
    earlier.into_iter().for_each(|number| _ = fs::remove_dir_all(bad(path, number)));
    Ok(())
}

fn bad(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".bad.{number}"));
    name.into()
}

/// The numbers in use, ascending.
fn earlier(path: &Path) -> io::Result<Vec<u64>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let prefix = format!("{name}.bad.");
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let mut numbers = Vec::new();
    for entry in fs::read_dir(above.unwrap_or(Path::new(".")))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_are_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("index");
        for round in 0..5_u8 {
            fs::create_dir(&path).expect("moved");
            fs::write(path.join("round"), [round]).expect("written");
            move_aside(&path).expect("moved");
        }
        assert_eq!(earlier(&path).expect("listed"), [3, 4, 5]);
        assert_eq!(fs::read(bad(&path, 5).join("round")).expect("kept"), [4]);
        move_aside(&path).expect("nothing to move");
        assert!(!path.exists());
    }
}

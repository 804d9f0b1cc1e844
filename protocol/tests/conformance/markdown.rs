//! The tables of a markdown document, by heading.

pub(crate) struct Table {
    pub(crate) heading: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

pub(crate) fn tables(text: &str) -> Vec<Table> {
    let mut out: Vec<Table> = Vec::new();
    let (mut heading, mut open) = (String::new(), false);
    for line in text.lines() {
        if let Some(row) = line.strip_prefix('|') {
            let cells: Vec<String> = row
                .trim_end_matches('|')
                .split('|')
                .map(|cell| cell.trim().trim_matches('`').to_owned())
                .collect();
            match out.last_mut() {
                Some(table) if open && !cells[0].starts_with("---") => table.rows.push(cells),
                Some(_) if open => {}
                _ => {
                    out.push(Table { heading: heading.clone(), columns: cells, rows: vec![] });
                    open = true;
                }
            }
            continue;
        }
        open = false;
        if let Some(text) = line.strip_prefix('#') {
            heading = text.trim_matches(['#', ' ']).to_owned();
        }
    }
    out
}

/// The one table under `heading`.
pub(crate) fn table(text: &str, heading: &str) -> Table {
    let mut found: Vec<Table> = tables(text).into_iter().filter(|t| t.heading == heading).collect();
    assert_eq!(found.len(), 1, "tables under {heading:?}");
    found.remove(0)
}

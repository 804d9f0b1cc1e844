//! Who asks for the figures of the shop.

use std::collections::BTreeMap;

use sampan_client::shop::{Counts, Day, FIGURES, Figures, Shown, Wanted};

use super::store::Ledger;
use crate::chat::course::Courses;
use crate::chat::rules::figures::Figures as OfChat;
use crate::days::Days;
use crate::role::Role;
use crate::service::{Host, Problem};

/// Answers for the figures of the shop.
///
/// # Errors
/// Those of the client.
pub async fn serve(
    host: &mut Host,
    ledger: &Ledger,
    courses: &Courses,
) -> Result<(), sampan_client::Error> {
    let state = (ledger.clone(), courses.clone());
    host.answer(&state, FIGURES, Role::OPERATORS, |(ledger, courses), _, wanted: Wanted| async move {
        show(&ledger, &courses, &wanted).await
    })
    .await
}

async fn show(ledger: &Ledger, courses: &Courses, wanted: &Wanted) -> Result<Shown, Problem> {
    let days = Days::parse(&wanted.from, &wanted.to)?;
    let counts = ledger.counts(&days).await?;
    let book = courses.figures(days, None).await?;
    let mut chats: BTreeMap<&str, OfChat> = BTreeMap::new();
    for (day, _, figures) in book.rows() {
        chats.entry(day).or_default().join(figures);
    }
    let (mut total, mut total_chat) = (Counts::default(), OfChat::default());
    counts.values().for_each(|counts| total.join(counts));
    chats.values().for_each(|figures| total_chat.join(figures));
    let mut names: Vec<&str> =
        counts.keys().map(String::as_str).chain(chats.keys().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let day = |name: &str| {
        let chat = chats.get(name).copied().unwrap_or_default();
        let figures = Figures::new(counts.get(name).copied().unwrap_or_default(), chat.into());
        Day { day: name.to_owned(), figures }
    };
    let days = names.into_iter().map(day).collect();
    Ok(Shown { total: Figures::new(total, total_chat.into()), days })
}

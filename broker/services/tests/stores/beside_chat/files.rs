//! Files of messages.

use std::path::Path;
use std::time::Duration;

use sampan_services::chat::files::{Begin, Files, Folder, Link, Uploaded, User};
use sampan_services::chat::model::{Content, Message, Revision};
use sampan_services::chat::rules::lifecycle::{Event, step};
use sampan_services::chat::store::{Outcome, SqlStore, Step, Store};
use sampan_services::service::Problem;
use sampan_services::store::Query;
use sampan_services::{Moment, Role};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use super::{asker, begun, code};
use crate::sites::Site;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and some more bytes";

type Desk = Files<SqlStore, Folder>;

async fn each() -> Vec<(Desk, TempDir, Site)> {
    let mut all = Vec::new();
    for site in Site::each() {
        let database = site.migrated().await;
        let chats = SqlStore::new(&database);
        begun(&chats, "c").await;
        begun(&chats, "d").await;
        let folder = TempDir::new().expect("a folder");
        all.push((Files::new(&database, chats, Folder::new(folder.path())), folder, site));
    }
    all
}

fn announced(size: usize, mime_type: &str) -> Begin {
    Begin {
        conversation_id: "c".to_owned(),
        file_name: "C:\\ใบเสร็จ.png".to_owned(),
        size_bytes: size.try_into().expect("small"),
        mime_type: mime_type.to_owned(),
    }
}

/// The id and the token of a path.
fn parts(path: &str) -> (&str, &str) {
    let rest = path.strip_prefix("/v1/chat/files/").expect("a path");
    rest.split_once('/').expect("a token")
}

/// Brings bytes that were announced so.
async fn brought(files: &Desk, begin: &Begin, bytes: &[u8]) -> Result<Uploaded, Problem> {
    let begun = files.begin(&asker("cat", Role::Customer), begin).await?;
    let (id, token) = parts(&begun.path);
    let mut upload = files.upload(id, token).await?;
    for piece in bytes.chunks(7) {
        if let Err(problem) = upload.write(piece).await {
            upload.give_up().await;
            return Err(problem);
        }
    }
    match upload.end().await {
        Ok(uploaded) => Ok(uploaded),
        Err(problem) => {
            upload.give_up().await;
            Err(problem)
        }
    }
}

async fn fetched(files: &Desk, path: &str) -> Result<Vec<u8>, Problem> {
    let (id, token) = parts(path);
    let mut file = files.fetch(id, token).await?;
    let mut bytes = Vec::new();
    file.bytes.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(file.size_bytes, u64::try_from(bytes.len()).expect("small"));
    Ok(bytes)
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("listed").count()
}

fn message<'a>(id: &'a str, private: bool) -> User<'a> {
    User { owner_id: "cat", conversation_id: "c", message_id: id, private }
}

#[tokio::test]
async fn a_file_is_brought_given_to_a_message_and_fetched_by_links() {
    for (files, folder, site) in each().await {
        let cat = asker("cat", Role::Customer);
        let uploaded = brought(&files, &announced(PNG.len(), ""), PNG).await.expect("brought");
        assert_eq!(uploaded.mime_type, "image/png", "{}", site.name);
        assert_eq!((uploaded.file_name.as_str(), uploaded.sha256.len()), ("ใบเสร็จ.png", 64));
        let ids = [uploaded.id.clone()];
        let link = Link { id: uploaded.id.clone() };
        let amy = asker("amy", Role::Agent);
        assert_eq!(code(files.link(&amy, &link).await), 904, "no message has it yet");
        let taken = files.take(&ids, &message("m1", false)).await.expect("taken");
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].sha256, uploaded.sha256);
        assert_eq!(fetched(&files, &taken[0].url).await.expect("there"), PNG);
        for who in [&cat, &amy] {
            let link = files.link(who, &link).await.expect("seen");
            assert_eq!(fetched(&files, &link.path).await.expect("there"), PNG);
        }
        assert_eq!(code(files.link(&asker("dog", Role::Customer), &link).await), 904);
        // The same message again has the same, another none.
        assert_eq!(files.take(&ids, &message("m1", false)).await.expect("again").len(), 1);
        assert_eq!(code(files.take(&ids, &message("m2", false)).await), 105);
        assert_eq!(code(files.take(&ids, &message("m1", true)).await), 105, "it is no note");
        assert_eq!(count(folder.path()), 1);
    }
}

#[tokio::test]
async fn one_owner_leaves_others_room_to_upload() {
    for (files, folder, _site) in each().await {
        let mut uploads = Vec::new();
        for number in 0..5 {
            let begin = announced(PNG.len(), "");
            let begun = files.begin(&asker("cat", Role::Customer), &begin).await.expect("begun");
            let (id, token) = parts(&begun.path);
            let upload = files.upload(id, token).await;
            match number < 4 {
                true => uploads.push(upload.expect("room")),
                false => assert_eq!(code(upload), 301),
            }
        }
        let begun = files.begin(&asker("amy", Role::Agent), &announced(9, "")).await;
        let begun = begun.expect("begun");
        let (id, token) = parts(&begun.path);
        uploads.push(files.upload(id, token).await.expect("another's room"));
        for upload in uploads {
            upload.give_up().await;
        }
        assert_eq!(count(folder.path()), 0);
        brought(&files, &announced(PNG.len(), ""), PNG).await.expect("room again");
    }
}

#[tokio::test]
async fn an_upload_that_counts_after_all_is_not_given_up() {
    for (files, folder, _site) in each().await {
        let begin = announced(PNG.len(), "");
        let begun = files.begin(&asker("cat", Role::Customer), &begin).await.expect("begun");
        let (id, token) = parts(&begun.path);
        let mut upload = files.upload(id, token).await.expect("begun");
        upload.write(PNG).await.expect("written");
        upload.end().await.expect("stored");
        // As if the answer to the commit had been lost.
        upload.give_up().await;
        assert_eq!(count(folder.path()), 1);
    }
}

#[tokio::test]
async fn what_was_not_announced_so_or_lies_about_its_type_leaves_nothing() {
    for (files, folder, _site) in each().await {
        let page = b"<html><script>alert(1)</script></html>";
        let picture = b"<svg xmlns='http://www.w3.org/2000/svg'/>";
        for (begin, bytes) in [
            (announced(PNG.len() - 1, ""), PNG),
            (announced(PNG.len() + 1, ""), PNG),
            (announced(PNG.len(), "image/jpeg"), PNG),
            (announced(page.len(), "text/plain"), &page[..]),
            (announced(picture.len(), "image/svg+xml"), &picture[..]),
            (announced(0, ""), b""),
            (announced(25 << 20 | 1, ""), PNG),
            (Begin { file_name: "a/..".to_owned(), ..announced(PNG.len(), "") }, PNG),
        ] {
            assert_eq!(code(brought(&files, &begin, bytes).await), 105, "{begin:?}");
        }
        let stranger = Begin { conversation_id: "x".to_owned(), ..announced(9, "") };
        assert_eq!(code(brought(&files, &stranger, PNG).await), 904);
        assert_eq!(count(folder.path()), 0);
    }
}

#[tokio::test]
async fn a_link_does_one_thing_with_one_file_once() {
    for (files, _folder, _site) in each().await {
        let cat = asker("cat", Role::Customer);
        let begun = files.begin(&cat, &announced(PNG.len(), "")).await.expect("announced");
        let (id, token) = parts(&begun.path);
        assert_eq!(code(files.fetch(id, token).await), 200, "it is for bringing");
        assert_eq!(code(files.upload("other", token).await), 200);
        // An upload that was cut off is begun again, and the later one counts.
        let mut first = files.upload(id, token).await.expect("begun");
        let mut second = files.upload(id, token).await.expect("begun again");
        for upload in [&mut first, &mut second] {
            upload.write(PNG).await.expect("written");
        }
        assert_eq!(code(first.end().await), 909);
        first.give_up().await;
        second.end().await.expect("brought");
        assert_eq!(code(files.upload(id, token).await), 909, "brought already");
    }
}

#[tokio::test]
async fn a_file_is_its_owners_of_one_conversation_and_of_notes_for_agents_only() {
    for (files, _folder, _site) in each().await {
        let uploaded = brought(&files, &announced(PNG.len(), ""), PNG).await.expect("brought");
        let ids = [uploaded.id.clone()];
        let own = message("m", false);
        for wrong in [User { owner_id: "dog", ..own }, User { conversation_id: "d", ..own }] {
            assert_eq!(code(files.take(&ids, &wrong).await), 105, "{wrong:?}");
        }
        let both = [uploaded.id.clone(), "unknown".to_owned()];
        assert_eq!(code(files.take(&both, &own).await), 105, "all or none");
        let begin = announced(PNG.len(), "");
        let amy = asker("amy", Role::Agent);
        let begun = files.begin(&amy, &begin).await.expect("announced");
        let (id, token) = parts(&begun.path);
        let mut upload = files.upload(id, token).await.expect("begun");
        upload.write(PNG).await.expect("written");
        upload.end().await.expect("brought");
        let note = User { owner_id: "amy", ..message("note", true) };
        files.take(&[id.to_owned()], &note).await.expect("taken");
        let link = Link { id: id.to_owned() };
        assert_eq!(code(files.link(&asker("cat", Role::Customer), &link).await), 904);
        files.link(&asker("bob", Role::Agent), &link).await.expect("agents see notes");
    }
}

#[tokio::test]
async fn files_of_a_message_stay_until_it_is_deleted() {
    for (files, folder, site) in each().await {
        let chats = SqlStore::new(&site.open());
        let uploaded = brought(&files, &announced(PNG.len(), ""), PNG).await.expect("brought");
        let it = Message { id: "m".to_owned(), ..crate::chat::message("c", "cat", "m1", "look") };
        let taken = files.take(std::slice::from_ref(&uploaded.id), &message("m", false)).await;
        let taken = taken.expect("taken");
        let chat = chats.conversation("c").await.expect("read").expect("there");
        let change = step(&chat, Event::CustomerWrote, Moment::now()).expect("allowed");
        let said = Step::new(change, Moment::now()).message(it);
        let Ok(Outcome::Done(said)) = chats.apply(&said).await else { panic!("stored") };
        let next_day = Moment::now().after(Duration::from_secs(86_401));
        // Nobody may have noted that it is stored, and one may have meant to delete it.
        for doubted in [false, true] {
            if doubted {
                files.doubt("m").await.expect("noted");
            }
            files.sweep(next_day).await.expect("swept");
            assert_eq!(fetched(&files, &taken[0].url).await.expect("there"), PNG);
        }
        files.doubt("m").await.expect("noted");
        let deleted = Message { deleted_at: Some(Moment::now()), ..said[0].clone() };
        let revision = Revision { content: Content::default(), until: Moment::now() };
        assert_eq!(chats.rewrite(&said[0], &deleted, &revision).await, Ok(true));
        assert_eq!(code(fetched(&files, &taken[0].url).await), 904, "at once");
        let link = Link { id: uploaded.id };
        assert_eq!(code(files.link(&asker("cat", Role::Customer), &link).await), 904);
        files.sweep(next_day).await.expect("swept");
        assert_eq!(count(folder.path()), 0, "{}", site.name);
    }
}

#[tokio::test]
async fn a_file_that_is_given_to_a_message_late_has_a_day_from_then() {
    for (files, folder, site) in each().await {
        let uploaded = brought(&files, &announced(PNG.len(), ""), PNG).await.expect("brought");
        let long_ago = Query::new("UPDATE files SET created_at = 1");
        let database = site.open();
        let mut work = database.begin().await.expect("begun");
        work.execute(long_ago).await.expect("made old");
        work.commit().await.expect("made old");
        let ids = [uploaded.id];
        files.take(&ids, &message("m", false)).await.expect("taken");
        files.sweep(Moment::now()).await.expect("swept");
        let taken =
            files.take(&ids, &message("m", false)).await.expect("its message may still come");
        assert_eq!(fetched(&files, &taken[0].url).await.expect("there"), PNG);
        let next_day = Moment::now().after(Duration::from_secs(86_401));
        files.sweep(next_day).await.expect("swept");
        assert_eq!(count(folder.path()), 0, "{}", site.name);
    }
}

#[tokio::test]
async fn an_owner_has_a_hundred_files_of_which_no_message_is_known() {
    for (files, _folder, _site) in each().await {
        let cat = asker("cat", Role::Customer);
        let small = announced(9, "");
        for number in 0..100 {
            let begun = files.begin(&cat, &small).await.expect("room");
            if number == 0 {
                let (id, token) = parts(&begun.path);
                let mut upload = files.upload(id, token).await.expect("begun");
                upload.write(b"some text").await.expect("written");
                upload.end().await.expect("brought");
                files.take(&[id.to_owned()], &message("refused", false)).await.expect("taken");
            }
        }
        assert_eq!(code(files.begin(&cat, &small).await), 912);
        files.keep("refused").await.expect("noted");
        files.begin(&cat, &small).await.expect("that one counts no longer");
    }
}

#[tokio::test]
async fn a_file_without_a_message_is_gone_after_a_day() {
    for (files, folder, _site) in each().await {
        let unused = brought(&files, &announced(PNG.len(), ""), PNG).await.expect("brought");
        let lost = brought(&files, &announced(PNG.len(), ""), PNG).await.expect("brought");
        files
            .take(std::slice::from_ref(&lost.id), &message("never stored", false))
            .await
            .expect("taken");
        let cut_off = files.begin(&asker("cat", Role::Customer), &announced(9, "")).await;
        let cut_off = cut_off.expect("announced");
        let (id, token) = parts(&cut_off.path);
        for _ in 0..2 {
            drop(files.upload(id, token).await.expect("begun"));
            assert_eq!(count(folder.path()), 3, "of two that were cut off one is left");
        }
        files.sweep(Moment::now()).await.expect("swept");
        assert_eq!(count(folder.path()), 3, "not yet");
        let next_day = Moment::now().after(Duration::from_secs(86_401));
        files.sweep(next_day).await.expect("swept");
        assert_eq!(count(folder.path()), 0);
        for id in [unused.id, lost.id] {
            assert_eq!(code(files.take(&[id], &message("m", false)).await), 105);
        }
    }
}

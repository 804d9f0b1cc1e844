//! What does not come in time, by the clock of the wall: each connection ends with its code and a
//! counter, and whoever answers stays.

use std::time::Duration;

use futures_util::StreamExt;
use sampan::auth::Role;
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::engine::{WEBSOCKET, code, heard, live, opened, until_metric};
use crate::harness::{Broker, PATIENCE, Socket};

const PING: &str = "2";
const PONG: &str = "3";

/// Takes what comes, and answers pings or not; the close code in the end.
async fn end(mut socket: Socket, answers: bool) -> u16 {
    loop {
        match timeout(PATIENCE, socket.stream.next()).await.expect("in time").expect("a close") {
            Ok(Message::Text(text)) if answers && text.as_str() == PING => {
                socket.send(Message::text(PONG)).await;
            }
            Ok(Message::Close(frame)) => return frame.map_or(0, |frame| frame.code.into()),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Answers so many pings, and then asks for something; whether that is answered.
async fn stays(mut socket: Socket, pings: usize) -> bool {
    for _ in 0..pings {
        while heard(&mut socket).await != PING {}
        socket.send(Message::text(PONG)).await;
    }
    socket.send(Message::text("427[\"product:track\",\"7\"]")).await;
    let answer = timeout(Duration::from_secs(10), async {
        while !heard(&mut socket).await.starts_with("437[") {}
    });
    answer.await.is_ok()
}

#[tokio::test]
async fn whoever_does_not_come_in_time_is_let_go_and_the_others_stay() {
    let broker = Broker::start();
    let token = broker.token("ann", Role::Customer);
    let witness = live(&broker, &token).await;
    let quiet = live(&broker, &token).await;
    let outside = broker.upgrade_at(WEBSOCKET, &[]).await.expect("upgraded");
    let mut parts = live(&broker, &token).await;
    let missing = r#"451-["message:send",{"_placeholder":true,"num":0}]"#;
    parts.send(Message::text(missing)).await;
    let polls = opened(&broker).await;
    let connect = format!("40{}", json!({ "token": token }));
    assert_eq!(broker.call("POST", &polls, "", connect.as_bytes()).await.text(), "ok");
    let unconnected = broker.socket().await;
    let (quiet, outside, parts, unconnected, stays) = tokio::join!(
        end(quiet, false),
        end(outside, true),
        end(parts, true),
        end(unconnected, true),
        stays(witness, 2),
    );
    assert_eq!(quiet, 1000, "a ping is not answered");
    assert_eq!(outside, 1000, "it is in no namespace");
    assert_eq!(parts, 1002, "an attachment is missing");
    assert_eq!(unconnected, 4501, "it does not connect");
    assert!(stays, "nobody else notices");
    until_metric(&broker, "sampan_bridge_socketio_silent_total", 2).await;
    assert_eq!(code(&broker.call("GET", &polls, "", b"").await), (400, Some(1)), "nobody polled");
    for counter in ["socketio_unconnected", "socketio_incomplete"] {
        assert_eq!(broker.metric(&format!("sampan_bridge_{counter}_total")).await, 1, "{counter}");
    }
}

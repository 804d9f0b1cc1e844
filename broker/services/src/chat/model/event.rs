//! Events of a chat, by name.

macro_rules! names {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        /// The name of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Name { $(#[doc = $doc] $name,)* }

        impl Name {
            /// All of them.
            pub const ALL: &[Name] = &[$(Name::$name),*];

            /// The name on the wire.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Name::$name => $text,)* }
            }
        }
    };
}

names! {
    Typing = "user:typing", "Somebody types, or has stopped.";
    Receive = "message:receive", "A message has come, or has changed.";
    Delivered = "message:delivered", "Messages have reached a user.";
    Read = "message:read", "A user has read.";
    Join = "conversation:join", "A user looks at a conversation.";
    Leave = "conversation:leave", "A user looks at it no longer.";
    Status = "conversation:status", "A conversation stands differently.";
    Archived = "conversation:archived", "A conversation is over for good.";
    Assigned = "agent:assigned", "An agent has a conversation.";
    Transfer = "agent:transfer", "One agent has handed it to another.";
    Available = "agent:available", "An agent takes chats, or no longer.";
    Load = "agent:load", "An agent has more chats, or fewer.";
    Entered = "queue:entered", "A conversation waits.";
    Left = "queue:left", "A conversation waits no longer.";
    Position = "queue:position", "A conversation's place among those that wait.";
}
